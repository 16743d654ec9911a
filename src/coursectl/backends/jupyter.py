"""A prefix's JupyterLab on this machine: started, found again, opened, stopped, with nothing left behind.

The launcher starts a `jupyter_keeper`, which owns the server. While the launcher is attached it holds the
keeper's leash; detached, it cuts the leash once the server answers, so that a launcher killed on the way
leaves nothing in either mode.

The keeper is started first, so what only the steps after that need is imported there.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from coursectl import activation, files, process
from coursectl.backends import jupyter_env, jupyter_ports, jupyter_state
from coursectl.backends.jupyter_keeper import Ending
from coursectl.backends.jupyter_state import KEEPER_LOG, LOCK, LOG, OPEN_PAGE, TOKEN
from coursectl.errors import Hint, ServerError
from coursectl.model.launch import Server
from coursectl.model.progress import Progress

DEFAULT_PORT = 8888
STOP_PATIENCE = 8.0
"""Seconds that a keeper has to end everything; it needs about five at most."""
_POLL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Start the JupyterLab of `prefix` on the folder `course_root`.

    `port` is the first to try. `detached`: go on after coursectl ends. `timeout`: seconds to the first
    answer.
    """

    prefix: Path
    course_root: Path
    semester: str
    environment: str
    variant: str
    digest: str
    port: int = DEFAULT_PORT
    detached: bool = False
    timeout: float = 120.0

    @property
    def key(self) -> str:
        """The server's name: `jupyter_state.server_key` of what it serves."""
        return jupyter_state.server_key(self.course_root, self.semester, self.environment, self.variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers. `keeper` is the process to `watch` when attached; ``None`` when the server is
    detached or ran before (`found`). Its `server.digest` may then differ from the one asked for.
    """

    server: Server
    keeper: process.Spawned | None = None
    found: bool = False


class EndReason(StrEnum):
    """How an attached server came to its end."""

    INTERRUPTED = "interrupted"  # Ctrl-C
    STOPPED = "stopped"  # `coursectl down` elsewhere
    SHUT_DOWN = "shut-down"  # JupyterLab's own menu
    CRASHED = "crashed"


def find(key: str) -> Server | None:
    """The server called `key` (`StartRequest.key`) if it runs.

    Raises:
        ServerError: a newer coursectl started it (code ``newer-state``).
    """
    return jupyter_state.load(key)


def find_all() -> tuple[Server, ...]:
    """Every server of this user that runs.

    Raises:
        ServerError: a newer coursectl started one of them (code ``newer-state``).
    """
    return jupyter_state.load_all()


def start(request: StartRequest, progress: Progress) -> Running:
    """Start the server, or find the one that runs; returns when it answers ``/api/status``.

    Raises:
        ServerError: it did not start or did not answer in time (the log's last lines are the cause), every
            port is taken, or a newer coursectl started it.
    """
    running = _answering(request.key)
    if running is not None:
        return Running(server=running, found=True)
    if not activation.python_of(request.prefix).exists():
        raise ServerError(
            f"there is no Python in {request.prefix}",
            hints=(Hint(text="install the environment again:", command="coursectl env repair"),),
        )
    home = jupyter_state.folder(request.key)
    jupyter_state.make_private(home)
    keeper = _spawn_keeper(home)  # it starts up while we do what follows, and waits for its job
    try:
        return _start_locked(request, home, keeper, progress)
    except BaseException:  # Ctrl-C too: nothing that we started stays
        end_keeper(keeper)
        raise


def _answering(key: str) -> Server | None:
    """The server called `key` if it runs; one that is just ending is waited for, and is none."""
    deadline = time.monotonic() + STOP_PATIENCE
    while (server := find(key)) is not None and not _listens(server.port) and time.monotonic() < deadline:
        time.sleep(0.05)
    return server


def _start_locked(request: StartRequest, home: Path, keeper: process.Spawned, progress: Progress) -> Running:
    def waiting() -> None:
        progress.say("another coursectl is starting this server; waiting for it")

    with files.lock(home / LOCK, on_wait=waiting, timeout=request.timeout + 30):
        running = _answering(request.key)
        if running is not None:
            end_keeper(keeper)  # it never got its job
            return Running(server=running, found=True)
        _prepare(home, request.course_root)
        with progress.task("start JupyterLab"):
            return _start_on_a_free_port(request, home, keeper)


def _prepare(home: Path, course_root: Path) -> None:
    """Make the private folder ready: the settings of this version, and nothing of the last server's."""
    files.remove_tree(home / "runtime")
    for part in ("runtime", "workspaces", "config"):
        jupyter_state.make_private(home / part)
    jupyter_env.write_settings(home, course_root)
    log = home / LOG
    if log.exists():
        files.replace(log, log.with_suffix(".log.1"))


def _start_on_a_free_port(request: StartRequest, home: Path, first: process.Spawned) -> Running:
    import secrets

    keeper = first
    for port in jupyter_ports.free(request.port):
        token = secrets.token_urlsafe(32)
        files.write_atomic(home / TOKEN, token, mode=0o600)
        if keeper.popen.poll() is not None:  # it went down with a server that lost its port
            keeper = _spawn_keeper(home)
        try:
            _give_job(keeper, request, home, port)
            server = _describe(request, home, port, keeper)
            jupyter_state.remember(server)
            if not _answers(request, keeper, port, token):
                end_keeper(keeper)
                continue  # someone took the port between our look and the server's
            files.write_atomic(home / OPEN_PAGE, _login_page(server.url, token), mode=0o600)
            jupyter_state.save(server)
        except BaseException:
            end_keeper(keeper)
            raise
        if not request.detached:
            return Running(server=server, keeper=keeper)
        _cut_loose(keeper)
        return Running(server=server)
    raise jupyter_ports.all_taken(request.port)


def _spawn_keeper(home: Path) -> process.Spawned:
    # -P and the private folder as working directory: a student's json.py is no module of ours or Jupyter's
    argv = (sys.executable, "-P", "-m", "coursectl.backends.jupyter_keeper")
    return process.spawn(argv, log=home / KEEPER_LOG, cwd=home)


def _give_job(keeper: process.Spawned, request: StartRequest, home: Path, port: int) -> None:
    job = {
        "argv": jupyter_env.server_argv(request.prefix, request.course_root, port),
        "env": jupyter_env.server_environment(request.prefix, home),
        "log": str(home / LOG),
        "port": port,
        "key": request.key,
    }
    assert keeper.popen.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has died: the wait for an answer says so
        keeper.popen.stdin.write(json.dumps(job).encode() + b"\n")
        keeper.popen.stdin.flush()


def _answers(request: StartRequest, keeper: process.Spawned, port: int, token: str) -> bool:
    """Wait for the server's first answer; ``False`` if it ended because its port was taken.

    Raises:
        ServerError: it ended for another reason, answers to strangers, or stays silent.
    """
    from coursectl import web

    deadline = time.monotonic() + request.timeout
    log = jupyter_state.folder(request.key) / LOG
    while time.monotonic() < deadline:
        if keeper.popen.poll() is not None:
            lines = tail(log, 15) or tail(log.with_name(KEEPER_LOG), 15)
            if any("is already in use" in line or "is not available" in line for line in lines):
                return False
            raise _failed("JupyterLab ended while it started", lines)
        if _listens(port):
            with contextlib.suppress(OSError):
                status = web.loopback(port, "/api/status", token=token, timeout=5).status
                if status == 200:
                    _require_login(port, log)
                    return True
        time.sleep(_POLL)
    raise _failed(f"JupyterLab did not answer within {request.timeout:.0f} s", tail(log, 15))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _require_login(port: int, log: Path) -> None:
    """Refuse a server that a system-wide configuration has opened to every user of this machine."""
    from coursectl import web

    if web.loopback(port, "/lab", token=None, timeout=10).status == 200:  # otherwise sent to the login
        raise ServerError(
            "JupyterLab was stopped: it would have let in every user of this machine",
            cause="a Jupyter configuration on this system turns the login off",
            hints=(f"look for an empty token in the files of `jupyter --paths`; the log is {log}",),
            code="no-login",
        )


def _failed(message: str, lines: tuple[str, ...]) -> ServerError:
    said = "\n".join(lines) or "it printed nothing"
    return ServerError(
        message,
        cause=f"the end of its log:\n{said}",
        hints=(
            Hint(text="the whole log:", command="coursectl logs"),
            Hint(text="check the environment:", command="coursectl env verify"),
        ),
        code="not-started",
    )


def _describe(request: StartRequest, home: Path, port: int, keeper: process.Spawned) -> Server:
    known = jupyter_state.identity(keeper.pid)
    return Server(
        key=request.key,
        url=f"http://127.0.0.1:{port}/lab",
        port=port,
        pid=keeper.pid,
        started=known[1] if known else time.time(),
        course_root=str(request.course_root),
        semester=request.semester,
        environment=request.environment,
        variant=request.variant,
        digest=request.digest,
        prefix=str(request.prefix),
        log=str(home / LOG),
        open_file=str(home / OPEN_PAGE),
        detached=request.detached,
    )


def _login_page(url: str, token: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Opening JupyterLab</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={url}?token={token}">
</head><body><p><a href="{url}?token={token}">Open JupyterLab</a></p></body></html>
"""


def _cut_loose(keeper: process.Spawned) -> None:
    stdin = keeper.popen.stdin
    assert stdin is not None
    try:
        stdin.write(b"detach\n")
        stdin.close()
    except BrokenPipeError as exc:
        raise ServerError("JupyterLab ended as soon as it had started") from exc
    keeper.popen.returncode = 0  # it is no child to wait for now, and Popen need not warn that it goes on


def watch(running: Running) -> EndReason:
    """Wait until an attached server ends. Ctrl-C ends it in order; a second Ctrl-C ends it at once."""
    keeper = running.keeper
    if keeper is None:
        raise ValueError("this server is not attached to us")
    try:
        code = _wait(keeper)
    except KeyboardInterrupt:
        end_keeper(keeper)
        jupyter_state.clear(running.server.key, pid=running.server.pid)
        return EndReason.INTERRUPTED
    end_keeper(keeper)  # it has ended: this closes our side of the leash
    jupyter_state.clear(running.server.key, pid=running.server.pid)
    known = {Ending.STOPPED: EndReason.STOPPED, Ending.SHUT_DOWN: EndReason.SHUT_DOWN}
    return next((reason for ending, reason in known.items() if ending == code), EndReason.CRASHED)


def _wait(keeper: process.Spawned) -> int:
    while sys.platform == "win32" and keeper.popen.poll() is None:
        time.sleep(0.25)  # a wait without end does not see Ctrl-C there
    return keeper.popen.wait()


def end_keeper(keeper: process.Spawned) -> None:
    """Let go of the leash and wait for the end; kill what is left after `STOP_PATIENCE` or a Ctrl-C."""
    assert keeper.popen.stdin is not None
    with contextlib.suppress(OSError):
        keeper.popen.stdin.close()
    deadline = time.monotonic() + STOP_PATIENCE
    try:
        while keeper.popen.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    except KeyboardInterrupt:
        deadline = 0
    if keeper.popen.poll() is None:
        process.kill_tree(keeper.pid)
    keeper.popen.wait()


def stop(server: Server) -> bool:
    """End the server and its kernels; ``False`` where it had ended already.

    Raises:
        ServerError: it could not be ended.
    """
    if find(server.key) != server:
        return False
    if sys.platform == "win32":  # no signal is orderly there
        from coursectl import web

        with contextlib.suppress(OSError):
            web.loopback(server.port, "/api/shutdown", token=token(server), method="POST", timeout=3)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, 15)
    deadline = time.monotonic() + STOP_PATIENCE
    while jupyter_state.identity(server.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    if jupyter_state.identity(server.pid) is not None:
        process.kill_tree(server.pid)
    if jupyter_state.identity(server.pid) is not None:
        raise ServerError(
            f"process {server.pid} does not end", hints=("end it with the system's own tools, or log out",)
        )
    jupyter_state.clear(server.key, pid=server.pid)
    return True


def token(server: Server) -> str:
    """The server's token, for a client in this process; never print it.

    Raises:
        ServerError: the server has ended.
    """
    try:
        return (jupyter_state.folder(server.key) / TOKEN).read_text()
    except OSError as exc:
        raise ServerError("this JupyterLab has ended", hints=(_start_again(),)) from exc


def _start_again() -> Hint:
    return Hint(text="start it again:", command="coursectl up")


def tail(log: Path, lines: int) -> tuple[str, ...]:
    """The last `lines` lines of a log; none where there is no log."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 400 * (lines + 1)))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:])
