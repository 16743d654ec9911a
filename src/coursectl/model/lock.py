"""What was solved: packages with hashes, per platform and variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from coursectl.model.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPackage:
    """One package of a conda lock; pip packages of a ``pip:`` block have ``manager == "pip"``.

    `size` is the download in bytes, ``None`` where the channel does not say. `depends` are conda match
    specs ("numpy >=1.26"); for pip packages, requirement names with their versions. `subdir` is the
    channel folder of the file (``noarch`` or the platform's); "" for pip packages.
    """

    name: str
    version: str
    build: str | None
    manager: str
    url: str
    sha256: str | None
    md5: str | None
    size: int | None = None
    subdir: str = ""
    depends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSolution:
    """The packages of one environment on one platform in one variant, sorted by (manager, name)."""

    platform: Platform
    variant: str
    packages: tuple[CondaPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaLock:
    """One ``*.conda-lock.yml``: every solution of one environment.

    `sources` are the spec files relative to the lockfile, `content_hash` conda-lock's own per platform;
    `spec_digest` is ours of what was asked, ``None`` in a lock that coursectl did not write.
    """

    channels: tuple[str, ...]
    solutions: tuple[CondaSolution, ...]
    sources: tuple[str, ...] = ()
    content_hash: Mapping[str, str]
    spec_digest: str | None = None

    def solution(self, platform: Platform, variant: str) -> CondaSolution | None:
        """The packages for a platform and variant, ``None`` where the lock has none."""
        for solution in self.solutions:
            if solution.platform == platform and solution.variant == variant:
                return solution
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiPin:
    """One line of a hashed requirements file: ``name[extras]==version ; marker`` and its sha256 hashes."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiLock:
    """One ``*.requirements.txt``, valid on every platform; `python` is the minor version it was solved for.

    `text` is the file's exact content. `sizes` maps platform to download bytes, ``None`` where unknown.
    """

    python: str
    pins: tuple[PypiPin, ...]
    text: str
    sizes: Mapping[Platform, int | None]


class ChangeKind(StrEnum):
    """How a package differs between two semesters."""

    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    REBUILT = "rebuilt"  # same version, another build


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """One package that differs; `old` and `new` are versions, ``None`` where it is absent."""

    kind: ChangeKind
    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDiff:
    """What changed between two locks of one environment on one platform and variant, sorted by kind and name.

    Sizes are download bytes; ``None`` where unknown.
    """

    platform: str
    variant: str
    changes: tuple[PackageChange, ...]
    old_size: int | None
    new_size: int | None
