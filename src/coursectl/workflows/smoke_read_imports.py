"""What a notebook imports, through the course's own files too."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coursectl.errors import CourseFileError
from coursectl.notebooks import is_notebook, read_notebook
from coursectl.notebooks_code import cell_modules, modules, split
from coursectl.notebooks_flow import DEAD, Anatomy, Names, anatomy

MAX_BYTES = 5_000_000
"""A module larger than this is data that happens to be Python."""
_RUN = re.compile(r"%run\s+(?:-\S+\s+)*([\"']?)(?P<file>[^\"'\s]+)\1")
_MAGIC_IMPORT = re.compile(r"%(?:load_ext|reload_ext)\s+(?P<module>\w+)|%(?P<pylab>matplotlib|pylab)\b")


@dataclass(slots=True, kw_only=True)
class _Trail:
    """The files that were followed: `imports` are top-level modules that are not the course's."""

    root: Path
    folder: Path  # the notebook's: where its kernel runs
    extra: list[Path] = field(default_factory=list)  # what it appends to sys.path
    written: set[str] = field(default_factory=set)  # modules that the notebook itself writes
    imports: set[str] = field(default_factory=set)
    local: dict[Path, None] = field(default_factory=dict)

    def module(self, module: str, place: Path) -> None:
        """Note an import that stands in a file of the folder `place`."""
        parts = module.split(".")
        if parts[0] in self.written:
            return
        found = self.find(parts, place)
        if found is None:
            if parts[0] not in sys.stdlib_module_names:
                # google is shared by many packages, so its second name counts
                self.imports.add(".".join(parts[:2]) if parts[0] == "google" else parts[0])
            return
        for path in found:
            self.file(path)

    def find(self, parts: list[str], place: Path) -> list[Path] | None:
        """The course's files behind a module; ``None``: it is not the course's.

        A package counts with all its modules: which of them its ``__init__`` loads is not followed.
        """
        for base in self.places(place):
            script = base / f"{parts[0]}.py"
            package = base / parts[0]
            if (package / "__init__.py").is_file() or (not script.is_file() and _has_modules(package)):
                return sorted(p for p in package.rglob("*.py") if "__pycache__" not in p.parts)
            if script.is_file():
                return [script]
        return None

    def places(self, place: Path) -> Iterator[Path]:
        """Where the course's modules are looked for: as a kernel does, then up to the course's folder."""
        yield from dict.fromkeys((self.folder, place, *self.extra))
        at = self.folder
        while True:
            yield from (at, at / "src")
            if at in (self.root, at.parent):
                return
            at = at.parent

    def file(self, path: Path) -> None:
        """Follow a file of the course, once."""
        path = Path(os.path.normpath(path))
        if path in self.local or not path.is_relative_to(self.root):
            return
        self.local[path] = None
        if path.suffix == ".ipynb" or (path.suffix == ".py" and is_notebook(path)):
            try:
                self.notebook(anatomy(read_notebook(path, path.name)), path.parent)
            except CourseFileError:
                return  # it says so itself when it runs
        elif path.suffix == ".py" and path.stat().st_size <= MAX_BYTES:
            text = path.read_bytes().decode("utf-8", "replace")
            for module, _ in modules(split(text).python):
                self.module(module, path.parent)

    def notebook(self, book: Anatomy, place: Path) -> None:
        """Follow a notebook's imports and ``%run`` lines; those that are dead on the frozen stack are not."""
        for cell in book.cells:
            self.extra += _added(cell.nodes, book.names, place)
            if cell.code.cell_magic == "writefile":
                self.write(cell.cell.source, place)
        for cell in book.cells:
            for module, line in cell_modules(cell.code.python, cell.nodes):
                if DEAD not in cell.guards(line):
                    self.module(module, place)
            for magic in cell.code.magics:
                run, loaded = _RUN.match(magic.text), _MAGIC_IMPORT.match(magic.text)
                if loaded and DEAD not in cell.guards(magic.line):
                    self.module("matplotlib" if loaded["pylab"] else loaded["module"], place)
                if run:
                    named = place / run["file"]
                    named = named if named.suffix else named.with_suffix(".py")
                    if named.is_file():
                        self.file(named)

    def write(self, source: str, place: Path) -> None:
        """``%%writefile helper.py``: a module that exists only when the notebook runs."""
        head, _, body = source.strip().partition("\n")
        name = Path(head.split()[-1])
        if name.suffix == ".py":
            self.written.add(name.stem)
            for module, _ in modules(body):
                self.module(module, place)


def _has_modules(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.py"))


def _added(nodes: Iterable[ast.AST], names: Names, place: Path) -> Iterator[Path]:
    """Folders in ``sys.path.append("../src")``."""
    for node in nodes:
        if isinstance(node, ast.Call) and names.full(node.func) in ("sys.path.append", "sys.path.insert"):
            for argument in node.args:
                inner = argument.args[0] if isinstance(argument, ast.Call) and argument.args else argument
                text = names.text(inner)
                if text and len(text) < 500:
                    yield Path(os.path.normpath(place / text))


def follow(book: Anatomy, path: Path, root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a notebook imports.

    Args:
        book: the notebook, taken apart.
        path: its file.
        root: the course folder; files outside are nobody's own.

    Returns:
        Top-level modules that are neither the standard library's nor the course's, and the course's own files
        that the notebook imports or runs, relative to `root`, directly or through another.
    """
    trail = _Trail(root=root, folder=path.parent)
    trail.notebook(book, path.parent)
    local = sorted(p.relative_to(root).as_posix() for p in trail.local if p != path)
    return tuple(sorted(trail.imports)), tuple(local)
