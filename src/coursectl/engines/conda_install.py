"""A locked set of packages to a staging folder that is proven to hold them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coursectl import activation, files
from coursectl.engines.base import InstallRequest
from coursectl.engines.conda_cache import PackageCache, read_seals, write_seals
from coursectl.engines.conda_call import Outcome, call, translate
from coursectl.engines.conda_pip import pip_problems
from coursectl.engines.conda_verify import check, package_problems
from coursectl.errors import CourseError, DiskSpaceError, InstallError, NetworkError
from coursectl.model.installed import Problem, Verification
from coursectl.model.lock import CondaPackage
from coursectl.model.progress import Progress, Task

PACKAGES = "coursectl-packages.json"
"""The list of locked packages at the top of a prefix: it lets `verify` see one more or one less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What is in a staging folder: `size` in bytes, and what is wrong with it."""

    problems: tuple[Problem, ...]
    files: int
    size: int


class _Show:
    """Shows the child's events as two tasks: bytes fetched, packages linked."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._download: Task | None = None
        self._link: Task | None = None
        self._packages: int | None = None

    def __enter__(self) -> _Show:
        return self

    def __exit__(self, *_exc: object) -> None:
        with self._lock:
            self._stack.close()

    def event(self, event: Mapping[str, Any]) -> None:
        """Follow one event; called from the thread that reads them."""
        with self._lock:
            if event["event"] == "cached":
                self._packages = event["packages"]
                if event["missing"]:
                    self._download = self._stack.enter_context(
                        self._progress.task("downloading", total=event["bytes"], unit="bytes")
                    )
            elif event["event"] == "bytes" and self._download is not None:
                self._download.advance(event["amount"])
                self._download.detail(event["name"])
            elif event["event"] == "linked":
                if self._link is None:
                    self._link = self._stack.enter_context(
                        self._progress.task("installing", total=self._packages, unit="packages")
                    )
                self._link.advance()
                self._link.detail(event["name"])


def fill(
    request: InstallRequest, staging: Path, cache: PackageCache, progress: Progress, *, full: bool
) -> Filled:
    """Install into `staging` for `request.prefix` and compare every file with what the packages say.

    `full` compares the whole cache with its hashes first and fetches again what differs. Otherwise rattler
    only looks whether the cached files exist, and the seals (see `coursectl.engines.conda_verify.check`) say
    which files need not be hashed again: hashing everything costs several times the linking.

    Raises:
        InstallError, NetworkError, DiskSpaceError: see `coursectl.engines.base.Installer`.
    """
    conda = [p for p in request.packages if p.manager == "conda"]
    pip = [p for p in request.packages if p.manager == "pip"]
    with _Show(progress) as show:
        outcome = call(_request(request, conda, staging, cache, full), request.network, show.event)
    if outcome.kind not in {"done", "crashed"}:
        raise _error(outcome, request)
    if pip:
        _install_pip(request, pip, staging, progress)
    seals = {} if full else read_seals(cache)
    with progress.task("checking", unit="files"):
        found = check(staging, seals=seals)
        names = [(p.name, p.version, p.build or "") for p in conda]
        of_pip, _, pip_files = pip_problems(staging, found.metas, [(p.name, p.version) for p in pip])
    problems = (*found.problems, *package_problems(found.metas, names), *of_pip)
    if outcome.kind == "crashed" and problems:
        raise _error(outcome, request)
    write_seals(cache, seals, found.seals)
    if not problems:
        write_packages(staging, request.packages)
    return Filled(problems=problems, files=found.files + pip_files, size=found.size)


def _request(
    request: InstallRequest, conda: Sequence[CondaPackage], staging: Path, cache: PackageCache, full: bool
) -> dict[str, object]:
    return {
        "op": "install",
        "packages": [{**asdict(p), "build": p.build or ""} for p in conda],
        "platform": request.record.platform,
        "staging": str(staging),
        "final": str(request.prefix),
        "cache": str(cache.own),
        "full": full,
    }


def _install_pip(
    request: InstallRequest, pip: Sequence[CondaPackage], staging: Path, progress: Progress
) -> None:
    from coursectl.engines.uv import install_hashed

    without = [p.name for p in pip if not p.sha256]
    if without:
        raise InstallError(
            f"{request.record.environment} cannot be installed",
            cause=f"the lock has no sha256 for {', '.join(without)}",
            hints=("freeze the semester again",),
        )
    install_hashed(
        python=activation.python_of(staging),
        staging=staging,
        final=request.prefix,
        pins=[(p.name, p.version, p.sha256 or "") for p in pip],
        urls={p.name: p.url for p in pip},
        network=request.network,
        progress=progress,
    )


def _error(outcome: Outcome, request: InstallRequest) -> CourseError:
    doing = f"{request.record.environment} cannot be installed"
    if outcome.kind == "offline":
        missing = list(outcome.facts["missing"])
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        return NetworkError(
            f"{doing} offline: {len(missing)} packages are not in the cache",
            cause=f"missing: {some}",
            hints=("run it once with a network, without --offline",),
            code="offline",
        )
    error = translate(outcome, doing, [p.url for p in request.packages])
    if isinstance(error, DiskSpaceError):
        return files.fuller(error, request.prefix.parent, request.network.cache)
    if request.network.offline and isinstance(error, NetworkError):
        return NetworkError(
            f"{doing} offline: a package in the cache is damaged",
            cause=error.cause,
            hints=("run it once with a network, without --offline",),
            code="offline",
        )
    return error


def write_packages(prefix: Path, packages: Sequence[CondaPackage]) -> None:
    """Write the list of locked packages into `prefix`."""
    listed = [[p.manager, p.name, p.version, p.build or ""] for p in packages]
    files.write_atomic(prefix / PACKAGES, json.dumps({"schema": 1, "packages": listed}) + "\n")


def read_packages(prefix: Path) -> list[tuple[str, str, str, str]] | None:
    """The locked packages (manager, name, version, build) of `prefix`, ``None`` where there is no list."""
    try:
        content = json.loads((prefix / PACKAGES).read_bytes())
        return [(str(m), str(n), str(v), str(b)) for m, n, v, b in content["packages"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def verify(prefix: Path) -> Verification:
    """Hash every file of `prefix` and compare; see `coursectl.engines.base.Installer.verify`."""
    locked = read_packages(prefix)
    found = check(prefix)
    of_pip, pip_packages, pip_files = pip_problems(
        prefix, found.metas, None if locked is None else [(n, v) for m, n, v, _ in locked if m == "pip"]
    )
    of_packages: tuple[Problem, ...] = ()
    if locked is not None:
        of_packages = package_problems(found.metas, [(n, v, b) for m, n, v, b in locked if m == "conda"])
    return Verification(
        prefix=str(prefix),
        packages=len(found.metas) + pip_packages,
        files=found.files + pip_files,
        problems=(*found.problems, *of_packages, *of_pip),
    )
