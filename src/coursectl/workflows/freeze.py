"""Freeze a semester: compare, solve everything, render everything, then write, release.yaml last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from coursectl.engines.base import Network
from coursectl.errors import Hint, UsageError
from coursectl.model.course import Course, EngineKind
from coursectl.model.frozen import EnvironmentFreeze, FreezeReport, FreezeState
from coursectl.model.lock import CondaLock, PypiLock
from coursectl.model.progress import Progress
from coursectl.model.semester import Semester
from coursectl.workflows import freeze_compare, freeze_plan, freeze_solve, freeze_write
from coursectl.workflows.freeze_plan import FreezeOptions, Job, Plan
from coursectl.workflows.freeze_solve import Solvers
from coursectl.workflows.freeze_write import Written

__all__ = ["FreezeOptions", "FreezeReport", "Solvers", "freeze", "real_solvers"]


def real_solvers() -> Solvers:
    """The engines themselves."""
    from coursectl.engines.conda import CondaEngine
    from coursectl.engines.pypi import PypiEngine
    from coursectl.workflows.freeze_pip import lock_block

    return Solvers(conda=CondaEngine(), pypi=PypiEngine(), pip_block=lock_block)


def freeze(
    course: Course,
    semester: Semester,
    options: FreezeOptions,
    *,
    network: Network,
    progress: Progress,
    solvers: Solvers | None = None,
) -> FreezeReport:
    """Lock every environment of `semester` for every platform and variant, and release it.

    Nothing is asked of a network where the locks answer what course.yaml asks. Nothing is written before
    everything is solved.

    Returns:
        What was done; with ``check``, ``report.stale`` is the verdict.

    Raises:
        UsageError: there is no such thing, or a released semester would be changed without ``force``.
        CourseFileError: a spec file is wrong.
        SolveError: builds have no solution; all of them are in the cause.
        NetworkError: a channel or index cannot be reached.
        LockError: the standing release, or what would be written, is damaged or unsafe.
        MissingExtraError: conda-lock is not installed.
        DiskSpaceError: the disk is full.
    """
    start = time.monotonic()
    plan = freeze_plan.make(course, semester, options)
    if options.check:
        return _idle(plan, FreezeState.UNCHANGED if _current(plan) else FreezeState.STALE, start)
    if plan.idle:
        return _idle(plan, FreezeState.UNCHANGED, start)
    if options.dry_run:
        return _idle(plan, FreezeState.PLANNED, start)
    _refuse_released(plan, options)
    if any(j.reasons and j.environment.engine is EngineKind.CONDA for j in plan.jobs):
        from coursectl.lockfiles import conda_lock_write

        conda_lock_write.require()  # before minutes of solving
    before = freeze_compare.standing(plan)
    locks = freeze_solve.solve_all(plan, network, progress, solvers or real_solvers())
    written = _written(plan, locks, network)
    missing = freeze_write.missing(written, plan)
    _refuse_incomplete(plan, missing)
    notes = _notes(plan, locks)
    release = None if missing else freeze_write.release_of(plan, written, notes)
    same = release is not None and release == plan.standing and not _changed(plan, written)
    if not same:
        contents = {w.job.lockfile: w.content for w in written if w.content is not None}
        freeze_write.put_in_place(plan.folder, contents, release)
    state = FreezeState.UNCHANGED if same else FreezeState.LOCKED if missing else FreezeState.FROZEN
    report = _report(plan, state, written, start)
    return replace(
        report,
        comparisons=freeze_compare.compare(plan, locks, before, progress) if not same else (),
        missing=missing,
        notes=notes,
        seconds=time.monotonic() - start,
    )


def _current(plan: Plan) -> bool:
    return plan.standing is not None and plan.idle


def _refuse_released(plan: Plan, options: FreezeOptions) -> None:
    if plan.standing is None or options.force:
        return
    why = [*plan.reasons, *(f"{j.environment.name}: {r}" for j in plan.jobs for r in j.reasons)]
    raise UsageError(
        f"{plan.semester} is released and would change",
        cause="; ".join(why),
        hints=(
            Hint(
                text="students may have it installed; to replace it all the same:",
                command=f"coursectl freeze {plan.semester} --force",
            ),
            Hint(text="to see what would be solved:", command=f"coursectl freeze {plan.semester} --dry-run"),
        ),
        code="released",
    )


def _refuse_incomplete(plan: Plan, missing: tuple[str, ...]) -> None:
    """A part of a released semester may be frozen again only if the rest still stands."""
    if plan.standing is None or not missing:
        return
    raise UsageError(
        f"{plan.semester} is released, and this would leave it without {', '.join(missing)}",
        cause="what is asked of them has changed as well, so their locks cannot be kept",
        hints=(Hint(text="freeze the whole semester:", command=f"coursectl freeze {plan.semester} --force"),),
        code="released",
    )


def _written(plan: Plan, locks: dict[str, CondaLock | PypiLock], network: Network) -> list[Written]:
    """Every environment that there is a lock for, in the order of the course."""
    found = {}
    for job in (*plan.jobs, *plan.outside):
        name = job.environment.name
        written = (
            freeze_write.render(plan, job, locks[name], network.mirrors)
            if name in locks
            else freeze_write.kept(plan, job)
        )
        if written is not None:
            found[name] = written
    planned = plan.course.plan(plan.semester)
    assert planned is not None
    return [found[name] for name in planned.environments if name in found]


def _changed(plan: Plan, written: Sequence[Written]) -> bool:
    """Whether a file on the disk differs from what would be written there."""
    for item in written:
        path = plan.folder / item.job.lockfile
        if item.content is not None and (not path.is_file() or path.read_bytes() != item.content):
            return True
    return False


def _notes(plan: Plan, locks: dict[str, CondaLock | PypiLock]) -> tuple[str, ...]:
    """The notes for the release: those given, and what the locks themselves say about their origin."""
    notes = list(plan.notes)
    for name, lock in locks.items():
        if not isinstance(lock, CondaLock):
            continue
        # every complete index states sizes (CEP 36 makes `size` part of a record): one without is a copy
        if any(p.size is None for s in lock.solutions for p in s.packages if p.manager == "conda"):
            channels = ", ".join(lock.channels)
            notes.append(f"{name} was solved from a partial index of {channels}, which states no sizes")
    return tuple(dict.fromkeys(notes))


def _idle(plan: Plan, state: FreezeState, start: float) -> FreezeReport:
    """The report of a run that changes nothing."""
    written = [w for job in plan.jobs if (w := freeze_write.kept(plan, job)) is not None]
    report = _report(plan, state, written, start)
    if state is not FreezeState.UNCHANGED:
        return report  # what is missing is what would be solved
    return replace(report, missing=freeze_write.missing(written, plan))


def _report(plan: Plan, state: FreezeState, written: Sequence[Written], start: float) -> FreezeReport:
    have = {w.release.name: w for w in written}
    return FreezeReport(
        semester=plan.semester,
        as_of=plan.as_of,
        state=state,
        folder=plan.folder.relative_to(plan.course.root).as_posix(),
        environments=tuple(_environment(job, state, have) for job in plan.jobs),
        notes=plan.notes,
        reasons=plan.reasons,
        seconds=time.monotonic() - start,
    )


def _environment(job: Job, state: FreezeState, have: dict[str, Written]) -> EnvironmentFreeze:
    name = job.environment.name
    return EnvironmentFreeze(
        name=name,
        engine=job.environment.engine,
        lockfile=job.lockfile,
        state=state if job.reasons else FreezeState.UNCHANGED,
        reasons=job.reasons,
        solves=job.solves,
        builds=have[name].release.builds if name in have else (),
    )
