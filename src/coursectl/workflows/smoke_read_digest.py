"""What a notebook's result depends on, as one digest: equal digests, equal results.

Counted are the notebook (its cells and tags, never outputs or execution counts), the course's files that it
imports, the data beside it and those that it names by a path such as ``../data/x.csv``, the build, and the
version of the runner. Large files are hashed once: their size, time and place stand for them afterwards.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl import files, paths
from coursectl.errors import CourseError
from coursectl.model.course import Course

if TYPE_CHECKING:
    from coursectl.workflows.smoke_read import Case

RUNNER_VERSION = 1
"""Raise it when the same notebook on the same build can come to another result than before."""
LARGE_BYTES = 256_000
"""Files from this size on are known by size, time and place."""
_YOUNG_SECONDS = 2.0  # within its clock's tick, a file can change and keep its time
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "lockfiles"})
_TEXTS = frozenset({".ipynb", ".py", ".md", ".pyc"})
_ABOVE = re.compile(r"""\.\.(?:/[\w .+=@-]+)+""")


def case_digest(case: Case, course: Course, build_digest: str) -> str:
    """SHA-256, in hexadecimal, over all that the result of a case depends on.

    Args:
        case: the notebook as it was read.
        course: where its files lie.
        build_digest: what it runs on, with whatever else the caller knows to matter.
    """
    notebook = case.notebook
    hashes = _hashes(paths.cache() / "smoke" / "hashes.json")
    document = {
        "document": "coursectl/case",
        "version": RUNNER_VERSION,
        "build": build_digest,
        "notebook": notebook.path,
        "cells": [[c.kind, c.source, list(c.tags)] for c in notebook.cells],
        "numbers": [[n.name, n.cell, n.expected, n.tolerance] for n in case.numbers],
        "files": [[name, hashes.of(path)] for name, path in sorted(depends_on(case, course.root).items())],
    }
    hashes.keep()
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def depends_on(case: Case, root: Path) -> dict[str, Path]:
    """The course's files that a case depends on beside the notebook itself, by their path in the course.

    Other notebooks, scripts and Markdown beside it count only where its code imports or names them.
    """
    found = {name: root / name for name in case.local}
    code = "\n".join(cell.source for cell in case.notebook.code)
    texts = [code, *(_text(path) for path in found.values())]
    every = "\n".join(texts)
    folder = case.path.parent
    places = [folder, *_above(folder, root, every)]
    places += {path.parent for path in found.values() if (path.parent / "__init__.py").is_file()}
    for place in places:
        for path in _files(place):
            if path == case.path or path == root / "course.yaml":
                continue
            if path.suffix in _TEXTS and path.name not in every:
                continue
            with contextlib.suppress(ValueError):
                found[path.relative_to(root).as_posix()] = path
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace") if path.suffix == ".py" else ""
    except OSError:
        return ""


def _above(folder: Path, root: Path, text: str) -> Iterator[Path]:
    """Files and folders of the course that the code names by a path that leads above its own folder."""
    home, here = root.resolve(), folder.resolve()
    for named in sorted(set(_ABOVE.findall(text))):
        parts = named.strip().split("/")
        while parts and parts[-1] != "..":
            path = Path(os.path.normpath(folder / "/".join(parts)))
            if path.exists():
                if path.is_relative_to(root) and not here.is_relative_to(path.resolve()) and path != home:
                    yield path
                break
            parts.pop()


def _files(place: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files at or below `place`; links to folders are followed, in a circle only once."""
    if place.is_file():
        yield place
        return
    real = place.resolve()
    if real in seen:
        return
    try:
        with os.scandir(place) as entries:
            found = sorted(entries, key=lambda e: e.name)
    except OSError:
        return
    names = {entry.name for entry in found}
    if names & {"pyvenv.cfg", "conda-meta"}:
        return
    for entry in found:
        if entry.name.startswith(".") or entry.name in _LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _files(Path(entry.path), seen | {real})
        elif entry.is_file():
            yield Path(entry.path)


class Hashes:
    """SHA-256 of files, remembered in the file `store`: ``{path: [size, mtime_ns, inode, sha256]}``."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.changed = False
        self.known: dict[str, list[object]] = {}
        with contextlib.suppress(OSError, ValueError):
            data = json.loads(store.read_bytes())
            self.known = data if isinstance(data, dict) else {}

    def of(self, path: Path) -> str:
        """The file's SHA-256; a word that says so where it cannot be read."""
        try:
            state = path.stat()
            if state.st_size < LARGE_BYTES:
                return hashlib.sha256(path.read_bytes()).hexdigest()
            key = [state.st_size, state.st_mtime_ns, state.st_ino]
            known = self.known.get(str(path.absolute()))
            if isinstance(known, list) and known[:3] == key and len(known) == 4:
                return str(known[3])
            value = files.sha256(path)
        except OSError as exc:
            return f"unreadable: {exc.strerror}"
        if time.time() - state.st_mtime > _YOUNG_SECONDS:
            self.known[str(path.absolute())] = [*key, value]
            self.changed = True
        return value

    def keep(self) -> None:
        """Write what was learned; a cache that cannot be written is none."""
        if self.changed:
            alive: Iterable[str] = [name for name in self.known if Path(name).exists()]
            with contextlib.suppress(CourseError):
                files.write_atomic(self.store, json.dumps({name: self.known[name] for name in alive}))
            self.changed = False


@functools.lru_cache(maxsize=4)
def _hashes(store: Path) -> Hashes:
    return Hashes(store)
