"""What is installed in a prefix, and whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from coursectl.model.course import EngineKind

PREFIX_SCHEMA = 1
MARKER = "coursectl.json"
"""The file at the top of a prefix that says it is whole: written in staging, before the rename."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRecord:
    """The content of `MARKER`: which build of which release this prefix is."""

    digest: str
    course: str
    semester: str
    environment: str
    variant: str
    platform: str
    engine: EngineKind
    packages: int
    installed_bytes: int | None = None
    schema: int = PREFIX_SCHEMA


class ProblemKind(StrEnum):
    """What is wrong with a file of an environment."""

    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    NOT_LOCKED = "not-locked"  # a package that the lock does not have
    NOT_INSTALLED = "not-installed"  # a package of the lock that is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One file (relative to the prefix, with ``/``) or package that differs from the lock."""

    kind: ProblemKind
    path: str
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The verdict over one prefix."""

    prefix: str
    packages: int
    files: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether every file is as it was installed."""
        return not self.problems
