"""Solving, inside the child process (see `coursectl.engines.conda_child`)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursectl.engines.conda_events import Failure, client_of

if TYPE_CHECKING:
    from rattler.channel import Channel
    from rattler.match_spec import MatchSpec
    from rattler.networking.fetch_repo_data import CacheAction
    from rattler.package import PackageName
    from rattler.platform import Subdir
    from rattler.repo_data import Gateway, RepoDataRecord

_SOLVE_SECONDS = 300
_MISSING = re.compile(
    r"No candidates were found for (\S+)|([\w.-]+)(?: [^\n,]*(?:,[^\s,]+)*)?, for which no cand"
)


class DatedChannel:
    """A channel as it was at the end of a day: a source of records for rattler.

    rattler's own ``exclude_newer`` prefers a record's ``indexed_timestamp`` to its ``timestamp``. That is the
    moment when somebody's index first saw the file: for a mirror or a channel indexed today it is today, and
    a past semester could not be rebuilt from it. Here only the package's own timestamp counts, so that every
    copy of a channel gives the same stack. A record without one is left out.
    """

    def __init__(
        self, gateway: Gateway, channel: Channel, names: Mapping[str, Sequence[str]], end: datetime
    ) -> None:
        self._gateway = gateway
        self._channel = channel
        self._names = names
        self._end = end

    async def fetch_package_records(self, platform: Subdir, name: PackageName) -> list[RepoDataRecord]:
        """The records of `name` that were there at the end of the day."""
        records = await _query(self._gateway, [self._channel], [platform], [name.normalized])
        return [r for r in records if r.timestamp is not None and r.timestamp <= self._end]

    def package_names(self, platform: Subdir) -> list[str]:
        """Every name the channel has for `platform`, of any day."""
        return list(self._names.get(str(platform), ()))


async def _query(
    gateway: Gateway, channels: Sequence[Channel], platforms: Sequence[Subdir], names: Iterable[str]
) -> list[RepoDataRecord]:
    from rattler.match_spec import MatchSpec

    wanted = [MatchSpec(name, strict=False) for name in names]
    found = await gateway.query(
        channels,
        platforms,
        wanted,
        recursive=False,
        channel_relations="disabled",
    )
    return [record for records in found for record in records]


def gateway_of(request: Mapping[str, Any], *, fresh: bool = False) -> Gateway:
    """The source of channel indexes: cached below the request's ``index_cache``, offline from there alone."""
    from rattler.repo_data.gateway import Gateway, SourceConfig

    action: CacheAction = (
        "force-cache-only" if request["offline"] else "no-cache" if fresh else "cache-or-fetch"
    )
    return Gateway(
        cache_dir=Path(request["index_cache"]),
        default_config=SourceConfig(cache_action=action),
        client=client_of(request),
        show_progress=False,
    )


async def solve(request: Mapping[str, Any]) -> dict[str, Any]:
    """Solve `specs` for `platform` from `channels`, in order of strict priority.

    The request: ``channels`` (addresses), ``platform``, ``specs``, ``virtual`` (name, version, build),
    ``before`` (moment in UTC, ISO 8601, or null), ``keep`` (``subdir/file name`` of records to stay at, with
    their ``keep_names``), ``index_cache``, ``mirrors``, ``offline``. The answer: ``packages``.
    """
    try:
        return await _solve(request, gateway_of(request))
    except Exception as exc:
        # a server that answers If-Modified-Since but sends no ETag: rattler fails on its own cached index
        if type(exc).__name__ != "GatewayError" or "304 Not Modified" not in str(exc):
            raise
    return await _solve(request, gateway_of(request, fresh=True))


