"""A semester's lock in the formats of other tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from coursectl import files, paths
from coursectl.engines.base import Network
from coursectl.errors import Hint, LockError, UsageError
from coursectl.lockfiles import conda_lock, requirements
from coursectl.model.course import BASE_VARIANT, Course, EngineKind
from coursectl.model.lock import CondaLock, CondaSolution
from coursectl.model.platform import Platform
from coursectl.model.release import EnvironmentRelease, Release
from coursectl.model.semester import Semester
from coursectl.workflows import export_text, semesters


class ExportFormat(StrEnum):
    """What can be written, by the word that is typed."""

    EXPLICIT = "explicit"  # conda create --file, micromamba create --file
    ENVIRONMENT = "environment.yml"  # conda env create: the same packages, solved again by conda
    REQUIREMENTS = "requirements"  # pip install --require-hashes, uv pip sync
    PYLOCK = "pylock"  # PEP 751
    PIXI = "pixi"  # pixi.toml and pixi.lock


_ENGINE = {
    ExportFormat.EXPLICIT: EngineKind.CONDA,
    ExportFormat.ENVIRONMENT: EngineKind.CONDA,
    ExportFormat.PIXI: EngineKind.CONDA,
    ExportFormat.REQUIREMENTS: EngineKind.PYPI,
    ExportFormat.PYLOCK: EngineKind.PYPI,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file: the name that its reader expects, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was exported. `platform` and `variant` are ``None`` where the files hold all of them; `notes`
    say what the format cannot hold.
    """

    semester: Semester
    environment: str
    format: ExportFormat
    platform: Platform | None
    variant: str | None
    files: tuple[ExportedFile, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    course: Course
    release: Release
    environment: EnvironmentRelease
    format: ExportFormat
    platform: Platform | None
    variant: str
    network: Network

    @property
    def lockfile(self) -> Path:
        return self.course.lock_folder(self.release.semester) / self.environment.lockfile


def export(
    course: Course,
    semester: Semester,
    fmt: ExportFormat,
    *,
    network: Network,
    environment: str | None = None,
    platform: Platform | None = None,
    variant: str = BASE_VARIANT,
) -> ExportReport:
    """Write a lock of `semester` in the format `fmt`; changes nothing on the disk.

    Args:
        environment: by default the course's, or the first that has the format's kind.
        platform: for the formats that hold one; by default this machine's.
        network: asked only for ``pylock``, which names the address of every file.

    Raises:
        UsageError: the format does not fit the environment, or there is no such build.
        LockError: the semester is not frozen, or its lockfile is damaged.
        NetworkError: the package index cannot be reached.
    """
    release = semesters.load(course, semester)
    wanted = _Wanted(
        course=course,
        release=release,
        environment=_environment(course, release, fmt, environment),
        format=fmt,
        platform=platform,
        variant=variant,
        network=network,
    )
    writers: dict[ExportFormat, Callable[[_Wanted], ExportReport]] = {
        ExportFormat.EXPLICIT: _explicit,
        ExportFormat.ENVIRONMENT: _environment_yml,
        ExportFormat.REQUIREMENTS: _requirements,
        ExportFormat.PYLOCK: _pylock,
        ExportFormat.PIXI: _pixi,
    }
    return writers[fmt](wanted)


def _environment(course: Course, release: Release, fmt: ExportFormat, name: str | None) -> EnvironmentRelease:
    engine = _ENGINE[fmt]
    fitting = [e for e in release.environments if e.engine is engine]
    if name is None:
        fitting.sort(key=lambda e: e.name != course.default_environment)  # the default first, if it fits
        if fitting:
            return fitting[0]
        raise UsageError(
            f"{release.semester} has no environment that can be exported as {fmt}",
            cause=f"that format holds {engine} environments; it has "
            + ", ".join(f"{e.name} ({e.engine})" for e in release.environments),
        )
    found = release.environment(name)
    if found is None:
        known = ", ".join(e.name for e in release.environments)
        raise UsageError(f"{release.semester} has no environment {name}", cause=f"it has {known}")
    if found.engine is not engine:
        formats = " or ".join(f for f, e in _ENGINE.items() if e is found.engine)
        raise UsageError(
            f"{name} cannot be exported as {fmt}",
            cause=f"that format holds {engine} environments, and {name} is of {found.engine}",
            hints=(
                Hint(text=f"for {name} take {formats}"),
                *(Hint(text=f"or take --env {e.name}") for e in fitting[:1]),
            ),
        )
    return found


def _lock(wanted: _Wanted) -> CondaLock:
    return conda_lock.read_conda_lock(wanted.lockfile, mirrors=wanted.network.mirrors)


def _solution(wanted: _Wanted, lock: CondaLock) -> CondaSolution:
    platform = wanted.platform or paths.current_platform()
    solution = lock.solution(platform, wanted.variant) if platform is not None else None
    if solution is not None:
        return solution
    known = ", ".join(f"{s.platform} ({s.variant})" for s in lock.solutions)
    raise UsageError(
        f"{wanted.environment.name} of {wanted.release.semester} has nothing for "
        f"{platform or 'this machine'} ({wanted.variant})",
        cause=f"it has {known}",
        hints=("name one with --platform and --variant",),
    )


def _report(
    wanted: _Wanted, *files: ExportedFile, solution: CondaSolution | None = None, notes: tuple[str, ...] = ()
) -> ExportReport:
    return ExportReport(
        semester=wanted.release.semester,
        environment=wanted.environment.name,
        format=wanted.format,
        platform=solution.platform if solution is not None else None,
        variant=solution.variant if solution is not None else None,
        files=files,
        notes=notes,
    )


def _explicit(wanted: _Wanted) -> ExportReport:
    solution = _solution(wanted, _lock(wanted))
    name = f"conda-{conda_lock.platform_key(solution.platform, solution.variant)}.lock"
    notes: tuple[str, ...] = ()
    if any(p.manager == "pip" for p in solution.packages):
        notes = ("conda leaves out the `# pip` lines; micromamba and conda-lock install them",)
    text = export_text.explicit(solution)
    return _report(wanted, ExportedFile(name=name, text=text), solution=solution, notes=notes)


def _environment_yml(wanted: _Wanted) -> ExportReport:
    lock = _lock(wanted)
    solution = _solution(wanted, lock)
    text = export_text.environment_yml(
        f"{wanted.course.name}-{wanted.release.semester}", lock.channels, solution
    )
    notes = ("this format has no hashes: conda solves it again, with these versions and builds",)
    return _report(wanted, ExportedFile(name="environment.yml", text=text), solution=solution, notes=notes)


def _requirements(wanted: _Wanted) -> ExportReport:
    lock = requirements.read_requirements_lock(wanted.lockfile)
    return _report(wanted, ExportedFile(name="requirements.txt", text=lock.text))


def _pylock(wanted: _Wanted) -> ExportReport:
    from coursectl.workflows.export_pylock import pylock

    lock = requirements.read_requirements_lock(wanted.lockfile)
    text = pylock(lock, wanted.release.as_of, wanted.network)
    # the name that PEP 751 gives to a lock with a name of its own
    name = f"pylock.{wanted.environment.name.replace('.', '-')}.toml"
    return _report(wanted, ExportedFile(name=name, text=text))


def _pixi(wanted: _Wanted) -> ExportReport:
    from coursectl import specs
    from coursectl.workflows.export_pixi import pixi_lock

    lock = _lock(wanted)
    try:
        environment = wanted.course.environment(wanted.environment.name)
    except KeyError as exc:
        raise LockError(
            f"{wanted.environment.name} is no longer in course.yaml",
            cause="pixi.toml is made from what its spec file asks for",
        ) from exc
    spec = specs.read_conda_spec(environment.spec, wanted.course.root)
    toml = export_text.pixi_toml(wanted.course.name, lock, environment, tuple(x.name for x in spec.lines))
    notes: tuple[str, ...] = (
        "pixi.lock is in py-rattler's current form (version 7): it wants a current pixi",
    )
    if any(p.manager == "pip" for s in lock.solutions for p in s.packages):
        notes = (*notes, "py-rattler writes pip packages without their hashes")
    return _report(
        wanted,
        ExportedFile(name="pixi.toml", text=toml),
        ExportedFile(name="pixi.lock", text=pixi_lock(lock)),
        notes=notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWritten:
    """The files that an export was written to."""

    semester: Semester
    environment: str
    format: ExportFormat
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def write(report: ExportReport, place: Path, *, force: bool = False) -> ExportWritten:
    """Write an export to the file `place`, or into it where it is a folder or the format has several files.

    Raises:
        UsageError: a file is there already and `force` is not set; nothing was written.
    """
    folder = place.is_dir() or len(report.files) > 1
    targets = [(place / f.name if folder else place, f.text) for f in report.files]
    for target, _ in targets:
        if target.exists() and not force:
            raise UsageError(
                f"{target} is there already",
                hints=("name another place, or add --force to replace it",),
                code="file-exists",
            )
    for target, text in targets:
        files.write_atomic(target, text)
    return ExportWritten(
        semester=report.semester,
        environment=report.environment,
        format=report.format,
        files=tuple(str(target) for target, _ in targets),
        notes=report.notes,
    )
