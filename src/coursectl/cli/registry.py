"""Every command, in reading order. A command's module is imported when the command is typed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its name, the module that defines ``app``, the group and line in ``--help``.

    `bare` is a module whose ``answer`` speaks where nothing follows the name: it does without typer.
    """

    name: str
    module: str
    group: str
    summary: str
    bare: str | None = None


_STUDENTS, _STAFF, _LOOK = "For students", "For staff", "To look and to mend"

COMMANDS: tuple[Entry, ...] = (
    Entry("up", "up", _STUDENTS, "open JupyterLab on exactly the semester's stack"),
    Entry("down", "servers", _STUDENTS, "stop JupyterLab"),
    Entry("status", "servers", _STUDENTS, "say what is running", bare="status"),
    Entry("open", "servers", _STUDENTS, "open the browser on the running JupyterLab"),
    Entry("logs", "servers", _STUDENTS, "show what JupyterLab printed"),
    Entry("run", "run", _STUDENTS, "run a command inside the environment"),
    Entry("init", "init", _STAFF, "write a first course.yaml from what is there"),
    Entry("freeze", "freeze", _STAFF, "pin a semester's stack into lockfiles"),
    Entry("smoke", "smoke", _STAFF, "run the notebook suite on the frozen stack"),
    Entry("export", "export", _STAFF, "write a semester's lock in another tool's format"),
    Entry("schema", "schema", _STAFF, "print the JSON Schema of course.yaml, for editors"),
    Entry("info", "info", _LOOK, "every effective value and where it came from"),
    Entry("env", "env", _LOOK, "list, verify, repair and remove environments"),
    Entry("cache", "cache", _LOOK, "how large the downloads are; clean them"),
)


def find(name: str) -> Entry | None:
    """The command called `name`, ``None`` if there is none."""
    for entry in COMMANDS:
        if entry.name == name:
            return entry
    return None
