"""Notebooks of every format as one value: ``.ipynb``, MyST Markdown, and jupytext's ``.md`` and ``.py``.

Formats, from their own documents: nbformat 3 and 4 (nbformat.readthedocs.io), MyST's ``{code-cell}``
(myst-nb.readthedocs.io, authoring/text-notebooks), jupytext's Markdown, percent and light formats
(jupytext.readthedocs.io, formats-markdown and formats-scripts). Reads, runs nothing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from coursectl.errors import CourseFileError
from coursectl.model.notebook import Notebook, NotebookCell, cell_tags, make_notebook, rows

__all__ = ["Notebook", "NotebookCell", "is_notebook", "read_notebook", "to_ipynb"]

MAX_NOTEBOOK_BYTES = 100_000_000
"""Larger notebooks (pictures in their outputs) are refused."""


def is_notebook(path: Path) -> bool:
    """Whether a file is a notebook: an ``.ipynb``, or a ``.md`` or ``.py`` that says so in its beginning."""
    if path.suffix == ".ipynb":
        return True
    if path.suffix not in (".py", ".md"):
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(20_000).decode("utf-8", "replace")
    except OSError:
        return False
    if path.suffix == ".py":
        return "jupytext:" in head[:1000] or re.search(r"^# ?%%", head, re.MULTILINE) is not None
    return "{code-cell}" in head or "jupytext:" in head[:1000]


def read_notebook(path: Path, name: str) -> Notebook:
    """Read a notebook of any format.

    Args:
        path: the file; its suffix says the format.
        name: what to call it, relative to the course, with ``/``.

    Raises:
        CourseFileError: it is missing, too big, not UTF-8 or not a notebook; the message begins with `name`.
    """
    try:
        if path.stat().st_size > MAX_NOTEBOOK_BYTES:
            raise CourseFileError(
                f"{name}: larger than {MAX_NOTEBOOK_BYTES:,} bytes", hints=("clear its outputs",)
            )
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise CourseFileError(f"{name}: there is no such file") from exc
    except OSError as exc:
        raise CourseFileError(f"{name}: cannot be read", cause=exc.strerror) from exc
    except UnicodeDecodeError as exc:
        raise CourseFileError(f"{name}: not UTF-8") from exc
    if path.suffix == ".ipynb":
        return _read_json(text, name)
    if path.suffix not in (".md", ".py"):
        raise CourseFileError(f"{name}: not a notebook", cause="one ends in .ipynb, .md or .py")
    from coursectl import notebooks_text

    text = "\n".join(rows(text))
    return (notebooks_text.read_markdown if path.suffix == ".md" else notebooks_text.read_script)(text, name)


def _read_json(text: str, name: str) -> Notebook:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        why = f"it breaks off or is damaged: {exc}" if text.strip() else "the file is empty"
        raise CourseFileError(f"{name}: not JSON", cause=why) from exc
    cells = data.get("cells") if isinstance(data, dict) else None
    if cells is None and isinstance(data, dict) and isinstance(data.get("worksheets"), list):
        found = [w.get("cells") for w in data["worksheets"] if isinstance(w, dict)]  # nbformat 3
        cells = [c for w in found if isinstance(w, list) for c in w]
    if not isinstance(cells, list):
        raise CourseFileError(f"{name}: not a notebook", cause="it has no list of cells")
    read: list[NotebookCell] = []
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
            raise CourseFileError(f"{name}: cell {number} is not a cell", cause="it does not say its kind")
        read.append(_json_cell(number, cell))
    metadata = data.get("metadata")
    return make_notebook(name, "ipynb", read, metadata if isinstance(metadata, dict) else {})


def _json_cell(number: int, cell: dict[str, object]) -> NotebookCell:
    kind, metadata, attachments = cell["cell_type"], cell.get("metadata"), cell.get("attachments")
    source = cell.get("source", cell.get("input", ""))  # nbformat 3 says input
    text = "".join(str(row) for row in source) if isinstance(source, list) else str(source or "")
    if kind == "heading":  # nbformat 3
        level = cell.get("level", 1)
        kind, text = "markdown", f"{'#' * (level if isinstance(level, int) else 1)} {text}"
    return NotebookCell(
        number=number,
        kind=str(kind) if kind in ("code", "raw") else "markdown",
        # half a surrogate pair is legal JSON, and no file can hold it
        source="\n".join(rows(text)).encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        metadata=metadata if isinstance(metadata, dict) else {},
        tags=cell_tags(metadata),
        attachments=attachments if isinstance(attachments, dict) else {},
    )


def to_ipynb(notebook: Notebook) -> dict[str, object]:
    """The notebook as nbformat 4.5 JSON without outputs: the same notebook gives the same document.

    The kernel is always ``python3``: the stored name need not exist; the environment's own
    python runs it.

    >>> cell = NotebookCell(number=1, kind="code", source="1", tags=("x",))
    >>> book = Notebook(path="a.ipynb", format="ipynb", cells=(cell,), kernel=None, metadata={})
    >>> to_ipynb(book)["cells"][0]["id"]
    'cell-1'
    """
    return {
        "cells": [_to_json(cell) for cell in notebook.cells],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _to_json(cell: NotebookCell) -> dict[str, object]:
    made: dict[str, object] = {
        "cell_type": cell.kind,
        "id": f"cell-{cell.number}",
        "metadata": {"tags": list(cell.tags)} if cell.tags else {},
        "source": cell.source,
    }
    if cell.kind == "code":
        made |= {"execution_count": None, "outputs": []}
    elif cell.attachments:
        made["attachments"] = dict(cell.attachments)
    return made
