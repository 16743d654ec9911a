"""From solved locks to a semester's files: rendered first, put in place last, release.yaml at the end."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coursectl import files
from coursectl.lockfiles import conda_lock_write, requirements, validate
from coursectl.lockfiles import release as release_file
from coursectl.model.course import BASE_VARIANT, Environment
from coursectl.model.digest import bytes_digest, conda_build_digest, pypi_build_digest
from coursectl.model.lock import CondaLock, PypiLock
from coursectl.model.release import BuildRelease, EnvironmentRelease, Release
from coursectl.model.sizes import installed_estimate, total
from coursectl.workflows.freeze_plan import Job, Plan, wanted_builds

_ATTRIBUTES = """\
# A lockfile is pinned by the sha256 of its bytes: git must not change line ends in it on Windows.
* -text
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An environment as it will be released. `content` is ``None`` where the file that stands is kept."""

    job: Job
    release: EnvironmentRelease
    content: bytes | None


def render(
    plan: Plan, job: Job, lock: CondaLock | PypiLock, mirrors: Mapping[str, tuple[str, ...]]
) -> Written:
    """The bytes of a lockfile and what release.yaml says of it.

    Raises:
        LockError: the lock holds what no student may install (a channel without TLS that is no mirror).
        MissingExtraError: conda-lock is not installed.
    """
    if isinstance(lock, PypiLock):
        content, python = lock.text.encode(), lock.python
    else:
        source = Path(plan.course.root, job.environment.spec)
        asked = {
            (s.platform, s.variant): job.environment.variant(s.variant).specs
            if s.variant != BASE_VARIANT
            else ()
            for s in lock.solutions
        }
        hashes = conda_lock_write.content_hashes(source, channels=lock.channels, builds=asked)
        lock = replace(lock, content_hash=hashes)
        validate.refuse_unsafe(lock, job.lockfile, mirrors=mirrors)
        content, python = conda_lock_write.render(lock, file_name=job.lockfile), None
    release = EnvironmentRelease(
        name=job.environment.name,
        engine=job.environment.engine,
        lockfile=job.lockfile,
        spec_digest=job.spec,
        lock_digest=bytes_digest(content),
        python=python,
        builds=builds_of(job.environment, lock),
    )
    return Written(job=job, release=release, content=content)


def builds_of(environment: Environment, lock: CondaLock | PypiLock) -> tuple[BuildRelease, ...]:
    """What release.yaml says of each build in `lock`, sorted by platform and variant."""
    found = []
    for platform, variant in sorted(wanted_builds(environment)):
        if isinstance(lock, PypiLock):
            pins = requirements.applicable(lock.pins, platform, lock.python)
            digest = pypi_build_digest(platform, lock.python, pins)
            count, size = len(pins), lock.sizes.get(platform)
        else:
            solution = lock.solution(platform, variant)
            if solution is None:
                continue
            digest = conda_build_digest(platform, solution.packages)
            count, size = len(solution.packages), total(p.size for p in solution.packages)
        found.append(
            BuildRelease(
                platform=platform,
                variant=variant,
                digest=digest,
                packages=count,
                download_bytes=size,
                installed_bytes=installed_estimate(environment.engine, size),
            )
        )
    return tuple(found)


def kept(plan: Plan, job: Job) -> Written | None:
    """An environment whose lock answers what is asked and stays as it is; ``None`` where there is none.

    A lock without a release counts too: the parts of a semester may be frozen one after another.
    """
    if job.released is not None:
        return Written(job=job, release=job.released, content=None) if not job.reasons else None
    if job.standing is None:
        return None
    data = Path(plan.folder, job.lockfile).read_bytes()
    release = EnvironmentRelease(
        name=job.environment.name,
        engine=job.environment.engine,
        lockfile=job.lockfile,
        spec_digest=job.spec,
        lock_digest=bytes_digest(data),
        python=job.standing.python if isinstance(job.standing, PypiLock) else None,
        builds=builds_of(job.environment, job.standing),
    )
    return Written(job=job, release=release, content=None)


def missing(written: Sequence[Written], plan: Plan) -> tuple[str, ...]:
    """The builds that keep the semester from counting, in words."""
    found = []
    have = {w.release.name: w for w in written}
    for job in (*plan.jobs, *plan.outside):
        name = job.environment.name
        if name not in have:
            found.append(name)
            continue
        found += [
            f"{name} for {platform} ({variant})"
            for platform, variant in job.wanted
            if have[name].release.build(platform, variant) is None
        ]
    return tuple(found)


def release_of(plan: Plan, written: Sequence[Written], notes: tuple[str, ...]) -> Release:
    """The release that pins all of `written`, in the order of the course."""
    return Release(
        semester=plan.semester,
        course=plan.course.name,
        as_of=plan.as_of,
        environments=tuple(w.release for w in written),
        notes=notes,
    )


def put_in_place(folder: Path, contents: Mapping[str, bytes], release: Release | None) -> None:
    """Write the lockfiles and, with `release`, release.yaml as the last of them.

    All bytes are on the disk before the first file changes its name, and an older release.yaml goes before
    any lockfile changes: whenever this is killed, the semester is the old one, the new one or none.

    Raises:
        DiskSpaceError: the disk is full; what stood before still stands.
        CourseError: the folder cannot be written.
    """
    wanted = dict(contents)
    last = folder / release_file.FILE_NAME
    if release is not None:
        wanted[release_file.FILE_NAME] = release_file.render(release).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        attributes = folder.parent / ".gitattributes"
        if not attributes.exists():
            files.write_atomic(attributes, _ATTRIBUTES)
        for part in folder.glob(".*.part"):  # of a freeze that was killed
            part.unlink(missing_ok=True)
        with _staged(folder, wanted) as staged:
            if contents:
                last.unlink(missing_ok=True)
            for name in (*contents, *([last.name] if release is not None else [])):
                files.replace(staged[name], folder / name)
    except OSError as exc:
        raise files.os_error(exc, f"cannot write {folder}") from exc


@contextlib.contextmanager
def _staged(folder: Path, contents: Mapping[str, bytes]) -> Iterator[dict[str, Path]]:
    staged: dict[str, Path] = {}
    try:
        for name, content in contents.items():
            fd, part = tempfile.mkstemp(prefix=f".{name[:40]}.", suffix=".part", dir=folder)
            staged[name] = Path(part)
            with os.fdopen(fd, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            staged[name].chmod(0o644)
        yield staged
    finally:
        for part_path in staged.values():
            part_path.unlink(missing_ok=True)
