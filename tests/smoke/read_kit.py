"""Small courses and notebooks for the tests of reading."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from coursectl.config import load_course
from coursectl.model.course import Course
from coursectl.model.notebook import Notebook, NotebookCell
from coursectl.model.suite import Trait
from coursectl.notebooks_flow import anatomy
from coursectl.notebooks_traits import traits


def book(*sources: str | NotebookCell, metadata: Mapping[str, object] | None = None) -> Notebook:
    """A notebook of code cells."""
    cells = [
        s if isinstance(s, NotebookCell) else NotebookCell(number=n, kind="code", source=s)
        for n, s in enumerate(sources, 1)
    ]
    return Notebook(
        path="a.ipynb", format="ipynb", cells=tuple(cells), kernel=None, metadata=dict(metadata or {})
    )


def seen(*sources: str, there: Sequence[str] = ()) -> list[tuple[str, int, int]]:
    """What is seen in code cells: kind, cell, line. Of all absolute paths only `there` exist."""
    return [(str(t.kind), t.cell, t.line) for t in seen_in(book(*sources), there)]


def seen_in(notebook: Notebook, there: Sequence[str] = ()) -> tuple[Trait, ...]:
    return traits(anatomy(notebook), lambda path: path in there)


def write(path: Path, *sources: str, **metadata: object) -> Path:
    """An ``.ipynb`` file of code cells."""
    cells = [
        {"cell_type": "code", "execution_count": 7, "metadata": {}, "outputs": [], "source": s}
        for s in sources
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}), "utf-8"
    )
    return path


def course(root: Path, notebooks: str = "suite: ['nb/*.ipynb']") -> Course:
    """A course on disk whose ``notebooks`` section is `notebooks`, in YAML's flow style."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "requirements.in").write_text("numpy\n", encoding="utf-8")
    (root / "course.yaml").write_text(
        "name: c\ncurrent: fall2026\nsemesters: {fall2026: }\n"
        'environments: {c: {spec: requirements.in, python: "3.11"}}\n'
        f"notebooks: {{{notebooks}}}\n",
        encoding="utf-8",
    )
    return load_course(root / "course.yaml")
