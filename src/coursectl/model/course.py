"""What course.yaml describes, after validation: nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from coursectl.model.platform import Platform, VirtualPackage
from coursectl.model.semester import Semester

BASE_VARIANT = "cpu"
"""The variant that every environment has and every machine can run."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)


def name_problem(name: str) -> str | None:
    """Why `name` cannot name a course, environment or variant on every system; ``None`` if it can.

    >>> name_problem("phys398")
    >>> name_problem("con.yml")
    'Windows reserves the name con'
    >>> name_problem("-rf")
    'a name is 1 to 64 of a-z 0-9 . _ - and starts with a letter or a digit'
    """
    if not _NAME.fullmatch(name):
        return "a name is 1 to 64 of a-z 0-9 . _ - and starts with a letter or a digit"
    if name.split(".")[0] in _RESERVED:
        return f"Windows reserves the name {name.split('.')[0]}"
    if name.endswith("."):
        return "Windows drops a full stop at the end of a name"
    return None


class EngineKind(StrEnum):
    """Which engine solves and installs an environment; decided by the kind of its spec file."""

    CONDA = "conda"  # environment.yml
    PYPI = "pypi"  # requirements.txt, requirements.in


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """An environment for a kind of machine: what it may rely on and what it adds.

    `platforms` is a subset of the environment's; `specs` are added to the spec file's.
    """

    name: str
    platforms: tuple[Platform, ...]
    virtual_packages: tuple[VirtualPackage, ...] = ()
    specs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is wanted. `spec` is the file's path relative to the course folder, with ``/``.

    `variants` always starts with `BASE_VARIANT`. `channels` are conda channel names or URLs in order
    of priority, from course.yaml or else from the spec file; empty for the PyPI engine. `python` is the
    minor version (``3.11``) that the PyPI engine installs; ``None`` for conda, where python is a package.
    """

    name: str
    spec: str
    engine: EngineKind
    platforms: tuple[Platform, ...]
    variants: tuple[Variant, ...]
    channels: tuple[str, ...] = ()
    python: str | None = None
    fallback: str | None = None

    def variant(self, name: str) -> Variant:
        """The variant called `name`; ``KeyError`` if there is none."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SemesterPlan:
    """A semester as course.yaml plans it. `as_of`: solve with packages up to that day (end of day, UTC)."""

    semester: Semester
    environments: tuple[str, ...]
    starts: date | None = None
    as_of: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course on disk. `root` is the folder of course.yaml; `lines` maps dotted keys to line numbers."""

    name: str
    title: str
    root: Path
    file: Path
    current: Semester
    semesters: tuple[SemesterPlan, ...]
    platforms: tuple[Platform, ...]
    environments: tuple[Environment, ...]
    default_environment: str
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notebooks: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
    materials: Mapping[str, object] = field(default_factory=dict)
    image: Mapping[str, object] = field(default_factory=dict)
    cloud: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def environment(self, name: str) -> Environment:
        """The environment called `name`; ``KeyError`` if there is none."""
        for environment in self.environments:
            if environment.name == name:
                return environment
        raise KeyError(name)

    def plan(self, semester: Semester) -> SemesterPlan | None:
        """What course.yaml says of `semester`; ``None`` if it does not mention it."""
        for plan in self.semesters:
            if plan.semester == semester:
                return plan
        return None

    def lock_folder(self, semester: Semester) -> Path:
        """Where the semester's lockfiles and release.yaml lie."""
        return self.root / "lockfiles" / str(semester)
