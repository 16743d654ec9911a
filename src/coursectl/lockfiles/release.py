"""release.yaml: what a semester pins. It is written last, so a folder without it is no semester.

It lies on a student's hot path (`up` reads it every time), so it is small, and read without a node tree.
"""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec

from coursectl import files
from coursectl.errors import Hint, LockError
from coursectl.lockfiles import plain_yaml
from coursectl.model.course import EngineKind, name_problem
from coursectl.model.platform import Platform
from coursectl.model.release import RELEASE_SCHEMA, BuildRelease, EnvironmentRelease, Release
from coursectl.model.semester import Semester

FILE_NAME = "release.yaml"
_HEAD = """\
# What {semester} pins: written by `coursectl freeze`, last of all its files. Do not edit.
# `coursectl up {semester}` installs it. Sizes are bytes: download_bytes as the index states them, or absent
# where it does not; installed_bytes is an estimate.
"""
_PLAIN = re.compile(r"[a-z][a-z0-9_.-]*")
_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_FileName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-zA-Z0-9._-]{0,127}$")]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    platform: Platform
    variant: str
    packages: _Count
    digest: _Digest
    download_bytes: _Count | None = None
    installed_bytes: _Count | None = None


class _Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    engine: EngineKind
    lockfile: _FileName
    lock_sha256: _Digest
    spec_digest: _Digest
    builds: list[_Build]
    python: Annotated[str, msgspec.Meta(pattern=r"^3\.\d{1,2}$")] | None = None


class _Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    schema: int
    course: str
    semester: str
    environments: dict[str, _Environment]
    as_of: date | None = None
    notes: list[str] = []


def read_release(path: Path) -> Release:
    """The release at `path`.

    Raises:
        LockError: it is missing, damaged, of another semester than its folder (all code ``release``) or
            written by a newer coursectl (code ``newer-release``).
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise LockError(f"cannot read {path}", cause=exc.strerror, code="release") from exc
    release = parse(data, str(path))
    if path.parent.name != str(release.semester):
        raise LockError(
            f"{path} is the release of {release.semester}",
            cause=f"it lies in the folder {path.parent.name}",
            hints=(
                Hint(text="freeze this semester itself:", command=f"coursectl freeze {path.parent.name}"),
            ),
            code="release",
        )
    return release


def parse(data: bytes, where: str) -> Release:
    """The release in `data`; `where` is what to call it in an error.

    Raises:
        LockError: as `read_release`.
    """
    document = plain_yaml.read(data, where)
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, str) and schema.isdigit() and int(schema) > RELEASE_SCHEMA:
        raise LockError(
            f"{where} was written by a newer coursectl",
            cause=f"its schema is {schema}; this one reads up to {RELEASE_SCHEMA}",
            hints=(Hint(text="bring this one up to date:", command="pip install --upgrade coursectl"),),
            code="newer-release",
        )
    try:
        found = msgspec.convert(document, _Release, strict=False)
        return Release(
            semester=Semester.parse(found.semester),
            course=_name(found.course),
            as_of=found.as_of,
            environments=tuple(_environment(n, e) for n, e in found.environments.items()),
            notes=tuple(found.notes),
        )
    except (msgspec.ValidationError, ValueError) as exc:
        raise LockError(
            f"{where} is damaged",
            cause=str(exc),
            hints=(Hint(text="restore the committed file:", command=f"git checkout -- {where}"),),
            code="release",
        ) from exc


def _environment(name: str, found: _Environment) -> EnvironmentRelease:
    return EnvironmentRelease(
        name=_name(name),
        engine=found.engine,
        lockfile=found.lockfile,
        spec_digest=found.spec_digest,
        lock_digest=found.lock_sha256,
        python=found.python,
        builds=tuple(
            BuildRelease(
                platform=b.platform,
                variant=_name(b.variant),
                digest=b.digest,
                packages=b.packages,
                download_bytes=b.download_bytes,
                installed_bytes=b.installed_bytes,
            )
            for b in found.builds
        ),
    )


def _name(name: str) -> str:
    problem = name_problem(name)
    if problem is not None:
        raise ValueError(f"{name[:80]!r}: {problem}")
    return name


def render(release: Release) -> str:
    """The text of release.yaml: a function of the release alone, with a line for each fact."""
    lines = [
        _HEAD.format(semester=release.semester) + f"schema: {RELEASE_SCHEMA}",
        f"course: {_text(release.course)}",
        f"semester: {release.semester}",
    ]
    if release.as_of is not None:
        lines.append(f"as_of: {release.as_of.isoformat()}")
    if release.notes:
        lines += ["notes:", *(f"  - {json.dumps(note)}" for note in release.notes)]
    lines.append("environments:")
    for environment in sorted(release.environments, key=lambda e: e.name):
        lines += [
            f"  {_text(environment.name)}:",
            f"    engine: {environment.engine}",
            f"    lockfile: {_text(environment.lockfile)}",
            f'    lock_sha256: "{environment.lock_digest}"',
            f'    spec_digest: "{environment.spec_digest}"',
        ]
        if environment.python is not None:
            lines.append(f'    python: "{environment.python}"')
        lines.append("    builds:")
        for build in sorted(environment.builds, key=lambda b: (b.platform, b.variant)):
            lines += _build_lines(build)
    return "\n".join(lines) + "\n"


def _build_lines(build: BuildRelease) -> list[str]:
    lines = [
        f"      - platform: {build.platform}",
        f"        variant: {_text(build.variant)}",
        f"        packages: {build.packages}",
    ]
    if build.download_bytes is not None:
        lines.append(f"        download_bytes: {build.download_bytes}")
    if build.installed_bytes is not None:
        lines.append(f"        installed_bytes: {build.installed_bytes}")
    return [*lines, f'        digest: "{build.digest}"']


def _text(value: str) -> str:
    """`value` so that every YAML reader takes it for text: a name may look like a number."""
    return value if _PLAIN.fullmatch(value) and value not in _NOT_TEXT else json.dumps(value)


def write_release(path: Path, release: Release) -> None:
    """Put release.yaml in place, whole or not at all: from then on the semester counts.

    Raises:
        DiskSpaceError: the disk is full; what stood before still stands.
        CourseError: the folder cannot be written.
    """
    files.write_atomic(path, render(release))
