"""The scratch places that notebooks run in: each its own copy of its folder, so that nothing is ever written
into the course.

A place is shaped like the course: the copy of ``notebooks/week1`` lies at ``notebooks/week1`` in it, so that
``../data/x.csv`` leads where it led. Copies, never hard links: a notebook that opens a file for writing would
write through a link into the original. What is large is copied once a run and linked into the places.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coursectl import files
from coursectl.errors import CourseError

LARGE_BYTES = 50_000_000
"""What is larger, a file or a folder beside a notebook, is copied once for all notebooks of a run."""

_LEFT_OUT = frozenset({".git", ".hg", ".svn", "__pycache__", ".ipynb_checkpoints", "node_modules"})
_ABOVE = re.compile(r"""\.\.(?:/[\w .+=@-]+)+""")


@dataclass(slots=True, kw_only=True)
class Scratch:
    """The folder of one run; `linked` are the large things (relative to the course) that places share."""

    folder: Path
    root: Path
    linked: set[str] = field(default_factory=set)
    _sizes: dict[Path, int] = field(default_factory=dict)

    def place(self, name: str, notebook: str, sources: str, local: tuple[str, ...]) -> Path:
        """Make the place called `name` for `notebook`; returns the folder to run in.

        Args:
            name: a folder name, one for each notebook.
            notebook: its path relative to the course, with ``/``.
            sources: the text of its code, in which paths above its folder are looked for (``../data``).
            local: files of the course that it imports, relative to the course.

        Raises:
            CourseError: a file cannot be read, or the disk is full.
        """
        top = self.folder / name
        inside = notebook.rpartition("/")[0]
        try:
            working = top / inside
            working.mkdir(parents=True)
            self._fill(self.root / inside, working)
            for relative in (*local, *self._above(inside, sources)):
                target = top / relative
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._bring(self.root / relative, target)
        except OSError as exc:
            raise files.os_error(exc, f"cannot copy the folder of {notebook}") from exc
        return working

    def leave(self, place: Path) -> None:
        """Delete a place whose notebook has ended: a long suite does not keep the room of all of them."""
        with contextlib.suppress(CourseError):  # a file is still open: the run's end deletes it
            files.remove_tree(place)

    def _above(self, inside: str, sources: str) -> Iterator[str]:
        """What of the course the code names by a path that leads above its folder."""
        if not inside:
            return
        home = self.root.resolve()
        for text in sorted(set(_ABOVE.findall(sources))):
            parts = text.strip().split("/")
            while parts and parts[-1] != "..":
                path = (self.root / inside).resolve() / "/".join(parts)
                with contextlib.suppress(OSError):
                    found = path.resolve()
                    if found.exists() and found.is_relative_to(home) and found != home:
                        if not (home / inside).is_relative_to(found):  # not a parent of the folder itself
                            yield found.relative_to(home).as_posix()
                        break
                parts.pop()

    def _fill(self, source: Path, target: Path) -> None:
        with os.scandir(source) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if not _left_out(Path(entry.path)):
                    self._bring(Path(entry.path), target / entry.name)

    def _bring(self, source: Path, target: Path) -> None:
        """Copy a file or folder; what is large is linked to the one copy of this run."""
        if self._size(source) > LARGE_BYTES and sys.platform != "win32":  # there a link needs a privilege
            self._link(source, target)
        elif source.is_dir():
            if not (source.is_symlink() and source.parent.resolve().is_relative_to(source.resolve())):
                target.mkdir(exist_ok=True)  # a link to a folder above it would be copied for ever
                self._fill(source, target)
        elif source.is_file():  # not a socket, a pipe or a link that leads nowhere
            copy_file(source, target)

    def _link(self, source: Path, target: Path) -> None:
        relative = source.absolute().relative_to(self.root.absolute()).as_posix()
        common = self.folder / "large" / relative
        if not common.exists():
            common.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, common, copy_function=copy_file, ignore_dangling_symlinks=True)
            else:
                copy_file(source, common)
            _read_only(common)
            self.linked.add(relative)
        target.symlink_to(common, target_is_directory=source.is_dir())

    def _size(self, path: Path) -> int:
        if path not in self._sizes:
            self._sizes[path] = files.tree_bytes(path) if path.is_dir() else _bytes(path)
        return self._sizes[path]


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # a link that leads nowhere


def _left_out(path: Path) -> bool:
    """Whether `path` is nothing that a notebook works with: a cache, a repository, an environment."""
    return path.name in _LEFT_OUT or (path / "pyvenv.cfg").is_file() or (path / "conda-meta").is_dir()


def _read_only(top: Path) -> None:
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file with its permissions; a file system that can shares the bytes until one side is written."""
    if not _reflink(Path(source), Path(target)):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)
    path = Path(target)
    path.chmod(path.stat().st_mode | stat.S_IWUSR)  # the copy of a read-only file may be changed


_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_WORTH_SHARING = 1_000_000  # below, copying is as fast as asking


def _reflink(source: Path, target: Path) -> bool:
    if not sys.platform.startswith("linux") or _bytes(source) < _WORTH_SHARING:
        return False
    import fcntl

    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            return False  # most file systems cannot
    return True


@contextlib.contextmanager
def scratch(parent: Path, root: Path) -> Iterator[Scratch]:
    """The folder of one run below `parent`; it is deleted at the end, with what killed runs left there.

    Args:
        parent: where the folders of runs lie.
        root: the course folder.

    Raises:
        CourseError: nothing can be written there.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise files.os_error(exc, f"cannot write {parent}") from exc
    for left in sorted(parent.glob("run-*.lock")):
        _remove_left(left)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    try:
        with files.lock(_lock_of(folder)):
            try:
                yield Scratch(folder=folder, root=root)
            finally:
                with contextlib.suppress(CourseError):  # a file is still open: the next run deletes it
                    remove(folder)
    finally:
        if not folder.exists():
            with contextlib.suppress(OSError):
                _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _remove_left(lock: Path) -> None:
    """Delete a run's folder if the run has ended; the lock of one that goes on is held."""
    with contextlib.suppress(CourseError):
        with files.lock(lock, timeout=0):
            remove(lock.with_suffix(""))
        lock.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Delete a run's folder, the read-only copies in it too.

    Raises:
        CourseError: a file is in use.
    """
    for path in (folder / "large", *(folder / "large").rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(stat.S_IRWXU)
    files.remove_tree(folder)
