"""The program that owns one JupyterLab server: starts it, watches it, and ends it with all its kernels.

``python -m coursectl.backends.jupyter_keeper`` runs in the server's private folder and reads one line of
JSON from standard input: ``{"argv": [...], "env": {...}, "port": 8888, "log": "...", "key": "..."}``.
Standard input is then the leash: when it closes, whoever started us is gone (killed, or its terminal closed)
and the server is ended. The line ``detach`` cuts the leash. SIGTERM, SIGINT and SIGHUP end it in order.

Nothing stays, even where processes are killed one by one: kernels live in sessions of their own, so on Linux
we adopt orphans (``PR_SET_CHILD_SUBREAPER``), and the server asks for a signal at our death
(`jupyter_env`); on Windows a job object ends with us. This module imports little, because the student
waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from enum import IntEnum
from pathlib import Path
from typing import Any

from coursectl import process

ORDERLY = 4.0
"""Seconds that the server has to save, stop its kernels and end by itself."""
POLITE = 0.7
"""Seconds between asking what is left to end and killing it."""


class Ending(IntEnum):
    """Why the keeper ended: its exit code."""

    STOPPED = 0  # we were asked to, or our launcher went away
    SHUT_DOWN = 10  # from JupyterLab's own menu
    CRASHED = 11  # the server ended by itself with an error


class _Wish:
    """What the main thread waits for: someone wants the end, or the server has ended."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason = ""

    def tell(self, reason: str) -> None:
        """Record the first reason and wake the main thread."""
        self.reason = self.reason or reason
        self.event.set()

    def wait(self) -> None:
        """Return when something was told; signals are seen on Windows too, hence the steps."""
        while not self.event.wait(None if sys.platform != "win32" else 0.5):
            pass


def main() -> None:
    """Own one server until it ends; leaves with an `Ending` and never returns."""
    wish = _Wish()
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda number, _frame: wish.tell(signal.Signals(number).name))
    leash = _Leash()
    line = leash.line()
    if not line:
        os._exit(Ending.STOPPED)  # our launcher went before it had said what to start
    job: dict[str, Any] = json.loads(line)
    job_object = _own_everything() if sys.platform == "win32" else None
    env = job["env"] | {"COURSECTL_KEEPER": str(os.getpid())}
    server = process.spawn(job["argv"], log=Path(job["log"]), env=env, leash=False)
    if sys.platform.startswith("linux"):
        _adopt_orphans()
    threading.Thread(target=leash.watch, args=(wish,), daemon=True).start()
    threading.Thread(target=_await_end, args=(server, wish), daemon=True).start()
    wish.wait()
    code = server.popen.poll()
    ending = Ending.STOPPED if code is None else Ending.SHUT_DOWN if code == 0 else Ending.CRASHED
    with contextlib.suppress(OSError), Path(job["log"]).open("a", encoding="utf-8") as log:
        log.write(f"coursectl: ending JupyterLab: {wish.reason}\n")
    _end(server, int(job["port"]))
    _clear(job)
    del job_object
    os._exit(ending)  # threads of ours may be blocked in a read


class _Leash:
    """Standard input, read without buffering objects that a blocked thread would hold at exit."""

    def __init__(self) -> None:
        self._rest = b""

    def line(self) -> str:
        """The next line without its end; empty when the leash has closed."""
        while b"\n" not in self._rest:
            try:
                chunk = os.read(0, 65536)
            except OSError:
                return ""
            if not chunk:
                return ""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def watch(self, wish: _Wish) -> None:
        """Tell when the launcher is gone, unless it cut the leash before."""
        if self.line() != "detach":
            wish.tell("its launcher let go of it or is gone")


def _await_end(server: process.Spawned, wish: _Wish) -> None:
    """Tell when the server ends; meanwhile collect the adopted orphans that end."""
    if sys.platform.startswith("linux"):
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                break
            if ended is None or ended.si_pid == server.pid:
                break
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, 0)
    wish.tell(f"it ended by itself with exit code {server.popen.wait()}")


def _end(server: process.Spawned, port: int) -> None:
    """End the server and everything that descends from it, in order and within about five seconds."""
    import psutil

    me = psutil.Process()
    family = me.children(recursive=True)  # before the server goes: where orphans are not ours, we know them
    if server.popen.poll() is None:
        asked = _ask(port)
        if not asked and sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.kill(server.pid, signal.SIGTERM)  # jupyter_server stops in order on it
        deadline = time.monotonic() + ORDERLY
        while server.popen.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    for _ in range(3):  # a child may be born while we end the others
        family = [p for p in {*family, *me.children(recursive=True)} if p.is_running()]
        if not family:
            break
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.terminate()
        _, alive = psutil.wait_procs(family, timeout=POLITE)
        for member in alive:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(alive, timeout=1)


def _ask(port: int) -> bool:
    """Ask the server to shut down: the only orderly way on Windows, the quickest one everywhere."""
    from http.client import HTTPConnection, HTTPException

    try:
        token = Path("token").read_text()
        connection = HTTPConnection("127.0.0.1", port, timeout=1.5)
        connection.request("POST", "/api/shutdown", headers={"Authorization": f"token {token}"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False


def _clear(job: dict[str, Any]) -> None:
    """Take down the record of this server, if it is still ours."""
    from coursectl.backends import jupyter_state

    with contextlib.suppress(Exception):  # whatever stays is found stale by the next command
        jupyter_state.clear(job["key"], pid=os.getpid())


def _adopt_orphans() -> None:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _own_everything() -> object:
    """Put this process and all that it starts into a job that ends when our last handle closes (Windows)."""
    from coursectl.backends.jupyter_job import kill_on_close_job

    return kill_on_close_job()


if __name__ == "__main__":
    main()
