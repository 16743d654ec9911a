"""Platforms (conda subdirs), virtual packages, and our own table of them.

A solver's *detected* virtual packages describe the staff member's machine, not the students'
(a detected ``__cuda`` picks the wrong pytorch), so every solve uses this table instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """The platforms a course can be frozen for, by conda's names."""

    LINUX_64 = "linux-64"
    LINUX_AARCH64 = "linux-aarch64"
    OSX_64 = "osx-64"
    OSX_ARM64 = "osx-arm64"
    WIN_64 = "win-64"

    @property
    def is_windows(self) -> bool:
        """Whether paths are ``Scripts/python.exe`` rather than ``bin/python``."""
        return self is Platform.WIN_64


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class VirtualPackage:
    """A fact about a machine that packages may require (CEP 30): ``__cuda 12.6``."""

    name: str
    version: str
    build: str = "0"


# The oldest machine a course supports: glibc 2.28 is Debian 10, RHEL 8 and Colab; macOS 11 is
# conda-forge's floor for arm64 since 2024; x86_64 (not -v3) because laptops are old.
_LINUX = (("__glibc", "2.28", "0"), ("__linux", "5.10", "0"), ("__unix", "0", "0"))
_OSX = (("__osx", "11.0", "0"), ("__unix", "0", "0"))
_BASE: dict[Platform, tuple[tuple[str, str, str], ...]] = {
    Platform.LINUX_64: (("__archspec", "1", "x86_64"), *_LINUX),
    Platform.LINUX_AARCH64: (("__archspec", "1", "aarch64"), *_LINUX),
    Platform.OSX_64: (("__archspec", "1", "x86_64"), *_OSX),
    Platform.OSX_ARM64: (("__archspec", "1", "m1"), *_OSX),
    Platform.WIN_64: (("__archspec", "1", "x86_64"), ("__win", "10.0", "0")),
}


def virtual_packages(
    platform: Platform, overrides: tuple[VirtualPackage, ...] = ()
) -> tuple[VirtualPackage, ...]:
    """What the machines of `platform` are taken to offer, with a variant's `overrides` on top.

    >>> [v.name for v in virtual_packages(Platform.OSX_ARM64)]
    ['__archspec', '__osx', '__unix']
    >>> virtual_packages(Platform.WIN_64, (VirtualPackage(name="__cuda", version="12.6"),))[1].version
    '12.6'
    """
    table = {n: VirtualPackage(name=n, version=v, build=b) for n, v, b in _BASE[platform]}
    table |= {v.name: v for v in overrides}
    return tuple(sorted(table.values()))
