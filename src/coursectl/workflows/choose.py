"""Which environment and variant a machine gets: pure decisions, each with the line that explains it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from coursectl.errors import Hint, LockError, UsageError
from coursectl.model.course import BASE_VARIANT, Course, Variant
from coursectl.model.launch import GpuFact
from coursectl.model.platform import Platform
from coursectl.model.release import BuildRelease, EnvironmentRelease, Release
from coursectl.settings import AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The build to install and why; `fallback` is what may stand in when it cannot be downloaded."""

    environment: EnvironmentRelease
    build: BuildRelease
    reasons: tuple[str, ...]
    fallback: str | None = None


def choose(
    course: Course, release: Release, platform: Platform, gpu: GpuFact, *, wanted: str | None, variant: str
) -> Choice:
    """The environment called `wanted` (``None``: the course's default, else its fallback) for this machine.

    Raises:
        UsageError: there is no such environment or variant.
        LockError: the semester pins nothing for this platform.
    """
    if wanted is not None:
        environment = _named(course, release, wanted)
        reasons: tuple[str, ...] = ()
    else:
        environment, reasons = _default(course, release, platform)
    build, reason = _build(course, environment, platform, gpu, variant, release)
    fallback = None
    if wanted is None and environment.name in {e.name for e in course.environments}:
        fallback = course.environment(environment.name).fallback
    return Choice(environment=environment, build=build, reasons=(*reasons, reason), fallback=fallback)


def _named(course: Course, release: Release, wanted: str) -> EnvironmentRelease:
    environment = release.environment(wanted)
    if environment is not None:
        return environment
    known = [e.name for e in release.environments]
    if wanted in {e.name for e in course.environments}:
        raise UsageError(
            f"{release.semester} does not pin the environment {wanted}",
            cause=f"it pins {', '.join(known)}",
            hints=(Hint(text="take", command=f"coursectl up {release.semester} --env {known[0]}"),),
        )
    near = difflib.get_close_matches(wanted, known, n=1) or known[:1]
    raise UsageError(
        f"{course.title} has no environment {wanted}",
        cause=f"{release.semester} has {', '.join(known)}",
        hints=tuple(
            Hint(text="did you mean", command=f"coursectl up {release.semester} --env {n}") for n in near
        ),
    )


def _default(
    course: Course, release: Release, platform: Platform
) -> tuple[EnvironmentRelease, tuple[str, ...]]:
    """Follow the fallbacks from the default environment to the first one that this platform has."""
    name: str | None = course.default_environment
    seen: list[str] = []
    why = ""
    while name is not None and name not in seen:
        seen.append(name)
        environment = release.environment(name)
        if environment is not None and environment.build(platform, BASE_VARIANT) is not None:
            return environment, (f"environment: {name}, because {why}",) if why else ()
        missing = f"is not part of {release.semester}" if environment is None else f"is not for {platform}"
        why = f"{name} {missing}"
        name = course.environment(name).fallback
    raise LockError(
        f"{release.semester} has nothing for {platform}",
        cause=f"{', '.join(seen)} cover {', '.join(_platforms(release)) or 'no platform'}",
        hints=(f"staff: add {platform} to the platforms of {seen[0]} in course.yaml and freeze again",),
        code="platform",
    )


def _platforms(release: Release) -> list[str]:
    return sorted({str(b.platform) for e in release.environments for b in e.builds})


def _build(
    course: Course,
    environment: EnvironmentRelease,
    platform: Platform,
    gpu: GpuFact,
    variant: str,
    release: Release,
) -> tuple[BuildRelease, str]:
    if variant != AUTO:
        build = environment.build(platform, variant)
        if build is None:
            known = [b.variant for b in environment.builds if b.platform == platform]
            raise UsageError(
                f"{environment.name} of {release.semester} has no variant {variant} for {platform}",
                cause=f"it has {', '.join(known) or 'nothing for this platform'}",
                hints=tuple(Hint(text="take", command=f"coursectl up --variant {n}") for n in known[:1]),
            )
        return build, f"gpu: {variant} was asked for"
    usable = None
    for candidate in environment.builds:
        if candidate.platform == platform and candidate.variant != BASE_VARIANT:
            wanted = _variant(course, environment.name, candidate.variant)
            if wanted is not None and _runs_on(wanted, gpu):
                usable = candidate
    if usable is not None:
        return usable, f"gpu: {gpu.reason}: {usable.variant}"
    base = environment.build(platform, BASE_VARIANT)
    if base is None:
        raise LockError(
            f"{environment.name} of {release.semester} has nothing for {platform}",
            cause=f"it covers {', '.join(sorted({str(b.platform) for b in environment.builds}))}",
            code="platform",
        )
    return base, f"gpu: {gpu.reason}: {BASE_VARIANT}"


def _variant(course: Course, environment: str, name: str) -> Variant | None:
    try:
        return course.environment(environment).variant(name)
    except KeyError:
        return None  # course.yaml has moved on since the freeze


def _runs_on(variant: Variant, gpu: GpuFact) -> bool:
    """Whether a variant's CUDA fits what the driver supports; a variant without CUDA is never automatic.

    >>> from coursectl.model.platform import VirtualPackage
    >>> cuda = Variant(
    ...     name="cuda", platforms=(), virtual_packages=(VirtualPackage(name="__cuda", version="12.6"),)
    ... )
    >>> _runs_on(cuda, GpuFact(cuda="12.4", name="T4", reason="T4"))
    False
    """
    for package in variant.virtual_packages:
        if package.name == "__cuda":
            if gpu.cuda is None:
                return False
            from packaging.version import InvalidVersion, Version

            try:
                return Version(package.version) <= Version(gpu.cuda)
            except InvalidVersion:
                return False
    return False
