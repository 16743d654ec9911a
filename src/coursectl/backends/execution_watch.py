"""Follows the cells of a shell, in both ways of running, and reports on each.

Standalone, as `execution_inside`. After each cell one message of the type `MIME` is published among the
cell's outputs, which the run loop takes out::

    {"error": {"line", "file", "file_line"} | null, "warnings": [{"cell", "line", "file", "category",
     "message", "count"}], "defined": [...], "numbers": {"mass": "125.1"}, "peak": bytes, "exit": false}

where ``cell`` counts the cells that were sent, from 1.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from typing import Any

MIME = "application/vnd.coursectl.cell+json"
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
_MACHINERY = re.compile(r"[/\\](IPython|ipykernel|jupyter_client|tornado|traitlets|zmq)[/\\]")


def as_number(value: Any) -> float:
    """A float from what physicists compute: a plain number, an array of one, a value with an uncertainty."""
    for attribute in ("nominal_value", "value"):  # uncertainties, astropy
        inner = getattr(value, attribute, None)
        if inner is not None and not callable(inner):
            value = inner
    return float(value.item() if hasattr(value, "item") else value)


def origin() -> Any:
    """The frame that warned, seen from a function which `warnings` called."""
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename == warnings.__file__:
        frame = frame.f_back
    return frame


def package(frame: Any) -> str:
    """The top-level package of a frame's code."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def theirs(trail: list[Any]) -> bool:
    """Whether a warning belongs to what a library does when it is loaded, and not to who loads it.

    `trail` leads from the frame that warned outwards to the last one before the course's own. A module that
    warns about itself when the course imports it counts; what its own imports warn about does not: that would
    be said by whichever notebook comes first.
    """
    loading = [n for n, frame in enumerate(trail) if frame.f_code.co_filename.startswith("<frozen importlib")]
    if not loading:
        return False
    inner = trail[: loading[-1]]
    while inner and inner[-1].f_code.co_filename.startswith("<frozen importlib"):
        inner.pop()
    return loading[-1] != len(trail) - 1 or not inner or package(inner[-1]) != package(trail[0])


