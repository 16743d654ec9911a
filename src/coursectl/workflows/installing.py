"""From a build of a release to a prefix on this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from coursectl import files, paths
from coursectl.engines.base import Installer, InstallRequest, Network
from coursectl.errors import CourseError, Hint, LockError
from coursectl.model.course import Course, EngineKind
from coursectl.model.installed import MARKER, PREFIX_SCHEMA, PrefixRecord
from coursectl.model.release import BuildRelease, EnvironmentRelease, Release
from coursectl.model.semester import Semester


def prefix_of(release: Release, environment: EnvironmentRelease, build: BuildRelease) -> Path:
    """Where a build lies: the digest is in the name, so a new lock leaves alone what an old one installed."""
    return paths.environments() / prefix_name(environment.name, release.semester, build.digest)


def prefix_name(environment: str, semester: Semester, digest: str) -> str:
    """The folder name of a build's prefix.

    >>> prefix_name("phys398", Semester.parse("fall2026"), "0123456789abcdef")
    'phys398-fall2026-0123456789'
    """
    return f"{environment}-{semester}-{digest[:10]}"


def record_in(prefix: Path) -> PrefixRecord | None:
    """What is installed at `prefix`; ``None`` where nothing whole is there.

    Raises:
        LockError: a newer coursectl installed it.
    """
    try:
        content = (prefix / MARKER).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        record = msgspec.json.decode(content, type=PrefixRecord)
    except (msgspec.ValidationError, msgspec.DecodeError) as exc:
        if _schema(content) > PREFIX_SCHEMA:
            raise _newer(prefix) from exc
        return None
    if record.schema > PREFIX_SCHEMA:
        raise _newer(prefix)
    return record


def _schema(content: bytes) -> int:
    try:
        found = msgspec.json.decode(content).get("schema", 0)
    except (msgspec.DecodeError, AttributeError):
        return 0
    return found if isinstance(found, int) else 0


def _newer(prefix: Path) -> LockError:
    return LockError(
        f"{prefix} was installed by a newer coursectl",
        hints=(Hint(text="bring this one up to date:", command="pip install --upgrade coursectl"),),
        code="newer-state",
    )


def is_installed(prefix: Path, digest: str) -> bool:
    """Whether the prefix is whole and is the build `digest`: what the second `up` asks, and all it asks."""
    record = record_in(prefix)
    return record is not None and record.digest == digest


_REMOVED = ".removed-"


def discard(prefix: Path) -> None:
    """Delete a prefix: from the first moment on it does not count, however the deleting ends.

    Raises:
        CourseError: a file in it is in use; what is left goes with the next `collect`.
    """
    gone = prefix.with_name(_REMOVED + prefix.name)
    try:
        files.replace(prefix, gone)
    except OSError as exc:
        raise files.os_error(exc, f"cannot delete {prefix}") from exc
    files.remove_tree(gone)


def collect() -> None:
    """Delete what an earlier `discard` could not bring to its end, as well as it goes."""
    for gone in paths.environments().glob(f"{_REMOVED}*"):
        with contextlib.suppress(CourseError):
            files.remove_tree(gone)


def installer(engine: EngineKind) -> Installer:
    """The engine that installs this kind of environment."""
    if engine is EngineKind.CONDA:
        from coursectl.engines.conda import CondaEngine

        return CondaEngine()
    from coursectl.engines.pypi import PypiEngine

    return PypiEngine()


def install_request(
    course: Course,
    release: Release,
    environment: EnvironmentRelease,
    build: BuildRelease,
    network: Network,
) -> InstallRequest:
    """Read the lock and say what has to be installed where.

    Raises:
        LockError: the lockfile is missing or is not the one that was released.
    """
    lockfile = course.lock_folder(release.semester) / environment.lockfile
    restore = Hint(
        text="bring back the released file:", command=f"git checkout -- {_relative(course, lockfile)}"
    )
    if not lockfile.is_file():
        raise LockError(f"{_relative(course, lockfile)} is missing", hints=(restore,))
    if files.sha256(lockfile) != environment.lock_digest:
        raise LockError(
            f"{_relative(course, lockfile)} is not the file that was released",
            cause="its sha256 differs from the one in release.yaml",
            hints=(restore, Hint(text="staff:", command=f"coursectl freeze {release.semester} --force")),
            code="lock-changed",
        )
    record = PrefixRecord(
        digest=build.digest,
        course=course.name,
        semester=str(release.semester),
        environment=environment.name,
        variant=build.variant,
        platform=str(build.platform),
        engine=environment.engine,
        packages=build.packages,
        installed_bytes=build.installed_bytes,
    )
    prefix = prefix_of(release, environment, build)
    if environment.engine is EngineKind.PYPI:
        return InstallRequest(
            prefix=prefix, record=record, network=network, requirements=lockfile, python=environment.python
        )
    from coursectl.lockfiles.conda_lock import read_conda_lock

    lock = read_conda_lock(lockfile, mirrors=network.mirrors)
    solution = lock.solution(build.platform, build.variant)
    if solution is None:
        raise LockError(
            f"{_relative(course, lockfile)} has nothing for {build.platform} ({build.variant})",
            cause="release.yaml says that it does",
            hints=(restore,),
        )
    return InstallRequest(prefix=prefix, record=record, network=network, packages=solution.packages)


def _relative(course: Course, file: Path) -> str:
    return file.relative_to(course.root).as_posix()
