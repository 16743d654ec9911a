"""Every error a person can meet: what is wrong, why, and the command to type next.

This module imports nothing of coursectl. Subclasses follow the *remedy* (what the reader
has to change), not the component that failed; a backend translates foreign exceptions at
its border with ``raise SolveError(...) from exc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the shell sees. The numbers are a contract (docs/architecture.md)."""

    DONE = 0
    VERDICT = 1  # a negative verdict: a lock is stale, a check failed
    USAGE = 2  # the command line or the course file is wrong
    FAILED = 3  # it could not be done
    NETWORK = 4  # network or credentials
    BUG = 70  # our bug
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One way out: a sentence, with the command that can be pasted where there is one.

    >>> str(Hint(text="install it first:", command="coursectl up"))
    'install it first: `coursectl up`'
    """

    text: str = ""
    command: str | None = None

    def __str__(self) -> str:
        if self.command is None:
            return self.text
        return f"{self.text} `{self.command}`".strip()


class CourseError(Exception):
    """Something a person can mend.

    Args:
        message: what is wrong, in the reader's own terms; one line, no full stop.
        cause: why, one line; ``None`` only where the message says it all.
        hints: what to type or change next, best first.
        code: stable identifier for scripts (``--json``); the class's own by default.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    default_code: ClassVar[str] = "failed"

    def __init__(
        self,
        message: str,
        *,
        cause: str | None = None,
        hints: tuple[Hint | str, ...] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hints = tuple(Hint(text=h) if isinstance(h, str) else h for h in hints)
        self.code = code or self.default_code


class UsageError(CourseError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = ExitCode.USAGE
    default_code = "usage"


class CourseFileError(UsageError):
    """course.yaml, or a file it names, is wrong; the message starts with ``file:line:`` where known."""

    default_code = "course-file"


class SolveError(CourseError):
    """An environment cannot be solved for a platform."""

    default_code = "unsolvable"


class LockError(CourseError):
    """A lockfile or release is missing, damaged, unsafe or does not cover this machine."""

    default_code = "lock"


class InstallError(CourseError):
    """An environment could not be installed; the one that worked before still stands."""

    default_code = "install"


class DiskSpaceError(CourseError):
    """Not enough room; the message says the bytes needed and the bytes free."""

    default_code = "disk-full"


class EnvironmentDamagedError(CourseError):
    """Files of an installed environment are missing or changed: `coursectl env repair`."""

    default_code = "environment-damaged"


class ServerError(CourseError):
    """JupyterLab did not start, stop or answer."""

    default_code = "server"


class NetworkError(CourseError):
    """An address could not be reached, or refused the credentials."""

    exit_code = ExitCode.NETWORK
    default_code = "network"


class VerdictError(CourseError):
    """A question was answered with no (a lock is stale, a file is changed)."""

    exit_code = ExitCode.VERDICT
    default_code = "verdict"


class MissingExtraError(CourseError):
    """A staff command needs a library that a student's install does not have."""

    default_code = "missing-extra"