async def _solve(request: Mapping[str, Any], gateway: Gateway) -> dict[str, Any]:
    import rattler
    from rattler.channel import Channel
    from rattler.exceptions import SolverError
    from rattler.package.build_string import BuildString
    from rattler.platform import Subdir
    from rattler.virtual_package import GenericVirtualPackage

    specs = [_match_spec(text) for text in request["specs"]]
    channels = [Channel(url) for url in request["channels"]]
    platforms = [Subdir(request["platform"]), Subdir("noarch")]
    before = datetime.fromisoformat(request["before"]).astimezone(UTC) if request["before"] else None
    sources: list[Any] = list(channels)
    if before is not None:
        sources = [
            DatedChannel(gateway, c, {str(p): await _names(gateway, [c], [p]) for p in platforms}, before)
            for c in channels
        ]
    locked = await _locked(request, gateway, channels, platforms, before)
    virtual = [
        GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), BuildString(build))
        for name, version, build in request["virtual"]
    ]
    try:
        records = await rattler.solve(
            sources,
            specs,
            gateway,
            platforms,
            locked_packages=locked,
            virtual_packages=virtual,
            timeout=timedelta(seconds=_SOLVE_SECONDS),
            channel_relations="disabled",  # the course names its channels; a channel does not add others
        )
    except SolverError as exc:
        facts = await _facts(str(exc), gateway, channels, platforms)
        raise Failure("unsolvable", str(exc), **facts) from exc
    return {"packages": [_described(record) for record in records]}


def _match_spec(text: str) -> MatchSpec:
    from rattler.match_spec import MatchSpec

    try:
        return MatchSpec(text, strict=False)
    except Exception as exc:
        raise Failure("bad-spec", str(exc), spec=text) from exc


async def _names(gateway: Gateway, channels: Sequence[Channel], platforms: Sequence[Subdir]) -> list[str]:
    names = await gateway.names(channels, platforms, channel_relations="disabled")
    return [name.normalized for name in names]


async def _locked(
    request: Mapping[str, Any],
    gateway: Gateway,
    channels: Sequence[Channel],
    platforms: Sequence[Subdir],
    before: datetime | None,
) -> list[RepoDataRecord]:
    """The channel's own records of what is to stay; a lock's have no ``constrains``: a wrong solution."""
    keep = set(request["keep"])
    if not keep:
        return []
    records = await _query(gateway, channels, platforms, sorted(set(request["keep_names"])))
    return [
        r
        for r in records
        if f"{r.subdir}/{r.file_name}" in keep
        and (before is None or (r.timestamp is not None and r.timestamp <= before))
    ]


def _described(record: RepoDataRecord) -> dict[str, Any]:
    return {
        "name": record.name.normalized,
        "version": str(record.version),
        "build": str(record.build),
        "url": record.url,
        "sha256": record.sha256.hex() if record.sha256 else None,
        "md5": record.md5.hex() if record.md5 else None,
        "size": record.size,
        "subdir": record.subdir,
        "depends": list(record.depends),
    }


async def _facts(
    text: str, gateway: Gateway, channels: Sequence[Channel], platforms: Sequence[Subdir]
) -> dict[str, Any]:
    """What the channels have of the names that the solver missed: versions with their first day, and names
    that look alike. `empty`: the channels have nothing at all for the platform.
    """
    names = sorted({a or b for a, b in _MISSING.findall(text)} - {""})
    known = await _names(gateway, channels, platforms)
    every = set(known)
    facts: dict[str, Any] = {"names": {}, "empty": not await _names(gateway, channels, platforms[:1])}
    for name in names:
        if name.startswith("__"):
            continue
        records = await _query(gateway, channels, platforms, [name]) if name in every else []
        days: dict[str, str] = {}
        for record in sorted(records, key=lambda r: r.version):
            day = record.timestamp.date().isoformat() if record.timestamp else ""
            version = str(record.version)
            days[version] = min(filter(None, (days.get(version), day)), default="")
        facts["names"][name] = {
            "versions": days,
            "close": difflib.get_close_matches(name, known, n=3, cutoff=0.75) if name not in every else [],
        }
    return facts
