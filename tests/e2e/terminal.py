"""A terminal with a person at it: reads what is shown, types, presses Ctrl-C, closes the window."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


class Terminal:
    """A program on a pseudo-terminal. POSIX only: Windows has no such thing in the standard library."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        import pty

        self.shown = ""
        self.code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the program: nothing but system calls until it is replaced
            try:
                os.chdir(cwd)
                os.execve(argv[0], list(argv), dict(env))
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_window()
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait(5)

    def read_until(self, word: str, seconds: float = 60) -> bool:
        """Read what is shown until `word` is part of it; ``False`` where the program ended or time passed."""
        deadline = time.monotonic() + seconds
        while word not in self.shown:
            if time.monotonic() > deadline or not self._read(0.1):
                return word in self.shown
        return True

    def _read(self, seconds: float) -> bool:
        """Read what there is; ``False`` at the end of the program's output."""
        if self._fd < 0:
            return False
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # Linux's way to say that the other side has closed
            return False
        self.shown += chunk.decode("utf-8", "replace")
        return bool(chunk)

    def type(self, text: str) -> None:
        """Press keys; Ctrl-C is ``\\x03``."""
        os.write(self._fd, text.encode())

    def close_window(self) -> None:
        """Close the terminal: the program gets SIGHUP, and nobody reads what it writes."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def kill(self) -> None:
        """SIGKILL to the program alone."""
        os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> bool:
        """Whether the program is over; its exit code is kept for `wait`."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float = 30) -> int:
        """The exit code, reading on meanwhile; -N for a signal.

        Raises:
            TimeoutError: the program goes on.
        """
        deadline = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                while self._fd >= 0 and self._read(0) and select.select([self._fd], [], [], 0)[0]:
                    pass
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"still running after {seconds} s; it showed:\n{self.shown}")
            if not self._read(0.05):
                time.sleep(0.02)
        return self.code
