"""``coursectl info``: every value in force and where it came from. Looks, changes nothing."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from coursectl import __version__, paths
from coursectl.model.course import Course
from coursectl.settings import Settings

_DISTRIBUTIONS = ("py-rattler", "uv", "docker", "nvidia-ml-py", "conda-lock", "nbclient")


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoRow:
    """One value. `source` is the kind of place, `origin` the place itself: ``course.yaml:4``."""

    name: str
    value: str | bool | int | dict[str, tuple[str, ...]] | None
    source: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentInfo:
    """An environment of the course in one line; `default` marks the one used where none is named."""

    name: str
    spec: str
    engine: str
    platforms: tuple[str, ...]
    variants: tuple[str, ...]
    fallback: str | None
    default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SemesterInfo:
    """A semester of the course; `frozen` says whether its release.yaml is there."""

    name: str
    environments: tuple[str, ...]
    starts: str | None
    as_of: str | None
    frozen: bool
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoReport:
    """What `coursectl info` shows. `versions` has ``None`` for a distribution that is not installed."""

    version: str
    python: str
    platform: str | None
    system: str
    course: str | None
    title: str | None
    course_file: str | None
    settings: tuple[InfoRow, ...]
    folders: dict[str, str]
    versions: dict[str, str | None]
    environments: tuple[EnvironmentInfo, ...] = ()
    semesters: tuple[SemesterInfo, ...] = ()


def info(course: Course | None, settings: Settings) -> InfoReport:
    """Collect what is in force; `course` is ``None`` where none was found."""
    here = paths.current_platform()
    return InfoReport(
        version=__version__,
        python=f"{platform.python_version()} ({sys.executable})",
        platform=None if here is None else str(here),
        system=platform.platform(terse=True),
        course=None if course is None else course.name,
        title=None if course is None else course.title,
        course_file=None if course is None else str(course.file),
        settings=tuple(
            InfoRow(name=row.name, value=_plain(row.value), source=str(row.source), origin=row.origin)
            for row in settings.rows
        ),
        folders={
            "home": str(paths.home()),
            "cache": str(paths.cache()),
            "environments": str(paths.environments()),
            "servers": str(paths.servers()),
            "logs": str(paths.logs()),
        },
        versions={name: _version(name) for name in _DISTRIBUTIONS},
        environments=() if course is None else _environments(course),
        semesters=() if course is None else _semesters(course),
    )


def _environments(course: Course) -> tuple[EnvironmentInfo, ...]:
    return tuple(
        EnvironmentInfo(
            name=e.name,
            spec=e.spec,
            engine=str(e.engine),
            platforms=tuple(str(p) for p in e.platforms),
            variants=tuple(v.name for v in e.variants),
            fallback=e.fallback,
            default=e.name == course.default_environment,
        )
        for e in course.environments
    )


def _semesters(course: Course) -> tuple[SemesterInfo, ...]:
    return tuple(
        SemesterInfo(
            name=str(plan.semester),
            environments=plan.environments,
            starts=None if plan.starts is None else plan.starts.isoformat(),
            as_of=None if plan.as_of is None else plan.as_of.isoformat(),
            frozen=(course.lock_folder(plan.semester) / "release.yaml").is_file(),
            current=plan.semester == course.current,
        )
        for plan in course.semesters
    )


def _plain(value: object) -> str | bool | int | dict[str, tuple[str, ...]] | None:
    if value is None or isinstance(value, (bool, int, dict)):
        return value
    return str(value) if isinstance(value, Path) else f"{value}"


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
