"""From a course folder to JupyterLab: observe, plan (pure), ensure. `launch` starts what is ready."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from coursectl import files, paths
from coursectl.engines.base import Network
from coursectl.errors import CourseError, DiskSpaceError, Hint, LockError, NetworkError
from coursectl.model.course import Course, EngineKind
from coursectl.model.launch import Facts, LaunchPlan, Server, Target
from coursectl.model.progress import Progress
from coursectl.model.release import BuildRelease, EnvironmentRelease, Release
from coursectl.model.semester import Semester
from coursectl.settings import AUTO, Settings, Source
from coursectl.workflows import installing, semesters
from coursectl.workflows.choose import Choice, choose

# What a time estimate takes for granted: a home or campus line, and unpacking to a laptop's disk.
LINE_BYTES_PER_SECOND = 3_000_000  # 25 Mbit/s
UNPACK_BYTES_PER_SECOND = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a student asked for; ``None`` and "auto" leave it to the course and the machine."""

    semester: Semester
    environment: str | None = None
    variant: str = AUTO

    @classmethod
    def of(cls, course: Course, settings: Settings) -> Wish:
        """What the effective settings ask for. An environment that nobody typed is left to the machine."""
        typed = settings.row("environment").source in {Source.FLAG, Source.VARIABLE}
        return cls(
            semester=settings.semester or course.current,
            environment=settings.environment if typed else None,
            variant=settings.variant,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A plan with what it was made from."""

    plan: LaunchPlan
    course: Course
    release: Release
    environment: EnvironmentRelease
    build: BuildRelease


@dataclass(frozen=True, slots=True, kw_only=True)
class UpReport:
    """What `up` did. `install_seconds` is 0 where the environment was there; `server` is ``None`` with
    ``--no-launch``; `found`: the server ran already; `opened`: a browser was sent to it.
    """

    plan: LaunchPlan
    install_seconds: float
    server: Server | None = None
    found: bool = False
    opened: bool = False


def observe() -> Facts:
    """Look at this machine; changes nothing.

    Raises:
        LockError: no course can be frozen for this kind of machine.
    """
    from coursectl.backends import gpu

    platform = paths.current_platform()
    if platform is None:
        import platform as system

        raise LockError(
            f"coursectl does not know this kind of machine: {system.system()} {system.machine()}",
            cause="courses are frozen for Linux (x86-64, arm64), macOS and Windows",
            hints=("use the course's container or cloud machine",),
            code="platform",
        )
    return Facts(platform=platform, gpu=gpu.probe(), free_bytes=files.free_bytes(paths.home()))


def prepare(course: Course, wish: Wish, network: Network, facts: Facts) -> Ready:
    """Decide what `up` will do. Asks the network only where a channel decides between two environments.

    Raises:
        LockError: the semester is not frozen, or not for this machine.
        UsageError: there is no such environment or variant.
    """
    release = semesters.load(course, wish.semester)

    def choice_of(environment: str | None) -> Choice:
        return choose(course, release, facts.platform, facts.gpu, wanted=environment, variant=wish.variant)

    choice = choice_of(wish.environment)
    ready = plan(course, release, choice, facts)
    if ready.plan.installed or choice.fallback is None or release.environment(choice.fallback) is None:
        return ready
    try:
        second = plan(course, release, choice_of(choice.fallback), facts)
    except CourseError:
        return ready  # the fallback is not for this machine: the first choice reports its own trouble
    if second.plan.installed:
        why = (
            f"environment: {second.environment.name}, because it is installed; "
            f"`coursectl up --env {ready.environment.name}` installs the main one"
        )
    else:
        unreachable = _unreachable_channel(course, ready.environment, network)
        if unreachable is None:
            return ready
        why = f"environment: {second.environment.name}, because {unreachable}"
    reasons = (why, *(r for r in second.plan.reasons if not r.startswith("environment:")))
    return replace(second, plan=replace(second.plan, reasons=reasons))


def _unreachable_channel(course: Course, environment: EnvironmentRelease, network: Network) -> str | None:
    """Why the channels of a conda environment cannot be used, in a few words; ``None`` where they can."""
    if environment.engine is not EngineKind.CONDA or network.offline:
        return None
    from coursectl import web

    try:
        channels = course.environment(environment.name).channels
    except KeyError:
        return None
    for channel in channels:
        address = channel_address(channel)
        asked = network.mirrors.get(address, (address,))
        tried = [web.reachable(base, timeout=4.0) for base in asked]
        if not any(reach.ok for reach in tried):
            return f"the channel {channel} cannot be used from here ({tried[0].reason})"
    return None


def channel_address(channel: str) -> str:
    """A channel's base address.

    >>> channel_address("conda-forge")
    'https://conda.anaconda.org/conda-forge'
    """
    if "://" in channel:
        return channel.rstrip("/")
    return f"https://conda.anaconda.org/{channel}"


def plan(course: Course, release: Release, choice: Choice, facts: Facts) -> Ready:
    """What would be done for one choice; pure but for asking whether its prefix is there."""
    environment, build = choice.environment, choice.build
    prefix = installing.prefix_of(release, environment, build)
    installed = installing.is_installed(prefix, build.digest)
    needed: int | None = 0
    seconds: int | None = 0
    if not installed:
        needed = seconds = None
        if build.download_bytes is not None and build.installed_bytes is not None:
            needed = build.download_bytes + build.installed_bytes
            seconds = round(
                build.download_bytes / LINE_BYTES_PER_SECOND + build.installed_bytes / UNPACK_BYTES_PER_SECOND
            )
    return Ready(
        plan=LaunchPlan(
            course=course.name,
            title=course.title,
            course_root=str(course.root),
            semester=str(release.semester),
            environment=environment.name,
            variant=build.variant,
            platform=facts.platform,
            target=Target.LOCAL,
            digest=build.digest,
            prefix=str(prefix),
            installed=installed,
            packages=build.packages,
            download_bytes=build.download_bytes,
            installed_bytes=build.installed_bytes,
            needed_bytes=needed,
            free_bytes=facts.free_bytes,
            seconds=seconds,
            reasons=choice.reasons,
        ),
        course=course,
        release=release,
        environment=environment,
        build=build,
    )


def refuse_full_disk(plan: LaunchPlan) -> None:
    """Stop before the first byte where the disk cannot hold the environment.

    Raises:
        DiskSpaceError: with the bytes needed and free.
    """
    if plan.needed_bytes is not None and plan.needed_bytes > plan.free_bytes:
        raise DiskSpaceError(
            f"{plan.environment} needs {plan.needed_bytes / 1e9:.1f} GB ({plan.needed_bytes} bytes), "
            f"{plan.free_bytes / 1e9:.1f} GB ({plan.free_bytes} bytes) are free",
            cause=f"environments are kept in {paths.home()}",
            hints=(
                Hint(text="free some room, for example:", command="coursectl cache clean"),
                Hint(text="or move coursectl's files: set COURSECTL_HOME to a folder on another disk"),
            ),
        )


def ensure(ready: Ready, network: Network, progress: Progress) -> float:
    """Make the environment be there; returns the seconds it took, 0 where nothing was to be done.

    Raises:
        DiskSpaceError: it does not fit.
        InstallError: it could not be installed; what stood before still stands.
        NetworkError: packages are missing and cannot be fetched.
    """
    if ready.plan.installed:
        return 0.0
    installing.collect()
    refuse_full_disk(ready.plan)
    start = time.monotonic()
    request = installing.install_request(ready.course, ready.release, ready.environment, ready.build, network)
    try:
        installing.installer(ready.environment.engine).ensure(request, progress)
    except NetworkError as exc:
        exc.hints = _other_ways(ready, network, exc.hints)
        raise
    return time.monotonic() - start


def _other_ways(ready: Ready, network: Network, hints: tuple[Hint, ...]) -> tuple[Hint, ...]:
    """The engine's `hints`, with what a student without a working network can still do."""
    if network.offline:
        return (Hint(text="once, with a network:", command=f"coursectl up {ready.plan.semester}"),)
    try:
        fallback = ready.course.environment(ready.environment.name).fallback
    except KeyError:
        return hints
    if fallback is None or ready.release.environment(fallback) is None:
        return hints
    command = f"coursectl up {ready.plan.semester} --env {fallback}"
    return (*hints, Hint(text="or take the environment from the Python package index:", command=command))
