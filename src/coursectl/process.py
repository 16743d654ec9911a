"""The only place that starts another program: argument lists, a timeout, redaction.

Output is captured and handed back; a caller shows it only when the program failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from coursectl.errors import CourseError

HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that ended. `seconds` is wall time; `timed_out` means that we ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.returncode == 0 and not self.timed_out


def redact(text: str, secrets: Sequence[str]) -> str:
    """`text` without the secrets.

    >>> redact("token=abc", ["abc"])
    'token=***'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return text


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    on_stdout: Callable[[str], None] | None = None,
    on_stderr: Callable[[str], None] | None = None,
    keep_stdin_open: bool = False,
    secrets: Sequence[str] = (),
) -> Completed:
    """Run a program to its end and hand back what it printed.

    Args:
        argv: the program and its arguments; never a shell line.
        timeout: seconds after which it and its children are killed.
        env: the whole environment; ours by default.
        stdin: text written to it; nothing by default.
        on_stdout: called with each line as it comes (without the newline), from a thread.
        on_stderr: likewise for standard error.
        keep_stdin_open: leave standard input open until the end, so that the program sees it close when
            *we* die: the portable way not to outlive a launcher that was killed.
        secrets: strings replaced by ``***`` in everything handed back.

    Raises:
        CourseError: there is no such program (code ``no-program``).
    """
    start = time.monotonic()
    words = tuple(str(a) for a in argv)
    process = _start(words, cwd=cwd, env=env)
    collected: dict[str, list[str]] = {"out": [], "err": []}
    readers = [
        _reader(process.stdout, collected["out"], on_stdout),
        _reader(process.stderr, collected["err"], on_stderr),
    ]
    timed_out = False
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it may end before it reads
                process.stdin.write(stdin or "")
                process.stdin.flush()
                if not keep_stdin_open:
                    process.stdin.close()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            kill_tree(process.pid)
            process.wait()
    except BaseException:  # Ctrl-C: nothing that we started stays
        kill_tree(process.pid)
        process.wait()
        raise
    finally:
        for reader in readers:
            reader.join(timeout=10)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
    return Completed(
        argv=tuple(redact(w, secrets) for w in words),
        returncode=process.returncode,
        stdout=redact("".join(collected["out"]), secrets),
        stderr=redact("".join(collected["err"]), secrets),
        seconds=time.monotonic() - start,
        timed_out=timed_out,
    )


def _start(
    words: tuple[str, ...], *, cwd: Path | None, env: Mapping[str, str] | None
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(env) if env is not None else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # its own group: a Ctrl-C in the terminal reaches us first, and we end it in order
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except FileNotFoundError as exc:
        raise no_program(words[0]) from exc
    except OSError as exc:
        raise CourseError(f"cannot start {words[0]}", cause=str(exc), code="no-program") from exc


def no_program(name: str) -> CourseError:
    """The error for a program that is not there."""
    return CourseError(f"there is no program {name}", code="no-program")


def _reader(
    stream: IO[str] | None, into: list[str], on_line: Callable[[str], None] | None
) -> threading.Thread:
    def read() -> None:
        assert stream is not None
        with stream:
            for line in stream:
                into.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True)
class Spawned:
    """A program that goes on. Close `stdin` (or die) to tell it that its launcher is gone."""

    pid: int
    popen: subprocess.Popen[bytes]


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    leash: bool = True,
    pass_fds: Sequence[int] = (),
) -> Spawned:
    """Start a program that goes on while we do something else; what it prints goes to `log` (0600).

    Args:
        leash: give it a pipe as standard input that closes when we end; without, it is cut loose from our
            terminal and process group and outlives us.
        pass_fds: open files that it inherits under the same numbers (POSIX).

    Raises:
        CourseError: there is no such program, or the log cannot be written.
    """
    words = tuple(str(a) for a in argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as stream:
        try:
            popen = subprocess.Popen(
                words,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                stdin=subprocess.PIPE if leash else subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(pass_fds),
                start_new_session=sys.platform != "win32",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except FileNotFoundError as exc:
            raise no_program(words[0]) from exc
    return Spawned(popen.pid, popen)


def attach(
    argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run a program on the person's own terminal and return its exit code (``coursectl run``).

    Raises:
        CourseError: there is no such program.
    """
    words = tuple(str(a) for a in argv)
    try:
        process = subprocess.Popen(words, cwd=cwd, env=dict(env) if env is not None else None)
    except FileNotFoundError as exc:
        raise no_program(words[0]) from exc
    with _ignore_interrupts():  # Ctrl-C belongs to the program; we wait for what it decides
        return process.wait()


@contextlib.contextmanager
def _ignore_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def kill_tree(pid: int, *, patience: float = 0.0) -> None:
    """End a process and all that descend from it: politely for `patience` seconds, then at once."""
    import psutil

    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    if patience > 0:
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        _, family = psutil.wait_procs(family, timeout=patience)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=5)
