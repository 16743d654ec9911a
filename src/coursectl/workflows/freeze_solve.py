"""Solving all that a freeze asks for; every failure is gathered before anything is said or written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Protocol

from coursectl.engines.base import CondaRequest, CondaSolver, Network, PypiRequest, PypiSolver
from coursectl.errors import CourseError, CourseFileError, Hint, SolveError
from coursectl.lockfiles import requirements
from coursectl.model.course import BASE_VARIANT, Course, EngineKind, Environment
from coursectl.model.lock import CondaLock, CondaPackage, CondaSolution, PypiLock
from coursectl.model.platform import Platform
from coursectl.model.progress import Progress
from coursectl.workflows.freeze_plan import Job, Plan, line_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PipBlock:
    """The ``pip:`` list of a conda environment, to be locked beside `conda`, what was solved for `platform`.

    `requirements` is the list as one requirements file; `keep` are the pip packages of the last lock and
    `update` the names let loose from it.
    """

    environment: Environment
    platform: Platform
    requirements: str
    conda: tuple[CondaPackage, ...]
    as_of: date | None = None
    keep: tuple[CondaPackage, ...] = ()
    update: tuple[str, ...] = ()


class PipBlockSolver(Protocol):
    """Locks a ``pip:`` list with the conda packages as constraints."""

    def __call__(self, block: PipBlock, network: Network, progress: Progress) -> tuple[CondaPackage, ...]:
        """The packages with ``manager="pip"`` that conda does not already have.

        Raises:
            SolveError: no set of packages fits.
            NetworkError: the index cannot be reached.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Solvers:
    """The engines that a freeze uses."""

    conda: CondaSolver
    pypi: PypiSolver
    pip_block: PipBlockSolver


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    job: Job
    where: str
    error: CourseError


def solve_all(
    plan: Plan, network: Network, progress: Progress, solvers: Solvers
) -> dict[str, CondaLock | PypiLock]:
    """The lock of each job, by environment; what a job does not solve is taken from the lock that stands.

    Raises:
        SolveError: builds have no solution: the cause lists every one, the hints what to change.
        NetworkError: a channel or index cannot be reached.
    """
    locks: dict[str, CondaLock | PypiLock] = {}
    failures: list[_Failure] = []
    total = sum(len(job.solves) for job in plan.jobs)
    for job in plan.jobs:
        if not job.reasons:
            continue
        if job.environment.engine is EngineKind.PYPI:
            lock = _pypi(plan, job, network, progress, solvers, failures)
            if lock is not None:
                locks[job.environment.name] = lock
        else:
            locks[job.environment.name] = _conda(plan, job, network, progress, solvers, failures)
    if failures:
        raise _unsolvable(plan, failures, total)
    return locks


def _pypi(
    plan: Plan,
    job: Job,
    network: Network,
    progress: Progress,
    solvers: Solvers,
    failures: list[_Failure],
) -> PypiLock | None:
    standing = job.standing if isinstance(job.standing, PypiLock) else None
    if not job.solves and standing is not None:
        solved = standing
    else:
        request = PypiRequest(
            environment=job.environment,
            source=Path(plan.course.root, job.environment.spec),
            as_of=plan.as_of,
            keep=standing.text if standing is not None and job.update else None,
            update=job.update,
        )
        try:
            solved = solvers.pypi.solve(request, network, progress)
        except (SolveError, CourseFileError) as exc:
            failures.append(_Failure(job=job, where=job.environment.name, error=exc))
            return None
    text = requirements.with_record(solved.text, job.spec, solved.sizes)
    return requirements.parse(text.encode(), job.lockfile)


