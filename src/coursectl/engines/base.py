"""What an engine promises. Both engines, and any fake of one, pass the same contract tests.

An engine installs into a staging folder beside the prefix and renames it, so that a prefix is whole or not
there. A prefix that carries `model.installed.MARKER` with the wanted digest is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # every start of `up` imports this module
    from datetime import date

    from coursectl.model.course import Environment
    from coursectl.model.installed import PrefixRecord, Verification
    from coursectl.model.lock import CondaPackage, CondaSolution, PypiLock
    from coursectl.model.platform import Platform
    from coursectl.model.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How to reach packages.

    `mirrors` maps an address as the lockfile has it to the addresses to ask instead, best first.
    `offline`: ask nobody; only what is cached counts. `cache` is coursectl's download cache.
    """

    cache: Path
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaRequest:
    """Solve `environment` for one platform and variant.

    `specs` are the conda match specs of the spec file plus the variant's; `keep` are packages to stay at
    (those of the last lock, for ``--update``), `update` the names let loose from it.
    """

    environment: Environment
    platform: Platform
    variant: str
    specs: tuple[str, ...]
    as_of: date | None = None
    keep: tuple[CondaPackage, ...] = ()
    update: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiRequest:
    """Solve a requirements file for every platform at once.

    `source` is the spec file; `keep` the text of the last lock and `update` the names let loose from it.
    """

    environment: Environment
    source: Path
    as_of: date | None = None
    keep: str | None = None
    update: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRequest:
    """Install one build of a release into `prefix`.

    `record` is what the marker will say. Conda takes `packages` (pip packages among them); PyPI takes the
    lockfile's path `requirements` and `record`'s digest, with `python` its minor version.
    """

    prefix: Path
    record: PrefixRecord
    network: Network
    packages: tuple[CondaPackage, ...] = ()
    requirements: Path | None = None
    python: str | None = None


class CondaSolver(Protocol):
    """Environment files to conda solutions."""

    def solve(self, request: CondaRequest, network: Network, progress: Progress) -> CondaSolution:
        """The packages for one platform and variant.

        Raises:
            SolveError: no set of packages fits; the cause names package and reason.
            NetworkError: a channel cannot be reached.
        """


class PypiSolver(Protocol):
    """Requirements files to hashed, universal ones."""

    def solve(self, request: PypiRequest, network: Network, progress: Progress) -> PypiLock:
        """The pinned requirements for every platform.

        Raises:
            SolveError: no set of packages fits.
            NetworkError: the index cannot be reached.
        """


class Installer(Protocol):
    """Locks to prefixes."""

    def ensure(self, request: InstallRequest, progress: Progress) -> PrefixRecord:
        """Make the prefix be there, whole; does nothing where it is.

        Raises:
            InstallError: it could not be installed; what stood before still stands.
            NetworkError: packages are missing and cannot be reached.
            DiskSpaceError: the disk is full.
        """

    def verify(self, prefix: Path) -> Verification:
        """Compare every file of the prefix with what its packages say; changes nothing.

        Raises:
            LockError: there is no environment at `prefix`.
        """

    def repair(self, request: InstallRequest, progress: Progress) -> Verification:
        """Make the prefix, and the cache it came from, as locked again; returns the verdict afterwards.

        Raises:
            InstallError: it could not be mended; the damaged prefix still stands.
            NetworkError: packages have to be fetched again and cannot be reached.
        """
