"""The child process that does all the work with py-rattler: ``python -m coursectl.engines.conda_child``.

py-rattler 0.28 can crash when the interpreter exits after success (4 to 30 % of runs), its panics are
``BaseException`` and an exception in a reporter is swallowed. So it lives in a process of its own, which
reads one line of JSON on standard input (see `solve` and `install` for the requests), writes one JSON object
a line on standard output, and leaves with ``os._exit``, past everything that could crash.

Events: ``cached`` (what is there and what has to be fetched), ``bytes`` and ``linked`` (progress), and as the
last one ``done`` or ``failed``. Standard input stays open as long as the launcher lives; when it closes, this
process ends at once, so that no orphan goes on writing to a cache or a prefix.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursectl.engines.conda_events import Events, Failure, client_of

if TYPE_CHECKING:
    from rattler.repo_data import RepoDataRecord

    from coursectl.engines.conda_reporter import Reporter

ABANDONED = 3
"""Exit code when the launcher is gone; nobody reads it."""


def build_number(build: str) -> int:
    """The build number in a build string, 0 where there is none; a lock has only the string.

    >>> build_number("py311h64a7726_1"), build_number("hab00c5b_0_cpython"), build_number("cpython")
    (1, 0, 0)
    """
    numbers = re.findall(r"(?:^|_)(\d+)(?=_|$)", build)
    return int(numbers[-1]) if numbers else 0


def record_of(package: Mapping[str, Any], platform: str) -> RepoDataRecord:
    """What rattler installs, from what a lock says.

    A lock has no ``noarch`` field: rattler takes the kind from the package itself when it links. It does take
    the place of site-packages from the python record, which only free-threaded Pythons move.
    """
    from rattler.package.build_string import BuildString
    from rattler.repo_data import PackageRecord, RepoDataRecord

    base, _, file_name = package["url"].rpartition("/")
    subdir = package["subdir"] or base.rpartition("/")[2] or platform
    threads = re.search(r"_cp(\d)(\d+)t$", package["build"]) if package["name"] == "python" else None
    record = PackageRecord(
        package["name"],
        package["version"],
        BuildString(package["build"]),
        build_number(package["build"]),
        subdir,
        depends=list(package["depends"]),
        sha256=bytes.fromhex(package["sha256"]) if package["sha256"] else None,
        md5=bytes.fromhex(package["md5"]) if package["md5"] else None,
        size=package["size"],
        python_site_packages_path=(
            f"lib/python{threads[1]}.{threads[2]}t/site-packages" if threads else None
        ),
    )
    return RepoDataRecord(record, file_name, package["url"], base.removesuffix(f"/{subdir}"))


async def install(request: Mapping[str, Any], events: Events) -> dict[str, Any]:
    """Link `packages` into the empty folder `staging`, with `final` written where a prefix is.

    The request: ``packages``, ``platform``, ``staging``, ``final``, ``cache``, ``full`` (compare the cache's
    files with their hashes, and fetch again what differs), ``mirrors``, ``offline``.
    """
    import rattler
    from rattler.package_cache import PackageCache, ValidationMode
    from rattler.platform import Subdir

    from coursectl.engines.conda_reporter import Reporter

    records = [record_of(package, request["platform"]) for package in request["packages"]]
    mode = ValidationMode.full() if request["full"] else ValidationMode.fast()
    cache = PackageCache.new_layered([Path(request["cache"])], False, mode)
    index = await cache.index()
    missing = [r for r in records if not index.contains_record(r)]
    sizes = [r.size for r in missing]
    if missing and request["offline"]:
        raise Failure("offline", "", missing=[r.file_name for r in missing])
    events.send(
        "cached",
        packages=len(records),
        missing=len(missing),
        bytes=None if None in sizes else sum(s for s in sizes if s is not None),
    )
    reporter = Reporter(events.send)  # type: ignore[abstract]  # a protocol with bodies that do nothing
    threading.Thread(target=_watch, args=(reporter, events), daemon=True).start()
    await rattler.install(
        records,
        request["staging"],
        package_cache=cache,
        client=client_of(request),
        show_progress=False,
        reporter=reporter,
        alternative_target_prefix=request["final"],
        platform=Subdir(request["platform"]),
        installed_packages=[],
        execute_link_scripts=False,  # a package's scripts are not covered by any hash in paths.json
    )
    return {}


def _watch(reporter: Reporter, events: Events) -> None:
    """End the process when a download stands still: rattler would wait for ever."""
    while True:
        time.sleep(1)
        name = reporter.stalled()
        if name is not None:
            events.send("failed", kind="stalled", text=f"the download of {name} stands still", facts={})
            os._exit(1)


async def answer(request: Mapping[str, Any], events: Events) -> dict[str, Any]:
    """Do what the request's ``op`` says."""
    if request["op"] == "install":
        return await install(request, events)
    from coursectl.engines.conda_child_solve import solve

    return await solve(request)


def first_line() -> bytes:
    """The request: standard input up to the first line end, and nothing beyond."""
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            os._exit(ABANDONED)
        parts.append(part)
    return b"".join(parts)


def _leash() -> None:
    while True:
        try:
            if not os.read(0, 1 << 16):
                break
        except OSError:
            break
    os._exit(ABANDONED)


def main(arguments: Sequence[str] = ()) -> None:  # noqa: ARG001 - all input comes by standard input
    """Answer one request and leave without the interpreter's own exit."""
    events = Events()
    request = json.loads(first_line())
    threading.Thread(target=_leash, daemon=True).start()
    code = 1
    try:
        result = asyncio.run(answer(request, events))
    except Failure as failure:
        events.send("failed", kind=failure.kind, text=str(failure), facts=failure.facts)
    except BaseException as exc:  # a Rust panic is a BaseException; whatever it is, it is told
        events.send("failed", kind=type(exc).__name__, text=str(exc) or repr(exc), facts={})
    else:
        events.send("done", **result)
        code = 0
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    # by its real name: as __main__ its classes would exist twice, and `except Failure` would miss the other's
    from coursectl.engines import conda_child

    conda_child.main()