def _conda(
    plan: Plan,
    job: Job,
    network: Network,
    progress: Progress,
    solvers: Solvers,
    failures: list[_Failure],
) -> CondaLock:
    standing = job.standing if isinstance(job.standing, CondaLock) else None
    solutions = []
    for platform, variant in job.wanted:
        before = standing.solution(platform, variant) if standing is not None else None
        idle = job.update and before is not None and not any(p.name in job.update for p in before.packages)
        if idle or (platform, variant) not in job.solves:
            if before is not None:
                solutions.append(before)
            continue
        try:
            solutions.append(_build(plan, job, platform, variant, before, network, progress, solvers))
        except (SolveError, CourseFileError) as exc:
            place = str(platform) if variant == BASE_VARIANT else f"{platform} ({variant})"
            failures.append(_Failure(job=job, where=f"{job.environment.name} {place}", error=exc))
    return CondaLock(
        channels=job.environment.channels,
        solutions=tuple(solutions),
        sources=(f"../../{job.environment.spec}",),
        content_hash={},
        spec_digest=job.spec,
    )


def _build(
    plan: Plan,
    job: Job,
    platform: Platform,
    variant: str,
    before: CondaSolution | None,
    network: Network,
    progress: Progress,
    solvers: Solvers,
) -> CondaSolution:
    assert job.conda is not None
    keep = before.packages if before is not None and job.update else ()
    specs = (*job.conda.specs(platform), *job.environment.variant(variant).specs)
    request = CondaRequest(
        environment=job.environment, platform=platform, variant=variant, specs=specs, as_of=plan.as_of
    )
    solution = solvers.conda.solve(request, network, progress)
    if keep:
        request = _around(request, solution, keep, job.update)
        solution = solvers.conda.solve(request, network, progress)
    if not job.conda.pip.lines:
        return solution
    block = PipBlock(
        environment=job.environment,
        platform=platform,
        requirements=job.conda.pip.text(),
        conda=solution.packages,
        as_of=plan.as_of,
        keep=tuple(p for p in keep if p.manager == "pip"),
        update=job.update,
    )
    pip = solvers.pip_block(block, network, progress)
    every = sorted((*solution.packages, *pip), key=lambda p: (p.manager, p.name))
    return CondaSolution(platform=platform, variant=variant, packages=tuple(every))


def _around(
    request: CondaRequest,
    free: CondaSolution,
    keep: Sequence[CondaPackage],
    update: tuple[str, ...],
) -> CondaRequest:
    """Ask for what `update` names as the `free` solution has it, and for all else as it was.

    A solver that merely prefers the old packages would rather leave the named one where it is than move
    what it needs along with it.
    """
    moved = tuple(f"{p.name} =={p.version} {p.build}" for p in free.packages if p.name in update)
    return replace(
        request,
        specs=(*request.specs, *moved),
        keep=tuple(p for p in keep if p.manager == "conda"),
        update=update,
    )


def _unsolvable(plan: Plan, failures: Sequence[_Failure], total: int) -> SolveError:
    """One error for all failures; those with the same reason share a line."""
    causes: dict[str, list[str]] = {}
    hints: dict[str, None] = {}
    for failure in failures:
        causes.setdefault(failure.error.cause or failure.error.message, []).append(failure.where)
        for hint in failure.error.hints:
            hints.setdefault(with_lines(str(hint), plan.course, failure.job), None)
    if len(failures) == 1:
        message = f"{plan.semester}: {failures[0].error.message}"
        cause = next(iter(causes))
    else:
        message = f"{plan.semester} cannot be frozen: {len(failures)} of {total} builds have no solution"
        cause = "\n".join(f"{', '.join(places)}: {why}" for why, places in causes.items())
    return SolveError(message, cause=cause, hints=tuple(Hint(text=h) for h in hints))


def with_lines(text: str, course: Course, job: Job) -> str:
    """`text` with the line numbers of what it tells to change, in course.yaml and in the spec file."""
    key = re.search(r"\benvironments\.[\w.-]*\w", text)
    if "course.yaml" in text and "(line" not in text:
        line = line_of(course, key[0] if key else f"environments.{job.environment.name}")
        if line is not None:
            text = text.replace("course.yaml", f"course.yaml (line {line})", 1)
    file = job.environment.spec
    if job.conda is not None and file in text and f"{file}:" not in text:
        named = [x for x in job.conda.lines if re.search(rf"(?<![\w.-]){re.escape(x.name)}(?![\w-])", text)]
        if named:
            text = text.replace(file, f"{file}:{named[0].line}", 1)
    return text
