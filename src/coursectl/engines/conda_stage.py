"""A prefix is whole or not there: markers, staging folders, the swap, and what a kill leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coursectl import files
from coursectl.errors import CourseError, InstallError
from coursectl.model.course import EngineKind
from coursectl.model.installed import MARKER, PREFIX_SCHEMA, PrefixRecord
from coursectl.model.progress import Progress

LONGEST = 255
"""Characters that a packaged binary has room for where its prefix is written (conda-build's placeholder)."""

LONGEST_ON_WINDOWS = 100
"""Windows stops at 260 characters for a whole path; conda packages bring paths of up to 150."""

_STAGING = ".staging-"
_ASIDE = ".old-"


def prefix_problem(prefix: Path, *, windows: bool = sys.platform == "win32") -> str | None:
    """Why nothing can be installed at `prefix`; ``None`` if it can.

    >>> prefix_problem(Path("/home/ada/envs/0123"), windows=False)
    >>> prefix_problem(Path("/" + 255 * "x"), windows=False)
    'its path has 256 characters; packages leave room for 255'
    """
    longest = LONGEST_ON_WINDOWS if windows else LONGEST
    length = len(os.fsencode(prefix))  # the room is in bytes: an accent takes two
    if length <= longest:
        return None
    return f"its path has {length} characters; packages leave room for {longest}"


def read_marker(prefix: Path) -> PrefixRecord | None:
    """What is installed at `prefix`; ``None`` where nothing whole is."""
    try:
        content: dict[str, Any] = json.loads((prefix / MARKER).read_bytes())
        if content["schema"] > PREFIX_SCHEMA:
            return None
        return PrefixRecord(**{**content, "engine": EngineKind(content["engine"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # torn or of another program: not whole


def write_marker(prefix: Path, record: PrefixRecord) -> None:
    """Say that `prefix` is whole; the last thing that is written."""
    files.write_atomic(prefix / MARKER, json.dumps(asdict(record), indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def holding(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the one lock of `folder` (environments, or a cache); a second program says that it waits."""
    with files.lock(
        folder / ".install.lock",
        on_wait=lambda: progress.say("another coursectl is installing: waiting for it to end"),
    ):
        yield


def staging_of(prefix: Path, digest: str) -> Path:
    """The folder to fill before it becomes `prefix`: beside it, so that the rename stays on one disk."""
    return prefix.parent / f"{_STAGING}{digest[:8]}-{os.getpid()}"


def aside_of(prefix: Path) -> Path:
    """Where the old environment stands while the new one takes its place."""
    return prefix.parent / f"{_ASIDE}{prefix.name}"


def clear_leftovers(environments: Path) -> None:
    """Remove what killed installations left; call it with the lock of `environments` held.

    A prefix that was moved aside and has no successor is put back: the kill came between two renames.
    """
    if not environments.is_dir():
        return
    for folder in list(environments.iterdir()):
        if folder.name.startswith(_ASIDE):
            home = environments / folder.name.removeprefix(_ASIDE)
            if not home.exists():
                files.replace(folder, home)
                continue
        elif not folder.name.startswith(_STAGING):
            continue
        with contextlib.suppress(CourseError):  # held open on Windows: the next one takes it
            files.remove_tree(folder)


def swap(staging: Path, prefix: Path) -> None:
    """Make `staging` the prefix; what stood there before goes, or stays where the system refuses.

    Raises:
        InstallError: something that is not an environment is in the way, or a file of the old one is in use.
    """
    aside = aside_of(prefix)
    moved = False
    try:
        if prefix.exists() and not _ours(prefix):
            raise InstallError(
                f"cannot install into {prefix}",
                cause="there is something in it that is not an environment of coursectl",
                hints=("move it away, or set COURSECTL_HOME to another folder",),
            )
        if prefix.exists():
            files.remove_tree(aside)
            files.replace(prefix, aside)
            moved = True
        files.replace(staging, prefix)
    except OSError as exc:
        if moved:
            files.replace(aside, prefix)
        raise InstallError(
            f"cannot put the new environment at {prefix}",
            cause=str(exc),
            hints=("close the programs that use it (JupyterLab, a terminal), then try again",),
        ) from exc
    if moved:
        with contextlib.suppress(CourseError):
            files.remove_tree(aside)


def _ours(prefix: Path) -> bool:
    inside = {p.name for p in prefix.iterdir()} if prefix.is_dir() else {"a file"}
    return not inside or bool(inside & {MARKER, "conda-meta", "pyvenv.cfg"})


def discard(staging: Path) -> None:
    """Remove a staging folder as well as it goes; `clear_leftovers` takes the rest."""
    shutil.rmtree(staging, ignore_errors=True)
