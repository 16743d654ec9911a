"""What a folder of notebooks imports, and what it installs behind the lock's back. Reads, runs nothing.

Notebooks are ``.ipynb`` (nbformat 3 and 4) and text notebooks of jupytext and MyST (``.py`` with ``# %%``
or a jupytext header, ``.md`` with code fences).
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_NOTEBOOK_BYTES = 100_000_000
"""Larger notebooks (pictures in their outputs) are reported, not read."""
MAX_NOTEBOOKS = 5_000
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "lockfiles", "build", "dist"})

_INSTALL = re.compile(
    r"^\s*(?:[!%]{1,2}\s*)?(?:sudo\s+)?(?:python[\w.]*\s+-m\s+|\{?sys\.executable\}?\s+-m\s+)?"
    r"(?:uv\s+)?(?:pip3?|conda|mamba|micromamba|pixi|apt|apt-get)\s+(?:-\S+\s+)*(?:install|add)\b"
)
_CALL = re.compile(r"\b(?:pip3?|conda|mamba|apt-get|apt)\b.{0,20}\binstall\b", re.DOTALL)
_MAGIC = re.compile(r"[!%?]|\w+\s*=\s*[!%]|[\w.]+\?{1,2}$|(pip3?|conda|mamba)\s+install\s+\S")
_PYTHON_MAGIC = re.compile(r"%%(time|timeit|capture|prun|memit|mprun)\b")
_PYTHON_FENCE = re.compile(r"^\s*(?:```+|~~~+)\s*(?:\{code-cell\}.*|\{?i?python\d?\b.*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One code cell: `number` counts all cells from 1, `line` is the first line's in a text notebook."""

    number: int
    source: str
    line: int = 1


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
            cells = read_cells(path)
        except (OSError, ValueError) as exc:
            unreadable.append((name, str(exc)))
            continue
        names.append(name)
        for cell in cells:
            code, found = split_magics(cell.source)
            installs += [InNotebookInstall(notebook=name, cell=cell.number, line=n, text=t) for n, t in found]
            for module, line in modules(code):
                if is_local(module, path, folder):
                    local.add(module.split(".")[0])
                elif module.split(".")[0] not in sys.stdlib_module_names:
                    imports.setdefault(
                        module, Import(module=module, notebook=name, cell=cell.number, line=line)
                    )
            installs += _called_installs(code, name, cell.number)
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
            if path.suffix == ".ipynb" or (path.suffix in (".py", ".md") and _is_text_notebook(path)):
                count += 1
                if count > MAX_NOTEBOOKS:
                    return
                yield path


def _is_text_notebook(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(20_000).decode("utf-8", "replace")
    except OSError:
        return False
    if path.suffix == ".py":
        return "jupytext:" in head[:1000] or re.search(r"^# ?%%", head, re.MULTILINE) is not None
    return "{code-cell}" in head or "jupytext:" in head[:1000]


def read_cells(path: Path) -> tuple[Cell, ...]:
    """The code cells of a notebook.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a notebook; the text says why.
    """
    if path.stat().st_size > MAX_NOTEBOOK_BYTES:
        raise ValueError(f"larger than {MAX_NOTEBOOK_BYTES:,} bytes: clear its outputs")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ValueError("not UTF-8") from exc
    if path.suffix == ".ipynb":
        return tuple(_json_cells(text))
    return tuple(_markdown_cells(text) if path.suffix == ".md" else _percent_cells(text))


def _json_cells(text: str) -> Iterator[Cell]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"not JSON: {exc}" if text.strip() else "the file is empty") from exc
    if not isinstance(data, dict):
        raise ValueError("not a notebook: no list of cells")
    cells = data.get("cells")
    if cells is None and isinstance(data.get("worksheets"), list):  # nbformat 3
        cells = [c for w in data["worksheets"] if isinstance(w, dict) for c in w.get("cells", [])]
    if not isinstance(cells, list):
        raise ValueError("not a notebook: no list of cells")
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            if isinstance(source, list):
                source = "".join(str(row) for row in source)
            yield Cell(number=number, source=str(source))


