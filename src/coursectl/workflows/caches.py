"""The downloads that coursectl keeps: how large, and away with them."""

from __future__ import annotations

from dataclasses import dataclass

from coursectl import files, paths


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFolder:
    """One part of the cache, in bytes."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """The cache's parts; `cleaned` says that they are gone now. Environments share files with the cache
    (hard links), so cleaning frees less than `bytes` while they stand.
    """

    folder: str
    parts: tuple[CacheFolder, ...]
    bytes: int
    cleaned: bool = False


def info() -> CacheReport:
    """Count the cache; changes nothing."""
    root = paths.cache()
    parts = tuple(
        CacheFolder(name=entry.name, bytes=files.tree_bytes(entry))
        for entry in sorted(root.iterdir() if root.is_dir() else ())
        if entry.is_dir()
    )
    return CacheReport(folder=str(root), parts=parts, bytes=sum(p.bytes for p in parts))


def clean() -> CacheReport:
    """Delete the cache; environments stay whole. The caller has asked.

    Raises:
        CourseError: a file is in use.
    """
    report = info()
    root = paths.cache()
    for entry in sorted(root.iterdir() if root.is_dir() else ()):
        if entry.is_dir():
            files.remove_tree(entry)
    return CacheReport(folder=report.folder, parts=report.parts, bytes=report.bytes, cleaned=True)
