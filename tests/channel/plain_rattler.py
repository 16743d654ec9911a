"""Solve and install with py-rattler alone, none of coursectl's code: proof that a channel is a real one.

A child process does it, because py-rattler can crash when its interpreter ends (``os._exit`` avoids that)::

    solve(url, ["numpy"], platform="osx-arm64", virtual={"__osx": "11.0"})   # ["numpy-2.4.6-py311_0", ...]
    install(url, ["python", "numpy"], prefix, cache)                         # for this machine
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from channel.interpreter import here

VIRTUAL: Mapping[str, Mapping[str, str]] = {
    "linux": {"__glibc": "2.28", "__linux": "5.10", "__unix": "0"},
    "osx": {"__osx": "11.0", "__unix": "0"},
    "win": {"__win": "10.0"},
}
"""The least that a machine of each system has."""


class Refused(Exception):
    """py-rattler's own words for why it did not."""


def solve(
    url: str,
    specs: Sequence[str],
    *,
    platform: str,
    virtual: Mapping[str, str] | None = None,
    as_of: str | None = None,
) -> list[str]:
    """``name-version-build`` of every package, sorted; `as_of` is an ISO time in UTC.

    Raises:
        Refused: it cannot be solved, or the channel cannot be read.
    """
    facts = dict(VIRTUAL[platform.partition("-")[0]]) | dict(virtual or {})
    return _child({"url": url, "specs": list(specs), "platform": platform, "virtual": facts, "as_of": as_of})


def install(url: str, specs: Sequence[str], prefix: Path, cache: Path) -> list[str]:
    """Solve for this machine and install into `prefix`; returns what `solve` does.

    Raises:
        Refused: it cannot be solved or installed.
    """
    facts = dict(VIRTUAL["linux"])
    asked = {"url": url, "specs": list(specs), "platform": here(), "virtual": facts, "as_of": None}
    return _child(asked | {"prefix": str(prefix), "cache": str(cache)})


def _child(asked: Mapping[str, object]) -> list[str]:
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "channel.plain_rattler"],
        input=json.dumps(asked),
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(done.stderr)
    answer: list[str] = json.loads(done.stdout)
    return answer


async def _main(asked: dict[str, object]) -> list[str]:
    from datetime import datetime, timedelta
    from tempfile import TemporaryDirectory

    import rattler
    from rattler.package import BuildString

    virtual = [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), BuildString("0"))
        for name, version in asked["virtual"].items()  # type: ignore[attr-defined]
    ]
    with TemporaryDirectory() as folder:  # an index cached by another solve would hide what is served
        records = await rattler.solve(
            [str(asked["url"])],
            [rattler.MatchSpec(spec, strict=False) for spec in asked["specs"]],  # type: ignore[attr-defined]
            gateway=rattler.Gateway(cache_dir=Path(folder)),
            platforms=[str(asked["platform"]), "noarch"],  # type: ignore[list-item]
            virtual_packages=virtual,
            timeout=timedelta(seconds=60),
            exclude_newer=datetime.fromisoformat(str(asked["as_of"])) if asked["as_of"] else None,
        )
    if "prefix" in asked:
        target, cache = str(asked["prefix"]), Path(str(asked["cache"]))
        await rattler.install(records, target, cache_dir=cache, show_progress=False)
    return sorted(f"{r.name.source}-{r.version}-{r.build}" for r in records)


if __name__ == "__main__":
    import asyncio

    try:
        print(json.dumps(asyncio.run(_main(json.load(sys.stdin)))), flush=True)
    except BaseException as exc:  # panics of Rust are not Exceptions; the parent shows the text
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
