"""What a freeze has to do: what is asked now, against what stands. Reads files, changes none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from coursectl import specs
from coursectl.errors import CourseFileError, Hint, LockError, UsageError
from coursectl.lockfiles import conda_lock, requirements
from coursectl.lockfiles import release as release_file
from coursectl.model.course import Course, EngineKind, Environment, SemesterPlan
from coursectl.model.digest import bytes_digest, spec_digest
from coursectl.model.lock import CondaLock, PypiLock
from coursectl.model.platform import Platform
from coursectl.model.release import EnvironmentRelease, Release
from coursectl.model.semester import Semester
from coursectl.workflows import installing

_ON_WINDOWS = "C:\\Users\\" + 20 * "x" + "\\AppData\\Local\\coursectl\\envs\\"
"""Where environments lie for the longest user name that Windows itself makes."""
SUFFIX = {EngineKind.CONDA: ".conda-lock.yml", EngineKind.PYPI: ".requirements.txt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeOptions:
    """What was typed. Empty tuples mean all; `as_of` ``None`` means the course's, else the release's.

    `notes` are statements for the release about its origin; ``None`` keeps those of the standing one.
    """

    as_of: date | None = None
    environments: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    update: tuple[str, ...] = ()
    check: bool = False
    dry_run: bool = False
    force: bool = False
    notes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One environment: what is asked, what stands, and what has to be solved.

    `spec` is the digest of what is asked; `released` the standing release's entry; `standing` the lock on
    the disk where it answers what is asked now, so that parts of it may be kept;
    `reasons` is empty where the lock stands.
    """

    environment: Environment
    conda: specs.CondaSpec | None
    sources: Mapping[str, bytes]
    spec: str
    lockfile: str
    released: EnvironmentRelease | None
    standing: CondaLock | PypiLock | None
    reasons: tuple[str, ...]
    solves: tuple[tuple[Platform, str], ...]
    update: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[tuple[Platform, str], ...]:
        """Every build that the environment needs, as (platform, variant), in the order of the course."""
        return wanted_builds(self.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of a semester. `outside` are environments that the options leave alone."""

    course: Course
    semester: Semester
    as_of: date | None
    standing: Release | None
    jobs: tuple[Job, ...]
    outside: tuple[Job, ...]
    notes: tuple[str, ...]
    reasons: tuple[str, ...] = field(default=())

    @property
    def folder(self) -> Path:
        """Where the semester's files lie."""
        return self.course.lock_folder(self.semester)

    @property
    def idle(self) -> bool:
        """Whether all that is asked stands."""
        return not self.reasons and not any(job.reasons for job in self.jobs)


def wanted_builds(environment: Environment) -> tuple[tuple[Platform, str], ...]:
    """Every (platform, variant) that `environment` is frozen for."""
    return tuple((p, v.name) for v in environment.variants for p in v.platforms if p in environment.platforms)


def make(course: Course, semester: Semester, options: FreezeOptions) -> Plan:
    """Compare what course.yaml asks of `semester` with what stands.

    Raises:
        UsageError: there is no such semester, environment, platform or package.
        CourseFileError: a spec file is missing or wrong.
        LockError: the standing release cannot be read (with ``--force`` it is taken for absent).
    """
    planned = _planned(course, semester)
    _known("environment", options.environments, planned.environments, f"{semester} has")
    standing = _standing(course, semester, force=options.force)
    as_of = options.as_of or planned.as_of or (standing.as_of if standing else None)
    jobs: list[Job] = []
    outside: list[Job] = []
    for name in planned.environments:
        _refuse_long_name(course, course.environment(name), semester)
        job = _job(course, course.environment(name), semester, standing, as_of, options)
        chosen = not options.environments or name in options.environments
        (jobs if chosen else outside).append(job)
    if options.update:
        jobs = _updates(jobs, options)
    notes = options.notes if options.notes is not None else (standing.notes if standing else ())
    return Plan(
        course=course,
        semester=semester,
        as_of=as_of,
        standing=standing,
        jobs=tuple(jobs),
        outside=tuple(outside),
        notes=notes,
        reasons=_whole(standing, planned, as_of, notes),
    )


def _refuse_long_name(course: Course, environment: Environment, semester: Semester) -> None:
    """Stop a freeze whose environments no student with a long user name could install on Windows."""
    from coursectl.engines.conda_stage import LONGEST_ON_WINDOWS, prefix_problem

    if not any(p.is_windows for p in environment.platforms):
        return
    prefix = Path(_ON_WINDOWS + installing.prefix_name(environment.name, semester, 64 * "0"))
    if prefix_problem(prefix, windows=True) is None:
        return
    key = f"environments.{environment.name}"
    line = course.lines.get(key)
    room = len(environment.name) - (len(str(prefix)) - LONGEST_ON_WINDOWS)
    raise CourseFileError(
        f"{course.file.name}{f':{line}' if line else ''}: {environment.name} is too long a name for Windows",
        cause=f"with it, {prefix_problem(prefix, windows=True)}",
        hints=(
            f"give the environment a name of at most {room} characters, or leave win-64 out of its platforms",
        ),
        code="path-too-long",
    )


def _planned(course: Course, semester: Semester) -> SemesterPlan:
    planned = course.plan(semester)
    if planned is not None:
        return planned
    known = [str(p.semester) for p in course.semesters]
    near = difflib.get_close_matches(str(semester), known, n=1)
    line = course.lines.get("semesters")
    raise UsageError(
        f"{course.title} has no semester {semester}",
        cause=f"{course.file.name} names {', '.join(known)}",
        hints=(
            *(Hint(text="did you mean", command=f"coursectl freeze {n}") for n in near),
            Hint(
                text=f"or add it under `semesters` in {course.file.name}"
                + (f" (line {line})" if line else "")
            ),
        ),
    )


def _known(kind: str, given: Iterable[str], known: Iterable[str], has: str) -> None:
    names = list(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hints = tuple(f"did you mean {n}?" for n in near)
            raise UsageError(f"there is no {kind} {name}", cause=f"{has} {', '.join(names)}", hints=hints)


def _standing(course: Course, semester: Semester, *, force: bool) -> Release | None:
    path = course.lock_folder(semester) / release_file.FILE_NAME
    if not path.is_file():
        return None
    try:
        return release_file.read_release(path)
    except LockError as exc:
        if force and exc.code != "newer-release":
            return None
        raise


def _whole(
    standing: Release | None, planned: SemesterPlan, as_of: date | None, notes: tuple[str, ...]
) -> tuple[str, ...]:
    if standing is None:
        return ()
    reasons = [
        f"{e.name} is in the release, and no longer in course.yaml"
        for e in standing.environments
        if e.name not in planned.environments
    ]
    if standing.as_of != as_of:
        reasons.append(f"as of {as_of or 'the day of the freeze'}; the release is as of {standing.as_of}")
    if any(note not in standing.notes for note in notes):
        reasons.append("the notes differ from the release's")
    return tuple(reasons)


def _job(
    course: Course,
    environment: Environment,
    semester: Semester,
    standing: Release | None,
    as_of: date | None,
    options: FreezeOptions,
) -> Job:
    conda, names = _read_spec(course, environment)
    sources = {name: (course.root / name).read_bytes() for name in names}
    asked = spec_digest(environment, sources=sources, as_of=as_of)
    lockfile = f"{environment.name}{SUFFIX[environment.engine]}"
    path = course.lock_folder(semester) / lockfile
    released = standing.environment(environment.name) if standing is not None else None
    lock = _on_disk(path, environment.engine)
    sound = {asked}
    if options.update and standing is not None:  # moving the as-of date along with a package is its purpose
        sound.add(spec_digest(environment, sources=sources, as_of=standing.as_of))
    wanted = wanted_builds(environment)
    for platform in options.platforms:
        _known("platform", [platform], environment.platforms, f"{environment.name} is for")
    reasons = _reasons(environment, asked, released, path, wanted)
    chosen = tuple(b for b in wanted if not options.platforms or b[0] in options.platforms)
    if environment.engine is EngineKind.PYPI:
        chosen = wanted  # one universal lock: it is solved for all platforms or not at all
    return Job(
        environment=environment,
        conda=conda,
        sources=sources,
        spec=asked,
        lockfile=lockfile,
        released=released,
        standing=lock.content if lock is not None and lock.spec in sound else None,
        reasons=reasons,
        solves=chosen if reasons else (),
    )


def _read_spec(course: Course, environment: Environment) -> tuple[specs.CondaSpec | None, tuple[str, ...]]:
    if environment.engine is EngineKind.CONDA:
        conda = specs.read_conda_spec(environment.spec, course.root)
        return conda, conda.files or (environment.spec,)
    found = specs.read_requirements(environment.spec, course.root)
    return None, found.files or (environment.spec,)


def _reasons(
    environment: Environment,
    asked: str,
    released: EnvironmentRelease | None,
    path: Path,
    wanted: tuple[tuple[Platform, str], ...],
) -> tuple[str, ...]:
    if released is None:
        return ("it is not frozen yet",)
    reasons = []
    if released.spec_digest != asked:
        reasons.append(
            f"what is asked has changed since the release ({environment.spec}, course.yaml or as-of)"
        )
    if not path.is_file():
        reasons.append(f"{path.name} is missing")
    elif bytes_digest(path.read_bytes()) != released.lock_digest:
        reasons.append(f"{path.name} is not the file that was released")
    reasons += [f"{p} ({v}) is not in the release" for p, v in wanted if released.build(p, v) is None]
    return tuple(reasons)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    content: CondaLock | PypiLock
    spec: str | None


def _on_disk(path: Path, engine: EngineKind) -> _OnDisk | None:
    """The lock at `path`; ``None`` where there is none that can be read: it is solved anew then."""
    if not path.is_file():
        return None
    try:
        if engine is EngineKind.CONDA:
            lock = conda_lock.parse(path.read_bytes(), str(path))
            return _OnDisk(lock, lock.spec_digest)
        pypi = requirements.read_requirements_lock(path)
    except LockError:
        return None
    return _OnDisk(pypi, requirements.spec_of(pypi.text))


def locked_names(job: Job) -> dict[str, str]:
    """The packages in the lock that stands: by PyPI's canonical form, the name as the lock has it."""
    if isinstance(job.standing, CondaLock):
        names = {p.name for s in job.standing.solutions for p in s.packages}
    else:
        names = {p.name for p in job.standing.pins} if job.standing is not None else set()
    return {_canonical(n): n for n in sorted(names)}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _updates(jobs: Sequence[Job], options: FreezeOptions) -> list[Job]:
    """The jobs of ``--update``: those whose lock has a named package are solved again, around what they have.

    Raises:
        UsageError: more has changed than one package, or no lock has it.
    """
    for job in jobs:
        if job.standing is None:
            raise UsageError(
                f"{job.environment.name}: --update moves one package, and more than that has changed",
                cause="; ".join(job.reasons) or None,
                hints=("freeze the semester without --update",),
            )
    known = sorted({name for job in jobs for name in locked_names(job)})
    for name in options.update:
        if _canonical(name) not in known:
            near = difflib.get_close_matches(_canonical(name), known, n=1)
            hints = tuple(f"did you mean {n}?" for n in near)
            raise UsageError(f"no lock of this semester has the package {name}", hints=hints)
    return [_update(job, options) for job in jobs]


def _update(job: Job, options: FreezeOptions) -> Job:
    locked = locked_names(job)
    names = tuple(locked[_canonical(n)] for n in options.update if _canonical(n) in locked)
    if not names:
        return replace(job, solves=())  # what it has is kept
    universal = job.environment.engine is EngineKind.PYPI
    chosen = tuple(b for b in job.wanted if universal or not options.platforms or b[0] in options.platforms)
    return replace(job, reasons=(f"--update {' '.join(names)}",), solves=chosen, update=names)


def line_of(course: Course, key: str) -> int | None:
    """The line in course.yaml of `key`, or of the nearest key above it that is written there."""
    while key:
        if key in course.lines:
            return course.lines[key]
        key = key.rpartition(".")[0]
    return None
