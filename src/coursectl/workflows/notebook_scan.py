"""What a folder of notebooks imports, and what it installs behind the lock's back. Reads, runs nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursectl.errors import CourseFileError
from coursectl.notebooks import is_notebook, read_notebook
from coursectl.notebooks_code import called_installs, modules, split_magics

MAX_NOTEBOOKS = 5_000
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "lockfiles", "build", "dist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One module that a notebook imports, in full (``google.colab``), at its first place."""

    module: str
    notebook: str
    cell: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InNotebookInstall:
    """A line that installs something when the notebook runs; `line` counts within the cell."""

    notebook: str
    cell: int
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found. `unreadable` has (notebook, why); paths are relative to the scanned folder."""

    notebooks: tuple[str, ...]
    imports: tuple[Import, ...]
    installs: tuple[InNotebookInstall, ...]
    local: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def scan_notebooks(folder: Path) -> Scan:
    """Read every notebook below `folder` (hidden folders and checkpoints left out).

    Modules of the standard library and those that lie beside a notebook, or at the top of the folder, are
    not among `imports`; the latter are named in `local`.
    """
    names: list[str] = []
    unreadable: list[tuple[str, str]] = []
    imports: dict[str, Import] = {}
    installs: list[InNotebookInstall] = []
    local: set[str] = set()
    for path in _notebooks(folder):
        name = path.relative_to(folder).as_posix()
        try:
            notebook = read_notebook(path, name)
        except CourseFileError as exc:
            why = exc.message.removeprefix(f"{name}: ")
            unreadable.append((name, why if exc.cause is None else f"{why}: {exc.cause}"))
            continue
        names.append(name)
        for cell in notebook.cells:
            if cell.kind != "code":
                continue
            code, found = split_magics(cell.source)
            installs += [
                InNotebookInstall(notebook=name, cell=cell.number, line=line, text=text)
                for line, text in (*found, *called_installs(code))
            ]
            for module, line in modules(code):
                if is_local(module, path, folder):
                    local.add(module.split(".")[0])
                elif module.split(".")[0] not in sys.stdlib_module_names:
                    imports.setdefault(
                        module, Import(module=module, notebook=name, cell=cell.number, line=line)
                    )
    return Scan(
        notebooks=tuple(names),
        imports=tuple(imports[m] for m in sorted(imports)),
        installs=tuple(installs),
        local=tuple(sorted(local)),
        unreadable=tuple(unreadable),
    )


def _notebooks(folder: Path) -> Iterator[Path]:
    """Notebooks below `folder`, in order; links to folders are not followed."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIPPED)
        for name in sorted(n for n in names if not n.startswith(".")):
            path = Path(place, name)
            if is_notebook(path):
                count += 1
                if count > MAX_NOTEBOOKS:
                    return
                yield path


def is_local(module: str, notebook: Path, folder: Path) -> bool:
    """Whether a module lies beside the notebook, in a folder between it and `folder`, or in its ``src``."""
    top = module.split(".")[0]
    place = notebook.parent
    while True:
        for base in (place, place / "src"):
            if (base / f"{top}.py").is_file() or _is_package(base / top):
                return True
        if place == folder or place == place.parent:
            return False
        place = place.parent


def _is_package(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "__init__.py").is_file() or any(folder.glob("*.py")))
