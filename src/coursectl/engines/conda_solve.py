"""Match specs to a locked set of packages, for any platform from any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import PurePosixPath
from typing import Any

from coursectl.engines.base import CondaRequest, Network
from coursectl.engines.conda_call import Outcome, call, host_of, network_error, translate
from coursectl.engines.conda_explain import Situation, explain
from coursectl.errors import CourseError, CourseFileError, NetworkError, SolveError
from coursectl.model.course import Environment
from coursectl.model.lock import CondaPackage, CondaSolution
from coursectl.model.platform import virtual_packages
from coursectl.model.progress import Progress

_HOME = "https://conda.anaconda.org"
_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")


def channel_urls(names: Sequence[str]) -> tuple[str, ...]:
    """The addresses of channels, in the same order; conda's own words ``defaults`` and ``nodefaults`` apply.

    >>> channel_urls(["conda-forge", "https://conda.example.edu/course/", "nodefaults"])
    ('https://conda.anaconda.org/conda-forge', 'https://conda.example.edu/course')
    """
    urls: list[str] = []
    for name in names:
        if name == "defaults":
            urls.extend(_DEFAULTS)
        elif name != "nodefaults":
            urls.append((name if "://" in name else f"{_HOME}/{name}").rstrip("/"))
    return tuple(dict.fromkeys(urls))


def end_of_day(day: date) -> datetime:
    """The last moment of `day` in UTC: packages up to it belong to the day's stack.

    >>> end_of_day(date(2023, 8, 20)).isoformat()
    '2023-08-20T23:59:59.999999+00:00'
    """
    return datetime.combine(day, time.max, tzinfo=UTC)


def solve(request: CondaRequest, network: Network, progress: Progress) -> CondaSolution:
    """See `coursectl.engines.base.CondaSolver`.

    Raises:
        SolveError: no set of packages fits.
        NetworkError: a channel cannot be reached.
        CourseFileError: a match spec cannot be read.
    """
    environment, platform = request.environment, request.platform
    let_loose = {name.lower() for name in request.update}
    keep = [p for p in request.keep if p.manager == "conda" and p.name not in let_loose]
    declared = virtual_packages(platform, environment.variant(request.variant).virtual_packages)
    label = f"{environment.name} for {platform} ({request.variant})"
    with progress.task(f"solving {label}"):
        outcome = call(
            {
                "op": "solve",
                "channels": channel_urls(environment.channels),
                "platform": str(platform),
                "specs": request.specs,
                "virtual": [(v.name, v.version, v.build) for v in declared],
                "before": end_of_day(request.as_of).isoformat() if request.as_of else None,
                "keep": [f"{p.subdir}/{PurePosixPath(p.url).name}" for p in keep],
                "keep_names": [p.name for p in keep],
                "index_cache": str(network.cache / "conda" / "index"),
            },
            network,
            lambda _event: None,
        )
    if not outcome.done:
        raise _error(outcome, request)
    packages = sorted(
        (_package(entry) for entry in outcome.result["packages"]), key=lambda p: (p.manager, p.name)
    )
    return CondaSolution(platform=platform, variant=request.variant, packages=tuple(packages))


def _package(entry: Mapping[str, Any]) -> CondaPackage:
    return CondaPackage(
        name=entry["name"],
        version=entry["version"],
        build=entry["build"],
        manager="conda",
        url=entry["url"],
        sha256=entry["sha256"],
        md5=entry["md5"],
        size=entry["size"],
        subdir=entry["subdir"],
        depends=tuple(entry["depends"]),
    )


def _error(outcome: Outcome, request: CondaRequest) -> CourseError:
    environment, platform = request.environment, request.platform
    doing = f"{environment.name} cannot be solved for {platform} ({request.variant})"
    if outcome.kind == "bad-spec":
        return CourseFileError(
            f"{environment.spec}: {outcome.facts['spec']!r} is not a conda match spec",
            cause=outcome.text,
            hints=("write it as in `numpy >=1.26,<3` or `numpy=1.26=py311*`",),
        )
    if outcome.kind == "unsolvable":
        said = explain(
            outcome.text,
            outcome.facts,
            Situation(
                specs=request.specs,
                declared=virtual_packages(platform, environment.variant(request.variant).virtual_packages),
                where=f"{', '.join(environment.channels)} for {platform}",
                file=environment.spec,
                key=f"environments.{environment.name}.variants.{request.variant}",
                as_of=request.as_of.isoformat() if request.as_of else None,
            ),
        )
        return SolveError(doing, cause=said.cause, hints=said.hints)
    return _channel_error(outcome, environment, doing)


def _channel_error(outcome: Outcome, environment: Environment, doing: str) -> CourseError:
    """What went wrong with a channel, or with the solver itself."""
    if outcome.kind == "InvalidChannelError" or "is not a supported scheme" in outcome.text:
        return CourseFileError(
            f"{environment.name} names a channel that is no address: {', '.join(environment.channels)}",
            cause=outcome.text.splitlines()[-1].removeprefix("Caused by: "),
            hints=("a channel is a name such as conda-forge, or an https address",),
        )
    if "no usable repodata cache" in outcome.text:
        return NetworkError(
            f"{doing}: the channel's index is not in the cache",
            cause=outcome.text,
            hints=("run it once without --offline",),
            code="offline",
        )
    if "could not find subdir" in outcome.text:
        return NetworkError(
            f"{doing}: there is no channel there",
            cause=outcome.text.splitlines()[0],
            hints=(f"check `channels` of {environment.name} in course.yaml and {environment.spec}",),
            code="no-channel",
        )
    error = translate(outcome, doing)
    if error.default_code != "install":
        return error
    if outcome.kind == "GatewayError":
        return network_error(outcome.text, doing, host_of(outcome.text) or "the channel")
    return SolveError(doing, cause=error.cause, hints=error.hints)