def _percent_cells(text: str) -> Iterator[Cell]:
    rows = text.splitlines()
    starts = [0, *(n for n, row in enumerate(rows) if re.match(r"# ?%%", row)), len(rows)]
    for number, (start, end) in enumerate(itertools.pairwise(starts), 1):
        if re.match(r"# ?%%.*\[(markdown|md|raw)\]", rows[start] if start < len(rows) else ""):
            continue
        # jupytext comments magics out, so that the file stays Python
        body = [re.sub(r"^# ?([!%](?!%)|(?:pip|conda) install\b)", r"\1", row) for row in rows[start:end]]
        yield Cell(number=number, source="\n".join(body), line=start + 1)


def _markdown_cells(text: str) -> Iterator[Cell]:
    number, body, start, fence = 0, list[str](), 0, ""
    for row_number, row in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(```+|~~~+)", row)
        if not fence and mark and _PYTHON_FENCE.match(row):
            number, fence, body, start = number + 1, mark[1], [], row_number + 1
        elif fence and mark and mark[1].startswith(fence):
            yield Cell(number=number, source="\n".join(body), line=start)
            fence = ""
        elif fence and not re.match(r"\s*(:\w+:|---\s*$)", row):
            body.append(row)
        elif fence:
            body.append("")  # a cell's options, not code


def split_magics(source: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Python without magics and shell lines (blank in their place), and the lines that install something.

    >>> split_magics("!pip install emcee\\nimport emcee")
    ('pass\\nimport emcee', ((1, '!pip install emcee'),))
    >>> split_magics("%%bash\\nconda install root")
    ('', ((2, 'conda install root'),))
    """
    rows = source.splitlines()
    first = next((row.strip() for row in rows if row.strip()), "")
    foreign = first.startswith("%%") and not _PYTHON_MAGIC.match(first)
    installs: list[tuple[int, str]] = []
    code: list[str] = []
    continued = False  # the last line was a magic that ends in a backslash
    for number, row in enumerate(rows, 1):
        stripped = row.strip()
        magic = foreign or continued or bool(_MAGIC.match(stripped))
        if magic and _INSTALL.match(stripped):
            installs.append((number, stripped))
        if magic:
            code.append("" if continued else row[: len(row) - len(row.lstrip())] + "pass")
        else:
            code.append(row)
        continued = magic and stripped.endswith("\\")
    return ("" if foreign else "\n".join(code)), tuple(installs)


def modules(code: str) -> tuple[tuple[str, int], ...]:
    """Modules that Python code imports, with their lines; what does not parse is read line by line.

    >>> modules("import numpy as np, scipy.stats\\nfrom sklearn.svm import SVC\\nfrom . import x")
    (('numpy', 1), ('scipy.stats', 1), ('sklearn.svm', 2))
    >>> modules("import numpy\\nx = = 1")
    (('numpy', 1),)
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return tuple(_modules_by_line(code))
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            # `from google import colab` names the module only together
            names = [f"google.{a.name}" for a in node.names] if node.module == "google" else [node.module]
            found += [(name, node.lineno) for name in names]
        elif isinstance(node, ast.Call):
            found += [(name, node.lineno) for name in _dynamic(node)]
    return tuple(sorted(found, key=lambda item: item[1]))


def _dynamic(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if (
        name in ("importlib.import_module", "import_module", "__import__", "pytest.importorskip")
        and node.args
    ):
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value[:1].isalpha():
            yield first.value


def _modules_by_line(code: str) -> Iterator[tuple[str, int]]:
    for number, row in enumerate(code.splitlines(), 1):
        found = re.match(r"\s*(?:from\s+([A-Za-z_][\w.]*)\s+import\b|import\s+(.+))", row)
        if found and found[1]:
            yield found[1], number
        elif found:
            for part in found[2].split(","):
                word = re.split("[#;]", part)[0].strip().split(" ")[0]
                if re.fullmatch(r"[A-Za-z_][\w.]*", word):
                    yield word, number


def _called_installs(code: str, notebook: str, cell: int) -> Iterator[InNotebookInstall]:
    """``subprocess.run([sys.executable, "-m", "pip", "install", ...])``, ``os.system("pip install ...")``."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if not re.search(
            r"(^|\.)(system|popen|Popen|run|call|check_call|check_output|getoutput|main)$", name
        ):
            continue
        words = " ".join(
            n.value
            for a in node.args
            for n in ast.walk(a)
            if isinstance(n, ast.Constant) and isinstance(n.value, str)
        )
        if _CALL.search(words) or (name == "pip.main" and "install" in words):
            text = " ".join(ast.unparse(node).split())
            yield InNotebookInstall(notebook=notebook, cell=cell, line=node.lineno, text=text[:200])


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
