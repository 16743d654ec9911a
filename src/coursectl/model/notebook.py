"""A notebook as one value, whatever its file's format. Pure: nothing here does I/O."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

SKIP_TAG = "skip-execution"
"""The tag of a cell that is shown and never run (myst-nb, nbclient)."""
RAISES_TAG = "raises-exception"
"""The tag of a cell whose error is meant (myst-nb, nbclient)."""

_NUMBER = re.compile(
    r"(?P<name>.+?)\s*=\s*(?P<expected>[-+]?[\d._]+(?:[eE][-+]?\d+)?)"
    r"(?:\s*(?:\+-|\+/-|±)\s*(?P<tolerance>[\d._]+(?:[eE][-+]?\d+)?)\s*(?P<percent>%)?)?\s*(?:#.*)?"
)
_NUMBER_LINE = re.compile(r"\s*#\s*coursectl:(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookCell:
    """One cell. `number` counts all cells from 1, `kind` is ``code``, ``markdown`` or ``raw``.

    `line` is the line of the file where the source begins in a text notebook, 1 in an ``.ipynb``.
    `metadata` is what the file says of the cell beside its tags, `attachments` its pictures.
    """

    number: int
    kind: str
    source: str
    tags: tuple[str, ...] = ()
    line: int = 1
    metadata: Mapping[str, object] = field(default_factory=dict)
    attachments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """A notebook. `path` is relative to the course, with ``/``.

    `format` is ``ipynb``, ``myst``, ``jupytext-md`` or ``jupytext-py``. `kernel` is the stored kernelspec's
    name, for information only: it need not exist anywhere.
    """

    path: str
    format: str
    cells: tuple[NotebookCell, ...]
    kernel: str | None
    metadata: Mapping[str, object]

    @property
    def code(self) -> tuple[NotebookCell, ...]:
        """The cells that run."""
        return tuple(c for c in self.cells if c.kind == "code" and SKIP_TAG not in c.tags)

    @property
    def language(self) -> str:
        """The language it is written in, in lower case; ``python`` where it says nothing.

        >>> Notebook(path="a", format="ipynb", cells=(), kernel="ir",
        ...          metadata={"kernelspec": {"language": "R"}}).language
        'r'
        """
        for section, key in (("kernelspec", "language"), ("language_info", "name")):
            found = self.metadata.get(section)
            if isinstance(found, Mapping) and isinstance(found.get(key), str) and found[key]:
                return re.sub(r"^i?python\d*$", "python", str(found[key]).lower())
        return "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberLine:
    """A line ``# coursectl: mass = 125.1 +- 0.3``: `name` is a Python expression to evaluate after the cell.

    `tolerance` is absolute, or relative to `expected` where `relative`; ``None``: the course's own.
    """

    line: int
    name: str
    expected: float
    tolerance: float | None = None
    relative: bool = False


def rows(text: str) -> list[str]:
    """The lines of a text, as Python and editors count them (``str.splitlines`` breaks at form feeds too).

    >>> rows("a\\r\\nb\\x0c")
    ['a', 'b\\x0c']
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def cell_tags(metadata: object) -> tuple[str, ...]:
    """The tags in a cell's metadata.

    >>> cell_tags({"tags": ["a", 1]}), cell_tags({"tags": "a b"}), cell_tags(None)
    (('a', '1'), ('a', 'b'), ())
    """
    tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
    if isinstance(tags, str):
        tags = re.split(r"[\s,]+", tags.strip("[] "))
    return tuple(str(t) for t in tags if str(t)) if isinstance(tags, list) else ()


def make_notebook(
    name: str, kind: str, cells: Iterable[NotebookCell], metadata: Mapping[str, object]
) -> Notebook:
    """A notebook of format `kind` with the kernel's name taken from its metadata."""
    spec = metadata.get("kernelspec")
    kernel = spec.get("name") if isinstance(spec, Mapping) else None
    return Notebook(
        path=name,
        format=kind,
        cells=tuple(cells),
        kernel=kernel if isinstance(kernel, str) else None,
        metadata=metadata,
    )


def number_lines(source: str) -> Iterator[NumberLine]:
    """The numbers that a code cell promises, in order.

    Raises:
        ValueError: a line begins with ``# coursectl:`` and says something else; the text names the line.

    >>> [n] = number_lines("fit()\\n# coursectl: best['mu'] = 125.1 +- 2%")
    >>> n.line, n.name, n.expected, n.tolerance, n.relative
    (2, "best['mu']", 125.1, 0.02, True)
    """
    if "coursectl:" not in source:
        return
    quoted = _lines_in_texts(source)
    for line, row in enumerate(rows(source), 1):
        found = _NUMBER_LINE.match(row)
        if found is None or line in quoted:
            continue
        parts = _NUMBER.fullmatch(found[1].strip())
        try:
            if parts is None:
                raise ValueError("no NAME = NUMBER")
            ast.parse(parts["name"], mode="eval")
            expected = float(parts["expected"])
            tolerance = None if parts["tolerance"] is None else float(parts["tolerance"])
        except (SyntaxError, ValueError) as exc:
            raise ValueError(
                f"line {line}: `{row.strip()}` does not say NAME = NUMBER +- TOLERANCE, "
                "such as `# coursectl: mass = 125.1 +- 0.3`"
            ) from exc
        percent = parts["percent"] is not None
        if percent and tolerance is not None:
            tolerance /= 100
        yield NumberLine(
            line=line, name=parts["name"], expected=expected, tolerance=tolerance, relative=percent
        )


def _lines_in_texts(source: str) -> set[int]:
    """Lines that lie inside a text over several lines, where a comment is no comment."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno is not None
        for line in range(node.lineno + 1, node.end_lineno + 1)
    }
