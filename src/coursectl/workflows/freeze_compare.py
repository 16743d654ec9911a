"""What changed since the semester before, and since this one was last frozen."""

from __future__ import annotations

from coursectl.errors import LockError
from coursectl.lockfiles import conda_lock, requirements
from coursectl.lockfiles import release as release_file
from coursectl.model.course import EngineKind
from coursectl.model.diff import conda_diff, pypi_diff
from coursectl.model.frozen import Comparison
from coursectl.model.lock import CondaLock, LockDiff, PypiLock
from coursectl.model.progress import Progress
from coursectl.model.release import EnvironmentRelease, Release
from coursectl.model.semester import Semester
from coursectl.workflows import semesters
from coursectl.workflows.freeze_plan import Job, Plan

Lock = CondaLock | PypiLock


def read_lock(plan: Plan, release: Release, environment: EnvironmentRelease) -> Lock:
    """The lockfile of an environment of some semester of the course.

    Raises:
        LockError: it is missing or damaged.
    """
    path = plan.course.lock_folder(release.semester) / environment.lockfile
    if environment.engine is EngineKind.CONDA:
        return conda_lock.parse(conda_lock.read_bytes(path), str(path))
    return requirements.read_requirements_lock(path)


def standing(plan: Plan) -> dict[str, Lock]:
    """The locks of the release that stands, to be compared after they are replaced."""
    found = {}
    for job in plan.jobs:
        if job.released is not None and job.reasons and job.standing is not None:
            found[job.environment.name] = job.standing
        elif job.released is not None and job.reasons and plan.standing is not None:
            try:
                found[job.environment.name] = read_lock(plan, plan.standing, job.released)
            except LockError:
                continue  # it is replaced because it is damaged
    return found


def compare(
    plan: Plan, new: dict[str, Lock], before: dict[str, Lock], progress: Progress
) -> tuple[Comparison, ...]:
    """The changes in each newly locked environment: first since the last freeze of this semester (`before`),
    then since the latest earlier semester that has the environment.
    """
    found = []
    for job in plan.jobs:
        name = job.environment.name
        if name not in new:
            continue
        if name in before:
            found.append(_comparison(job, plan.semester, before[name], new[name]))
        earlier = _earlier(plan, job, progress)
        if earlier is not None:
            found.append(_comparison(job, earlier[0], earlier[1], new[name]))
    return tuple(found)


def _earlier(plan: Plan, job: Job, progress: Progress) -> tuple[Semester, Lock] | None:
    for semester in reversed(semesters.frozen(plan.course)):
        if semester >= plan.semester:
            continue
        try:
            path = plan.course.lock_folder(semester) / release_file.FILE_NAME
            release = release_file.read_release(path)
            environment = release.environment(job.environment.name)
            if environment is None or environment.engine is not job.environment.engine:
                continue
            return semester, read_lock(plan, release, environment)
        except LockError as exc:
            progress.warn(f"{semester} cannot be compared with: {exc.message}", code="compare")
    return None


def _comparison(job: Job, against: Semester, old: Lock, new: Lock) -> Comparison:
    diffs: list[LockDiff] = []
    for platform, variant in job.wanted:
        if isinstance(old, PypiLock) and isinstance(new, PypiLock):
            diffs.append(
                pypi_diff(
                    platform,
                    requirements.applicable(old.pins, platform, old.python),
                    requirements.applicable(new.pins, platform, new.python),
                    old_size=old.sizes.get(platform),
                    new_size=new.sizes.get(platform),
                )
            )
        elif isinstance(old, CondaLock) and isinstance(new, CondaLock):
            before, after = old.solution(platform, variant), new.solution(platform, variant)
            if before is not None and after is not None:
                diffs.append(conda_diff(platform, variant, before.packages, after.packages))
    return Comparison(environment=job.environment.name, against=against, diffs=tuple(diffs))
