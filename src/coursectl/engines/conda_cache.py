"""The package cache: its layers, what a kill leaves in it, and the seals of files that were hashed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coursectl import files
from coursectl.errors import CourseError

_SEALS_VERSION = 1
_MOST_SEALS = 5_000  # packages; about 400 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCache:
    """The folder `own` of unpacked packages, and what coursectl keeps beside it."""

    own: Path

    @property
    def seals(self) -> Path:
        """Where the seals lie (see `coursectl.engines.conda_verify.check`)."""
        return self.own.parent / "seals.json"


def open_cache(cache: Path, environments: Path) -> PackageCache:
    """The package cache below `cache`; where that cannot be written, one below `environments` on top of it.

    A cache on a read-only disk (a campus installation, a USB stick) is used as it is: nothing is written
    there and no lock is taken, and what it lacks goes into the other. rattler has layers for this, but writes
    its lock files into them too as long as their permission bits allow it. So its packages are linked in.

    Raises:
        CourseError: neither folder can be made or written.
    """
    folder = cache / "conda" / "pkgs"
    if not folder.is_dir():
        _make(folder)
    if os.access(folder, os.W_OK):
        return PackageCache(own=folder)
    own = environments / ".cache" / "pkgs"
    _make(own)
    _borrow(folder, own)
    return PackageCache(own=own)


def _borrow(source: Path, own: Path) -> None:
    """Link the packages of `source` into `own`; where links are not allowed, they are fetched instead."""
    for folder in source.iterdir():
        link = own / folder.name
        if folder.name.startswith(".") or not folder.is_dir() or os.path.lexists(link):
            continue
        with contextlib.suppress(OSError):
            link.symlink_to(folder, target_is_directory=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise files.os_error(exc, f"cannot make the package cache {folder}") from exc


def clear_cache_leftovers(cache: PackageCache) -> None:
    """Remove the folders that killed extractions left (``.NAME-VERSION-BUILDxxxxxx``); with the lock held."""
    for folder in cache.own.iterdir():
        if folder.name.startswith(".") and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def read_seals(cache: PackageCache) -> dict[str, str]:
    """The seals of the cache's packages; none where they cannot be read, which only costs time."""
    try:
        content = json.loads(cache.seals.read_bytes())
        seals = content["seals"] if content["version"] == _SEALS_VERSION else {}
        return {str(k): str(v) for k, v in seals.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_seals(cache: PackageCache, before: Mapping[str, str], made: Mapping[str, str]) -> None:
    """Keep the seals `made` now beside those from `before`; a cache that cannot be written has none."""
    seals = {**{k: v for k, v in before.items() if k not in made}, **made}
    if seals == dict(before):
        return
    newest = dict(list(seals.items())[-_MOST_SEALS:])
    with contextlib.suppress(CourseError):
        files.write_atomic(cache.seals, json.dumps({"version": _SEALS_VERSION, "seals": newest}))
