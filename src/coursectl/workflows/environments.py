"""The environments on this machine: list, verify, repair, remove."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coursectl import files, paths
from coursectl.engines.base import InstallRequest, Network
from coursectl.errors import CourseError, Hint, LockError, UsageError
from coursectl.model.course import Course
from coursectl.model.installed import PrefixRecord, Verification
from coursectl.model.progress import Progress
from coursectl.workflows import installing, semesters


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One prefix on this machine. `bytes` is what its files take, hard links to the cache included."""

    name: str
    prefix: str
    record: PrefixRecord
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentList:
    """Every environment on this machine, by name."""

    folder: str
    environments: tuple[Installed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What `verify` or `repair` found, one verdict an environment."""

    verifications: tuple[Verification, ...]
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was deleted."""

    names: tuple[str, ...]
    bytes: int


def list_environments(*, sizes: bool = True) -> EnvironmentList:
    """Look at every prefix; `sizes` counts its bytes, which takes a moment."""
    root = paths.environments()
    found = []
    for prefix in sorted(root.iterdir()) if root.is_dir() else ():
        if prefix.name.startswith("."):
            continue  # a staging folder
        record = installing.record_in(prefix)
        if record is not None:
            size = files.tree_bytes(prefix) if sizes else 0
            found.append(Installed(name=prefix.name, prefix=str(prefix), record=record, bytes=size))
    return EnvironmentList(folder=str(root), environments=tuple(found))


def find(names: tuple[str, ...]) -> tuple[Installed, ...]:
    """The installed environments called `names` (cut short, if unambiguous); all of them without names.

    Raises:
        UsageError: there is none, or several, of that name.
    """
    listed = list_environments(sizes=False).environments
    if not names:
        return listed
    return tuple(_one(name, listed) for name in names)


def _one(name: str, listed: tuple[Installed, ...]) -> Installed:
    exact = [e for e in listed if e.name == name]
    matches = exact or [e for e in listed if e.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(e.name for e in (matches or listed)) or "none"
    raise UsageError(
        f"{len(matches)} installed environments are called {name}" if matches else f"{name} is not installed",
        cause=f"installed: {known}" if not matches else f"they are {known}",
        hints=(Hint(text="see", command="coursectl env list"),),
        code="not-installed",
    )


def verify(names: tuple[str, ...], progress: Progress) -> Verdicts:
    """Compare every file of the environments with their locks; changes nothing."""
    verdicts = []
    for environment in find(names):
        progress.say(f"verifying {environment.name}")
        verdicts.append(installing.installer(environment.record.engine).verify(Path(environment.prefix)))
    return Verdicts(verifications=tuple(verdicts))


def repair(course: Course, names: tuple[str, ...], network: Network, progress: Progress) -> Verdicts:
    """Make damaged environments, and the cache they came from, as locked again; whole ones are left alone.

    Raises:
        LockError: an environment's lock is not in this course.
        InstallError: it could not be mended.
    """
    verdicts = []
    for environment in find(names):
        engine = installing.installer(environment.record.engine)
        before = engine.verify(Path(environment.prefix))
        if before.ok:
            progress.say(f"{environment.name}: nothing to do")
            verdicts.append(before)
            continue
        progress.say(f"{environment.name}: {len(before.problems)} files to mend")
        verdicts.append(engine.repair(_request(course, environment, network), progress))
    return Verdicts(verifications=tuple(verdicts), repaired=True)


def _request(course: Course, environment: Installed, network: Network) -> InstallRequest:
    for semester in semesters.frozen(course):
        release = semesters.load(course, semester)
        for released in release.environments:
            for build in released.builds:
                prefix = installing.prefix_of(release, released, build)
                if build.digest == environment.record.digest and prefix.name == environment.name:
                    return installing.install_request(course, release, released, build, network)
    raise LockError(
        f"{environment.name} cannot be repaired from here",
        cause=f"no semester of {course.title} pins it (digest {environment.record.digest[:10]})",
        hints=(
            Hint(text="go to the course folder it came from:", command="coursectl -C DIR env repair"),
            Hint(text="or remove it:", command=f"coursectl env remove {environment.name}"),
        ),
    )


def remove(environments: tuple[Installed, ...], in_use: frozenset[str]) -> Removed:
    """Delete environments; the caller has asked.

    Raises:
        CourseError: one of them has a JupyterLab running in it.
    """
    for environment in environments:
        if environment.prefix in in_use:
            raise CourseError(
                f"{environment.name} is in use",
                cause="a JupyterLab runs in it",
                hints=(Hint(text="stop it first:", command="coursectl down"),),
                code="in-use",
            )
    installing.collect()
    total = 0
    for environment in environments:
        prefix = Path(environment.prefix)
        total += files.tree_bytes(prefix)
        installing.discard(prefix)
    return Removed(names=tuple(e.name for e in environments), bytes=total)
