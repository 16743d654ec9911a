"""The conda engine: environment.yml solved and installed with py-rattler, embedded.

No conda, mamba or Docker is needed. What py-rattler 0.28 does on its own behalf and what is done about it is
told where it is done: `conda_child` (crashes, panics), `conda_child_solve` (dates), `conda_verify` (damage),
`conda_stage` (kills), `conda_cache` (leftovers).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from coursectl.engines import conda_cache, conda_stage
from coursectl.engines.base import CondaRequest, InstallRequest, Network
from coursectl.engines.conda_cache import PackageCache
from coursectl.errors import Hint, InstallError, LockError
from coursectl.files import os_error
from coursectl.model.installed import PrefixRecord, Problem, Verification
from coursectl.model.lock import CondaSolution
from coursectl.model.progress import Progress


class CondaEngine:
    """`coursectl.engines.base.CondaSolver` and `coursectl.engines.base.Installer` for conda packages."""

    def solve(self, request: CondaRequest, network: Network, progress: Progress) -> CondaSolution:
        """The packages for one platform and variant; see `coursectl.engines.conda_solve.solve`."""
        from coursectl.engines.conda_solve import solve

        return solve(request, network, progress)

    def ensure(self, request: InstallRequest, progress: Progress) -> PrefixRecord:
        """Make the prefix be there, whole; does nothing where it is.

        Raises:
            InstallError: it could not be installed; what stood before still stands.
            NetworkError: packages are missing and cannot be reached.
            DiskSpaceError: the disk is full.
        """
        there = self._installed(request)
        if there is not None and not conda_stage.aside_of(request.prefix).exists():
            return there  # with its predecessor still beside it, the last run was killed while cleaning up
        with self._locked(request, progress) as cache:
            there = self._installed(request)  # the one we waited for may have done it
            if there is not None:
                return there
            return _install(request, cache, progress, full=False)

    def verify(self, prefix: Path) -> Verification:
        """Compare every file of the prefix with what its packages say; changes nothing.

        Raises:
            LockError: there is no environment at `prefix`.
        """
        from coursectl.engines.conda_install import verify

        if not (prefix / "conda-meta").is_dir():
            raise LockError(
                f"there is no environment at {prefix}",
                cause="it has no conda-meta folder",
                hints=(Hint(text="install it:", command="coursectl up"),),
            )
        return verify(prefix)

    def repair(self, request: InstallRequest, progress: Progress) -> Verification:
        """Make the prefix, and the cache it came from, as locked again; returns the verdict afterwards.

        The prefix is installed anew: its hard links are the cache's files, and both are mended together.

        Raises:
            InstallError: it could not be mended; the damaged prefix still stands.
            NetworkError: packages have to be fetched again and cannot be reached.
        """
        with self._locked(request, progress) as cache:
            _install(request, cache, progress, full=True)
            return self.verify(request.prefix)

    @staticmethod
    def _installed(request: InstallRequest) -> PrefixRecord | None:
        found = conda_stage.read_marker(request.prefix)
        return found if found is not None and found.digest == request.record.digest else None

    @staticmethod
    @contextmanager
    def _locked(request: InstallRequest, progress: Progress) -> Iterator[PackageCache]:
        """Hold the environments and the cache, with nothing of a killed installation left in either."""
        environments = request.prefix.parent
        _refuse_long(request)
        with conda_stage.holding(environments, progress):
            conda_stage.clear_leftovers(environments)
            cache = conda_cache.open_cache(request.network.cache, environments)
            with conda_stage.holding(cache.own.parent, progress):  # other homes may share the cache
                conda_cache.clear_cache_leftovers(cache)
                yield cache


def _refuse_long(request: InstallRequest) -> None:
    for folder in (request.prefix, conda_stage.staging_of(request.prefix, request.record.digest)):
        problem = conda_stage.prefix_problem(folder)
        if problem is not None:
            raise InstallError(
                f"{request.record.environment} cannot be installed into {folder}",
                cause=problem,
                hints=("set COURSECTL_HOME to a folder with a shorter path",),
                code="path-too-long",
            )


def _install(request: InstallRequest, cache: PackageCache, progress: Progress, *, full: bool) -> PrefixRecord:
    """Fill a staging folder, prove it, mark it, swap it in. The prefix is the old one until the very end."""
    from coursectl.engines.conda_install import fill

    staging = conda_stage.staging_of(request.prefix, request.record.digest)
    name = request.record.environment
    try:
        filled = None
        try:
            filled = fill(request, staging, cache, progress, full=full)
        except InstallError:
            if full:
                raise
        if not full and (filled is None or filled.problems):
            # fast validation lets a damaged cache through: found here, mended there, once
            what = f"{_first(filled.problems)}; " if filled is not None else ""
            progress.say(f"{what}the package cache is damaged: comparing all of it and fetching what differs")
            conda_stage.discard(staging)
            filled = fill(request, staging, cache, progress, full=True)
        assert filled is not None
        if filled.problems:
            raise InstallError(
                f"{name} cannot be installed: {len(filled.problems)} files are not what their packages say",
                cause=_first(filled.problems),
                hints=(Hint(text="empty the cache and try again:", command="coursectl cache clean"),),
            )
        record = request.record
        if record.installed_bytes is None:
            record = replace(record, installed_bytes=filled.size)
        conda_stage.write_marker(staging, record)
        conda_stage.swap(staging, request.prefix)
        return record
    except OSError as exc:
        raise os_error(exc, f"{name} cannot be installed") from exc
    finally:
        conda_stage.discard(staging)


def _first(problems: tuple[Problem, ...]) -> str:
    one = problems[0]
    return f"{one.package}: {one.path} is {one.kind.value.replace('-', ' ')}"