class Watch:
    """Follows the cells of a shell: errors, warnings, names and numbers, each with its place."""

    def __init__(
        self, shell: Any, settings: dict[str, Any], early: dict[str, list[tuple[str, str]]], inside: Any
    ) -> None:
        self.shell, self.inside = shell, inside
        self.seed = int(settings["seed"])
        self.promised: list[list[str]] = settings["numbers"]  # for each cell that will be sent
        folders = (os.path.realpath(folder) + os.sep for folder in settings["own"])
        self.own = sorted(folders, key=len, reverse=True)
        self.early = early  # what importing a module warned about before this process was forked
        self.cell = self.depth = 0
        self.files: dict[str, int] = {}  # file name of a compiled cell -> its number
        self.known: dict[str, str | None] = {}  # file name -> the course's own file
        self.seen: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.before: dict[str, int] = {}
        self.filter = next((f for f in warnings.filters if f[:3] == ("default", None, Warning)), None)
        self.show = warnings.showwarning
        warnings.showwarning = self.warned
        cache = shell.compile.cache

        def remember(*args: Any, **kwargs: Any) -> Any:
            name = cache(*args, **kwargs)
            if self.depth == 1:
                self.files[name] = self.cell
            return name

        shell.compile.cache = remember
        shell.events.register("pre_run_cell", self.starts)
        shell.events.register("post_run_cell", self.ended)

    def starts(self, _info: Any = None) -> None:
        """A cell begins; one that another cell runs belongs to that."""
        self.depth += 1
        if self.depth > 1:
            return
        self.cell += 1
        if self.cell == 1:
            self.inside.seed(
                self.seed
            )  # as late as this: what a kernel does when it starts draws random numbers
        self.seen = {}
        names = self.shell.user_ns
        names.pop("__warningregistry__", None)  # or the same line of two cells would warn once
        self.before = {name: id(value) for name, value in names.items()}

    def ended(self, result: Any = None) -> None:
        """A cell is over: publish what was seen."""
        self.depth -= 1
        if self.depth > 0:
            return
        self.depth = 0
        error = result and (result.error_before_exec or result.error_in_exec)
        info = getattr(result, "info", None)
        source = getattr(info, "raw_cell", "") or ""
        self.replay(source)
        report = {
            "error": self.place(error) if error is not None else None,
            "warnings": list(self.seen.values()),
            "defined": self.defined(),
            "numbers": self.numbers() if error is None else {},
            "peak": self.inside.peak_memory(),
            "exit": bool(self.shell.exit_now),
        }
        self.shell.display_pub.publish(data={MIME: report}, metadata={})

    def defined(self) -> list[str]:
        """The names that this cell bound, as a person sees them."""
        hidden, before = self.shell.user_ns_hidden, self.before
        return sorted(
            name
            for name, value in self.shell.user_ns.items()
            if before.get(name) != id(value)
            and name not in {"In", "Out", "exit", "quit", "get_ipython", "_exit_code"}
            and not (name in hidden and name in before)
            and not re.match(r"_+(i*|\d*|i\d+|dh|oh|ih)$|__", name)
        )

    def numbers(self) -> dict[str, str]:
        """The promised numbers of this cell; one that cannot be computed is left out."""
        found = {}
        for name in self.promised[self.cell - 1]:
            try:
                found[name] = repr(as_number(eval(name, self.shell.user_ns)))
            except Exception:
                continue
        return found

    def helper(self, filename: str) -> str | None:
        """The file relative to the course's own folder that holds it; ``None``: it is not the course's."""
        if filename not in self.known:  # asking the disk for every frame of every warning would cost
            full = os.path.realpath(filename)
            made_up = filename.startswith("<") or "site-packages" in full
            folders = [f for f in self.own if full.startswith(f) and not made_up]
            self.known[filename] = full[len(folders[0]) :].replace(os.sep, "/") if folders else None
        return self.known[filename]

    def place(self, error: BaseException) -> dict[str, Any]:
        """Where an error comes from: the innermost line of this cell, and of the course's own files."""
        where: dict[str, Any] = {"line": None, "file": None, "file_line": None}
        trace = error.__traceback__
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if self.files.get(name) == self.cell:
                where["line"] = trace.tb_lineno
            elif name not in self.files and (helper := self.helper(name)):
                where["file"], where["file_line"] = helper, trace.tb_lineno
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            if (helper := self.helper(error.filename)) and error.filename not in self.files:
                where["file"], where["file_line"] = helper, error.lineno
            elif where["line"] is None:
                where["line"] = error.lineno
        return where

    def warned(
        self, message: Any, category: Any, filename: str, lineno: int, *more: Any, **named: Any
    ) -> None:
        """What `warnings` calls for a warning that passed the filters."""
        frame: Any = origin()
        source = frame
        trail: list[Any] = []
        while frame is not None:
            name = frame.f_code.co_filename
            helper = self.helper(name)
            if helper or name in self.files:
                # that a kernel's threads do not go well with a fork is not the notebook's doing
                if not theirs(trail) and "is multi-threaded, use of fork()" not in str(message):
                    self.note(self.files.get(name, self.cell), frame.f_lineno, helper, category, message)
                break
            trail.append(frame)
            frame = frame.f_back
        else:
            # nothing of the notebook is running: a thread, a figure that is drawn, or the kernel itself
            if not _MACHINERY.search(source.f_code.co_filename):
                self.note(self.cell, None, None, category, message)
        if self.shown(category, filename):
            self.show(message, category, filename, lineno, *more, **named)

    def note(self, cell: int, line: int | None, helper: str | None, category: Any, message: Any) -> None:
        """Count a warning."""
        kind, text = getattr(category, "__name__", category), str(message)[:2000]
        key = (cell, line, helper, kind, text)
        entry = self.seen.setdefault(
            key,
            {
                "cell": cell,
                "line": line,
                "file": helper,
                "category": kind,
                "message": text,
                "count": 0,
            },
        )
        entry["count"] += 1

    def shown(self, category: Any, filename: str) -> bool:
        """Whether a kernel would show it: Python's own filters, unless the notebook set others."""
        if not issubclass(category, _QUIET):
            return True
        if issubclass(category, DeprecationWarning) and filename in self.files:
            return True
        for entry in warnings.filters:
            if entry is self.filter:
                return False
            if entry[1] is None and entry[3] is None and issubclass(category, entry[2]):
                return True
        return True

    def replay(self, source: str) -> None:
        """Say again what an import warned about when the modules were loaded for all notebooks."""
        if not self.early or not any(name in source for name in self.early):
            return
        try:
            tree = ast.parse(self.shell.transform_cell(source))
        except Exception:
            return
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                for category, message in self.early.pop(name.split(".")[0], ()):
                    self.note(self.cell, node.lineno, None, category, message)
