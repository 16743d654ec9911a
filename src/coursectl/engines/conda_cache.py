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
    """Folders with unpacked packages, in order of look-up; `own` is the one that is written to.

    A cache that this user cannot write (a campus installation, a USB stick) is used as it is, no lock taken
    in it, and what it lacks goes into a cache beside the environments.
    """

    layers: tuple[Path, ...]
    own: Path

    @property
    def seals(self) -> Path:
        """Where the seals lie (see `coursectl.engines.conda_verify.check`)."""
        return self.own.parent / "seals.json"


def open_cache(cache: Path, environments: Path) -> PackageCache:
    """The package cache below `cache`, or as a read-only layer over one below `environments`.

    Raises:
        CourseError: neither folder can be made or written.
    """
    shared = cache / "conda" / "pkgs"
    if not shared.is_dir():
        _make(shared)
    if os.access(shared, os.W_OK):
        return PackageCache(layers=(shared,), own=shared)
    own = environments / ".cache" / "pkgs"
    _make(own)
    return PackageCache(layers=(own, shared), own=own)


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
