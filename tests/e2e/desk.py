"""A student's desk: a course folder, a coursectl home and the program, and what is left running on it.

Nothing here knows the inside of coursectl but the names of its variables and of the commands: a desk is used
through the command line, and judged by files, processes and answers.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from channel.program import Cli, Ran
from coursectl.model.launch import Server
from waiting import until as until

ROOT = Path(__file__).parents[2]
"""The repository: it is the reference course."""

ENVELOPE = {"schema", "command", "status", "data", "messages", "exit_code"}

REAL = "https://conda.anaconda.org/conda-forge"
"""What lockfiles name; the tests' own channel is asked in its place, as a campus mirror is."""


@dataclass(kw_only=True)
class Desk:
    """One course and one home. Calling it runs ``coursectl`` in the course folder.

    `frozen` and `first` are what ``freeze`` and the first ``up`` said, where a fixture has run them.
    """

    cli: Cli
    course: Path
    home: Path
    cache: Path
    env: dict[str, str] = field(default_factory=dict)
    first: Ran | None = None
    frozen: Ran | None = None

    def __call__(self, *words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 240) -> Ran:
        return self.cli(*words, cwd=self.course, env=self.variables() | dict(env or {}), timeout=timeout)

    def ok(self, *words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 240) -> Ran:
        """Run a command that has to come to exit code 0."""
        ran = self(*words, env=env, timeout=timeout)
        assert ran.code == 0, f"{ran.argv} ended with {ran.code}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def data(self, *words: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> Any:
        """The ``data`` of a command's envelope."""
        ran = self(*words, "--json", env=env)
        assert ran.code == code, f"{ran.argv} ended with {ran.code}\n{ran.stdout}\n{ran.stderr}"
        return envelope(ran)["data"]

    def variables(self) -> dict[str, str]:
        """What this desk sets on top of the test's own environment."""
        return {"COURSECTL_HOME": str(self.home), "COURSECTL_CACHE": str(self.cache), **self.env}

    def environment(self, **more: str) -> dict[str, str]:
        """All variables of a program that is started without the ``cli`` fixture (a terminal, a race)."""
        return dict(os.environ) | self.variables() | more

    def argv(self, *words: str) -> list[str]:
        """The command line of such a program."""
        return [sys.executable, "-m", "coursectl", *words]

    def another(self, folder: Path, **env: str) -> Desk:
        """The same course and downloads with a new home (and other variables)."""
        return Desk(cli=self.cli, course=self.course, home=folder, cache=self.cache, env=self.env | env)

    def servers(self) -> list[Server]:
        """What ``coursectl status`` says is running."""
        return [Server(**one) for one in self.data("status")["servers"]]

    def environments(self) -> list[str]:
        """The folders below ``envs``, hidden ones too: what half an installation would leave shows here."""
        folder = self.home / "envs"
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def processes(self) -> list[psutil.Process]:
        """Every process that works for this home: all that coursectl starts inherits its variables."""
        return of_home(self.home)

    def end(self) -> None:
        """Stop whatever still runs here, so that one failed test does not spoil the next."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.Error:
                continue


def of_home(home: Path) -> list[psutil.Process]:
    """The processes with ``COURSECTL_HOME=home``; none that has ended and only waits for its parent."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("COURSECTL_HOME") == str(
                home
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def envelope(ran: Ran) -> Any:
    """The one JSON document on standard output; fails where there is anything else on it."""
    lines = ran.stdout.splitlines()
    assert len(lines) == 1, f"{ran.argv} printed {len(lines)} lines\n{ran.stdout}\n{ran.stderr}"
    found = json.loads(lines[0])
    assert set(found) == ENVELOPE
    assert found["schema"] == 1
    assert found["exit_code"] == ran.code
    return found


def copy_reference(folder: Path, *semesters: str) -> Path:
    """The reference course with its committed lockfiles of `semesters`, as a student unpacks it."""
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "course.yaml", folder / "course.yaml")
    shutil.copytree(ROOT / "environments", folder / "environments")
    shutil.copytree(ROOT / "tests" / "notebooks", folder / "tests" / "notebooks")
    for semester in semesters:
        shutil.copytree(ROOT / "lockfiles" / semester, folder / "lockfiles" / semester)
    return folder


def write_course(folder: Path, text: str, **specs: str) -> Path:
    """A course of one's own: `text` is course.yaml, `specs` the files below environments/ (``a_yml`` is
    ``a.yml``).
    """
    (folder / "environments").mkdir(parents=True)
    (folder / "course.yaml").write_text(text, encoding="utf-8")
    for name, content in specs.items():
        stem, _, suffix = name.rpartition("_")
        (folder / "environments" / f"{stem}.{suffix}").write_text(content, encoding="utf-8")
    return folder


def files_below(folder: Path) -> list[str]:
    """Every file below `folder`, by relative path: to say that nothing was left."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())
