"""What the lock tests share: where the real locks lie, and small sound locks to break."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from coursectl.model.lock import CondaLock, CondaPackage, CondaSolution
from coursectl.model.platform import Platform

REAL_LOCKS = Path(__file__).resolve().parents[3] / "shared" / "real-locks"
"""Locks that nobody here wrote; absent where only the repository is checked out."""
CHANNEL = "https://conda.anaconda.org/conda-forge"


def package(name: str = "numpy", version: str = "2.0.1", **other: Any) -> CondaPackage:
    """A sound entry for linux-64; `other` replaces fields after the address was made."""
    subdir = other.pop("subdir", "linux-64")
    build = other.pop("build", "py311h_0")
    sound = CondaPackage(
        name=name,
        version=version,
        build=build,
        manager="conda",
        url=f"{CHANNEL}/{subdir}/{name}-{version}-{build}.conda",
        sha256="a" * 64,
        md5="b" * 32,
        size=1000,
        subdir=subdir,
        depends=("python >=3.11,<3.12.0a0",),
    )
    return replace(sound, **other)


def pip_package(name: str = "emcee", version: str = "3.1.6", **other: Any) -> CondaPackage:
    """A sound pip entry."""
    sound = CondaPackage(
        name=name,
        version=version,
        build=None,
        manager="pip",
        url=f"https://files.example.org/packages/ab/{name}-{version}-py3-none-any.whl",
        sha256="c" * 64,
        md5=None,
        size=2000,
        depends=("numpy *",),
    )
    return replace(sound, **other)


def lock(*packages: CondaPackage, platform: Platform = Platform.LINUX_64, variant: str = "cpu") -> CondaLock:
    """A lock with one solution."""
    solution = CondaSolution(
        platform=platform,
        variant=variant,
        packages=tuple(sorted(packages, key=lambda p: (p.manager, p.name))),
    )
    return CondaLock(channels=("conda-forge",), solutions=(solution,), content_hash={})
