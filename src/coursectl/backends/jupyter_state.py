"""The record of a server that runs: one private folder a server, and proof that its process is ours.

A folder ``servers/<key>`` (0700) holds ``state.json`` while the server runs, its ``token`` and login page
(0600), its log, and Jupyter's runtime files. A process id alone proves nothing, because systems use ids
again, so the record holds the *identity* of the process too: on Linux the boot and the clock tick at which
it began (`proc(5)`, field 22), which unlike a wall-clock time survives a changed clock; elsewhere psutil's
creation time. A record whose process is gone or is another is cleaned, never acted upon.

`coursectl status` imports this module and little else, so what only writing needs is imported by the writers.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl import paths
from coursectl.errors import CourseError, Hint, ServerError

if TYPE_CHECKING:
    from coursectl.model.launch import Server

STATE_SCHEMA = 1
STATE = "state.json"
LAST = "last.json"
TOKEN = "token"
OPEN_PAGE = "open.html"
LOG = "server.log"
KEEPER_LOG = "keeper.log"
"""Empty, unless the keeper itself fails: an open log could not be put aside for the next one on Windows."""
LOCK = "lock"


def server_key(course_root: Path | str, semester: str, environment: str, variant: str) -> str:
    """The name of a server: the same folder, semester, environment and variant have one server.

    >>> server_key("/c", "fall2026", "phys398", "cpu")
    'bca0642050b145a2'
    """
    import hashlib

    words = json.dumps(["server", 1, str(course_root), semester, environment, variant])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def folder(key: str) -> Path:
    """Where everything of the server called `key` lies."""
    return paths.servers() / key


def snap_page(key: str) -> str:
    """The name of the login page's copy in the folder of a browser that is a snap."""
    return f"coursectl-{key}.html"


def make_private(target: Path) -> None:
    """Make the folder, and the folder of servers above it, for this user alone.

    Raises:
        CourseError: the system refuses.
    """
    from coursectl import files

    try:
        for each in (paths.servers(), target):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)
    except OSError as exc:
        raise files.os_error(exc, f"cannot make {target}") from exc


def identity(pid: int) -> tuple[str, float] | None:
    """What tells this process from every other that has or had its id, and when it began (seconds since
    the epoch); ``None`` where no such process runs. One that has ended and waits for its parent is gone.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return _linux_identity(pid)
        return None
    import psutil

    with contextlib.suppress(psutil.Error, ValueError, OverflowError):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            started = process.create_time()
            return f"{started:.3f}", started
    return None


def _linux_identity(pid: int) -> tuple[str, float] | None:
    if sys.platform == "win32":
        return None  # os.sysconf is POSIX's
    # the name in parentheses may itself hold spaces and parentheses
    rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    if rest[0] in {"Z", "X", "x"}:
        return None
    ticks = int(rest[19])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with Path("/proc/stat").open() as stream:
        began = next(int(line.split()[1]) for line in stream if line.startswith("btime "))
    return f"{boot}:{ticks}", began + ticks / os.sysconf("SC_CLK_TCK")


def remember(server: Server) -> None:
    """Note `server` before it answers, so that its log is found even if it never does."""
    from coursectl import files

    files.write_atomic(folder(server.key) / LAST, json.dumps(_content(server, "")), mode=0o600)


def _content(server: Server, known: str) -> dict[str, object]:
    return {"schema": STATE_SCHEMA, "identity": known, "server": asdict(server)}


def save(server: Server) -> None:
    """Record `server`, whose process runs.

    Raises:
        ServerError: its process has ended.
        CourseError: the record cannot be written.
    """
    from coursectl import files

    known = identity(server.pid)
    if known is None:
        raise ServerError("JupyterLab ended as soon as it had started", hints=(f"read {server.log}",))
    state = json.dumps(_content(server, known[0]))
    files.write_atomic(folder(server.key) / STATE, state, mode=0o600)


def load(key: str) -> Server | None:
    """The server called `key` if it runs; what a dead one left is cleaned.

    Raises:
        ServerError: a newer coursectl wrote the record (code ``newer-state``); nothing is changed.
    """
    server, known = _read(folder(key) / STATE)
    if server is None:
        return None
    now = identity(server.pid)
    if now is not None and now[0] == known:
        return server
    _clear_stale(key)
    return None


def load_all() -> tuple[Server, ...]:
    """Every server that runs, by course, semester and environment.

    Raises:
        ServerError: a newer coursectl wrote one of the records.
    """
    try:
        keys = [entry.name for entry in os.scandir(paths.servers()) if entry.is_dir()]
    except FileNotFoundError:
        return ()
    found = [server for server in map(load, keys) if server is not None]
    return tuple(sorted(found, key=lambda s: (s.course_root, s.semester, s.environment, s.variant)))


def remembered() -> tuple[Server, ...]:
    """Every server that was ever started, running or not, the one that began last first."""
    found = sorted(paths.servers().glob(f"*/{LAST}"), key=lambda p: p.stat().st_mtime, reverse=True)
    return tuple(server for path in found if (server := _read(path)[0]) is not None)


def clear(key: str, *, pid: int | None = None) -> None:
    """Take down the record of a server that has ended, its token and its login page; the log stays.

    With `pid`, only where the record names that process: a successor's record is not touched.
    """
    home = folder(key)
    if pid is not None:
        server = _read(home / STATE)[0]
        if server is not None and server.pid != pid:
            return
    copies = Path.home().glob(f"snap/*/common/{snap_page(key)}") if sys.platform == "linux" else ()
    for path in (home / TOKEN, home / OPEN_PAGE, home / STATE, *copies):
        with contextlib.suppress(OSError):
            path.unlink()


def _clear_stale(key: str) -> None:
    from coursectl import files

    # under the lock and read again: someone may be starting this very server
    try:
        with files.lock(folder(key) / LOCK, timeout=0):
            server, known = _read(folder(key) / STATE)
            now = identity(server.pid) if server is not None else None
            if now is None or now[0] != known:
                clear(key)
    except CourseError as exc:
        if exc.code != "locked":
            raise


def _read(path: Path) -> tuple[Server | None, str]:
    """The server of a record and its process's identity; a damaged record is no record."""
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None, ""
    from coursectl.model.launch import Server

    schema = state.get("schema") if isinstance(state, dict) else None
    if isinstance(schema, int) and schema > STATE_SCHEMA:
        raise ServerError(
            "a newer coursectl started this server",
            cause=f"{path} has format {schema}; this coursectl knows {STATE_SCHEMA}",
            hints=(Hint(text="upgrade this one:", command="pip install --upgrade coursectl"),),
            code="newer-state",
        )
    try:
        wanted = {field.name for field in fields(Server)}
        server = Server(**{k: v for k, v in state["server"].items() if k in wanted})
        if not isinstance(server.pid, int) or server.pid <= 0 or not isinstance(server.port, int):
            return None, ""
        return server, str(state["identity"])
    except (KeyError, TypeError, AttributeError):
        return None, ""
