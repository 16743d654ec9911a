"""What runs inside a notebook's own process, in both ways: it watches the cells and reports on each.

Standalone: run by the environment's Python (3.9 or newer), so it imports nothing of coursectl. After each
cell it publishes one message of the type `MIME` among the cell's outputs, which the run loop takes out::

    {"error": {"line", "file", "file_line"} | null, "warnings": [{"cell", "line", "file", "category",
     "message", "count"}], "defined": [...], "numbers": {"mass": "125.1"}, "peak": bytes, "exit": false}

where ``cell`` counts the cells that were sent, from 1.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

MIME = "application/vnd.coursectl.cell+json"
NUMBER = re.compile(r"^\s*#\s*coursectl:\s*(\S.*?)\s*=\s*[-+]?(?:\d|\.\d|inf|nan)[^=]*$", re.IGNORECASE)
"""A line that promises a number; the name is an expression. The last ``=`` is the one that counts."""

_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
_REFUSED = "coursectl runs this notebook without network; declare `network: true` in course.yaml's notebooks"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def number_names(source: str) -> list[str]:
    """The expressions that the ``# coursectl:`` lines of a cell name.

    >>> number_names("m = fit()\\n# coursectl: m[0] = 125.1 +- 0.3\\n# coursectl: m = hello")
    ['m[0]']
    """
    found = (NUMBER.match(line) for line in source.splitlines())
    return [match.group(1) for match in found if match]


def as_number(value: Any) -> float:
    """A float from what physicists compute: a plain number, an array of one, a value with an uncertainty."""
    for attribute in ("nominal_value", "value"):  # uncertainties, astropy
        inner = getattr(value, attribute, None)
        if inner is not None and not callable(inner):
            value = inner
    return float(value.item() if hasattr(value, "item") else value)


def adopt() -> None:
    """Become the parent of what our children leave behind: ``prctl(2)``, Linux."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with(parent: int) -> None:
    """End when the process that started this one does; be the first to go where memory is short. Linux."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked to be told
        os._exit(1)
    try:
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError:  # a container may not allow it
        return


def seed(value: int) -> None:
    """Give ``random`` and NumPy's legacy generator a fixed start. NumPy is imported where it is installed."""
    random.seed(value)
    with contextlib.suppress(Exception):  # a broken NumPy is for the notebook to meet
        import numpy

        numpy.random.seed(value % 2**32)


def refuse_network() -> None:
    """Refuse connections beyond this machine: a guard against accidents, not a jail; programs get through."""
    connect, connect_ex, lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    near = {"", "localhost", "ip6-localhost", "0.0.0.0", "::", "::1", socket.gethostname()}

    def outside(host: Any) -> bool:
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii", "replace")
        return host is not None and host not in near and not re.match(r"(::ffff:)?127\.", str(host))

    def numeric(host: Any) -> bool:
        return bool(re.fullmatch(r"[\d.]+|[\da-fA-F:.]*:[\da-fA-F:.%\w]*", str(host)))

    def refused(sock: socket.socket, address: Any) -> bool:
        # connecting a datagram socket sends nothing: it is how programs ask for their own address
        internet = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        return internet and outside(address[0])

    def guarded(self: socket.socket, address: Any) -> None:
        if refused(self, address):
            raise ConnectionRefusedError(f"{address[0]}: {_REFUSED}")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if refused(self, address):
            raise ConnectionRefusedError(f"{address[0]}: {_REFUSED}")
        return connect_ex(self, address)

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if outside(host) and not numeric(host):  # an address is refused when it is connected
            raise socket.gaierror(socket.EAI_FAIL, f"{host}: {_REFUSED}")
        return lookup(host, *args, **kwargs)

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_ex  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = guarded_lookup


def peak_memory() -> int:
    """The most memory that this process ever had resident, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def warn_always() -> None:
    """Let every warning through once a place; what is shown in the notebook stays as it is in a kernel.

    Called before the first import, so that the filters of the libraries stand before this one. Called again,
    it makes Python forget what it has warned about.
    """
    warnings.simplefilter("default", append=("default", None, Warning, None, 0) in warnings.filters)


class Watch:
    """Follows the cells of a shell: errors, warnings, names and numbers, each with its place."""

    def __init__(self, shell: Any, settings: dict[str, Any], early: dict[str, list[tuple[str, str]]]) -> None:
        self.shell = shell
        self.seed = int(settings["seed"])
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
            seed(self.seed)  # as late as this: what a kernel does when it starts draws random numbers
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
            "numbers": self.numbers(source) if error is None else {},
            "peak": peak_memory(),
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

    def numbers(self, source: str) -> dict[str, str]:
        """The promised numbers of this cell; one that cannot be computed is left out."""
        found = {}
        for name in number_names(source):
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
        cell, line, helper = self.cell, None, None
        frame = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            if name in self.files:
                cell, line = self.files[name], frame.f_lineno
                break
            helper = self.helper(name)
            if helper:
                line = frame.f_lineno
                break
            frame = frame.f_back  # type: ignore[assignment]
        if line is not None or not re.search(r"[/\\](IPython|ipykernel)[/\\]", filename):
            self.note(cell, line, helper, category.__name__, str(message))
        if self.shown(category, filename):
            self.show(message, category, filename, lineno, *more, **named)

    def note(self, cell: int, line: int | None, helper: str | None, category: str, message: str) -> None:
        """Count a warning."""
        key = (cell, line, helper, category, message)
        entry = self.seen.setdefault(
            key,
            {
                "cell": cell,
                "line": line,
                "file": helper,
                "category": category,
                "message": message[:2000],
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


def over() -> list[tuple[int, int]]:
    """The children of this process that have ended, with what ``waitpid`` says of each."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))


def die_of(number: int) -> None:
    """End as if by a signal, without a core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def sweep(spared: set[int]) -> None:
    """End every child of this process that is not `spared`, and theirs: what a dead notebook left to us."""
    for _ in range(100):
        strangers = [pid for pid in children(os.getpid()) if pid not in spared]
        if not strangers:
            return
        for pid in strangers:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                pass
        time.sleep(0.005)


def children(parent: int) -> list[int]:
    """The processes that `parent` would be told about, from Linux's ``/proc``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found
