"""The downloads that coursectl keeps: how large, and away with them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from coursectl import files, paths
from coursectl.errors import CourseError


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


_LOCK = ".install.lock"
_PARTS = ("conda", "smoke", "uv")
"""What coursectl puts into its cache: a person may have named a folder with other things in it."""


def info() -> CacheReport:
    """Count the cache; changes nothing."""
    root = paths.cache()
    parts = tuple(
        CacheFolder(name=name, bytes=files.tree_bytes(root / name))
        for name in _PARTS
        if (root / name).is_dir()
    )
    return CacheReport(folder=str(root), parts=parts, bytes=sum(p.bytes for p in parts))


def clean() -> CacheReport:
    """Delete the cache; environments stay whole. The caller has asked.

    Raises:
        CourseError: an environment is being installed from it (code ``in-use``), or a file is in use.
    """
    report = info()
    with ExitStack() as held:
        for lock in _locks():
            _hold(lock, held)
        for part in report.parts:
            _delete(Path(report.folder, part.name))
    return CacheReport(folder=report.folder, parts=report.parts, bytes=report.bytes, cleaned=True)


def _delete(part: Path) -> None:
    """Delete a part but for its lock: whoever waits for that would hold a file that is gone."""
    if not (part / _LOCK).exists():
        files.remove_tree(part)
        return
    for entry in sorted(part.iterdir()):
        if entry.is_dir():
            files.remove_tree(entry)
        elif entry.name != _LOCK:
            try:
                entry.unlink()
            except OSError as exc:
                raise files.os_error(exc, f"cannot delete {entry}") from exc


def _locks() -> tuple[Path, ...]:
    """The locks that installations hold: the conda cache's, and those of this home's environments."""
    conda = paths.cache() / "conda" / _LOCK
    ours = sorted(paths.environments().glob(".*.lock"))
    return (conda, *ours) if conda.exists() else tuple(ours)


def _hold(lock: Path, held: ExitStack) -> None:
    try:
        held.enter_context(files.lock(lock, timeout=0))
    except CourseError as exc:
        if exc.code != "locked":
            raise
        raise CourseError(
            "the cache is in use",
            cause="an environment is being installed from it",
            hints=("wait until that is done, then try again",),
            code="in-use",
        ) from exc
