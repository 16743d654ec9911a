"""The notebooks of a suite as they are read before anything runs: what they need, and why one is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl.documents import did_you_mean, file_error
from coursectl.errors import CourseFileError, Hint, UsageError
from coursectl.model.course import Course
from coursectl.model.notebook import Notebook, number_lines
from coursectl.model.suite import CellError, NumberCheck, Trait, TraitKind
from coursectl.notebooks import is_notebook, read_notebook
from coursectl.notebooks_blanks import stopping
from coursectl.notebooks_flow import Anatomy, anatomy
from coursectl.notebooks_traits import traits
from coursectl.workflows.smoke_read_imports import follow

if TYPE_CHECKING:
    from coursectl.model.execution import CellRun

RTOL, ATOL = 1e-6, 0.0
"""Tolerances of a number without its own, where course.yaml has none: relative, and absolute."""
_HIDDEN = frozenset({"node_modules", "__pycache__", "site-packages"})

_REASONS = (
    (TraitKind.COLAB, "runs on Google Colab only"),
    (TraitKind.CLUSTER_PATH, "uses a path of another computer, which is not there"),
    (TraitKind.BLANK, "students fill in a part of it"),
    (TraitKind.INPUT, "waits for a person's answer"),
    (TraitKind.INSTALL, "installs a package, which would override the lock"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One notebook of the suite.

    Attributes:
        notebook: as it was read.
        path: the file.
        traits: what was seen in it; those of its metadata have cell 0.
        numbers: what it promises; no value yet.
        imports: top-level modules it imports, also through the course's own files; the standard library and
            the course's own modules left out. Not all need exist: an import may be guarded.
        local: files of the course that it imports or runs (``%run``), relative to the course, with ``/``.
        skip: why it is not run; ``None``: it is run.
    """

    notebook: Notebook
    path: Path
    traits: tuple[Trait, ...]
    numbers: tuple[NumberCheck, ...]
    imports: tuple[str, ...]
    local: tuple[str, ...]
    skip: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A notebook of the suite that cannot be read: `notebook` is its path relative to the course."""

    notebook: str
    reason: str


def read_suite(
    course: Course, names: tuple[str, ...], *, gpu: bool, network: bool
) -> tuple[tuple[Case, ...], tuple[Unreadable, ...]]:
    """Read the notebooks of the suite, or those that are named.

    Args:
        course: its ``notebooks`` section names the suite.
        names: paths (in the course, or from the working directory), file names, or patterns; none: all.
        gpu: whether this machine has a GPU that the environment can use.
        network: whether there is a network; whether a notebook may use it is course.yaml's to say.

    Raises:
        CourseFileError: a pattern of course.yaml matches nothing.
        UsageError: course.yaml names no suite, or a name is not in it.
    """
    suite = _suite(course)
    cases: list[Case] = []
    unreadable: list[Unreadable] = []
    for name in _selected(course, suite, names):
        try:
            cases.append(_read(course, name, gpu=gpu, network=network))
        except CourseFileError as exc:
            why = exc.message.removeprefix(f"{name}: ")
            unreadable.append(
                Unreadable(notebook=name, reason=why if exc.cause is None else f"{why}: {exc.cause}")
            )
    return tuple(cases), tuple(unreadable)


def _suite(course: Course) -> tuple[str, ...]:
    """Every notebook of the suite, relative to the course, in order."""
    patterns = _texts(course, "suite")
    if not patterns:
        raise UsageError(
            "course.yaml names no notebooks to run",
            hints=(Hint(text="write `notebooks: {suite: [notebooks/*.ipynb]}` in course.yaml"),),
            code="no-suite",
        )
    found: dict[str, None] = {}
    for number, pattern in enumerate(patterns):
        named = list(_matching(course.root, pattern))
        if not named:
            raise _no_match(course, f"notebooks.suite[{number}]", pattern, _all_notebooks(course.root))
        found |= dict.fromkeys(named)
    suite = tuple(sorted(found))
    for key in ("network", "gpu", "skip"):
        for number, pattern in enumerate(_texts(course, key)):
            if not any(matches(name, pattern) for name in suite):
                where = f"notebooks.{key}" if key == "skip" else f"notebooks.{key}[{number}]"
                raise _no_match(course, where, pattern, suite)
    return suite


def _texts(course: Course, key: str) -> tuple[str, ...]:
    value = course.notebooks.get(key)
    return tuple(str(v) for v in value) if isinstance(value, Sequence | Mapping) else ()


def _no_match(course: Course, where: str, pattern: str, known: Iterable[str]) -> CourseFileError:
    line = course.lines.get(where) or course.lines.get(where.partition("[")[0])
    return file_error(
        course.file.name,
        line,
        f"{where}: {pattern!r} matches no notebook",
        hints=did_you_mean(pattern, known),
    )


def _matching(root: Path, pattern: str) -> Iterator[str]:
    """What a pattern of the suite names; a file without ``*`` is taken by its word, there or not."""
    if not re.search(r"[*?\[]", pattern):
        if (root / pattern).exists():
            yield pattern
        return
    for path in sorted(root.glob(pattern)):
        relative = path.relative_to(root)
        hidden = any(p.startswith(".") or p in _HIDDEN for p in relative.parts)
        if not hidden and path.is_file() and is_notebook(path):
            yield relative.as_posix()


def _all_notebooks(root: Path) -> list[str]:
    return [name for depth in ("*", "*/*", "*/*/*") for name in _matching(root, f"{depth}.ipynb")]


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern of course.yaml names a notebook; one without a folder may name the file alone.

    >>> matches("notebooks/a/x.ipynb", "notebooks/**/*.ipynb"), matches("notebooks/x.ipynb", "x.ipynb")
    (True, True)
    >>> matches("notebooks/a/x.ipynb", "notebooks/*.ipynb")
    False
    """
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    text = "".join(
        p if p.startswith("[") and p.endswith("]") else signs.get(p) or re.escape(p) for p in parts
    )
    return re.fullmatch(text if "/" in pattern else f"(?:.*/)?{text}", name) is not None


def _selected(course: Course, suite: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    chosen: dict[str, None] = {}
    for name in names:
        found = [n for n in suite if n == name]
        if not found:
            absolute, root = Path(name).absolute().resolve(), course.root.resolve()
            inside = absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else None
            found = [n for n in suite if n == inside]
        pattern = name.replace("\\", "/").removeprefix("./")
        found = found or [n for n in suite if matches(n, pattern) or Path(n).stem == pattern]
        if not found:
            near = [*suite, *(Path(n).name for n in suite), *(Path(n).stem for n in suite)]
            raise UsageError(
                f"{name} is not a notebook of the suite",
                cause=f"course.yaml's notebooks.suite has {len(suite)}: {', '.join(suite[:5])}"
                + (", ..." if len(suite) > 5 else ""),
                hints=did_you_mean(name, near),
                code="no-such-notebook",
            )
        chosen |= dict.fromkeys(found)
    return tuple(n for n in suite if n in chosen) if names else suite


def _read(course: Course, name: str, *, gpu: bool, network: bool) -> Case:
    path = course.root / name
    notebook = read_notebook(path, name)
    book = anatomy(notebook)
    seen = traits(book, lambda text: _exists(path.parent, text))
    imports, local = follow(book, path, course.root)
    return Case(
        notebook=notebook,
        path=path,
        traits=seen,
        numbers=_numbers(notebook, course),
        imports=imports,
        local=local,
        skip=_skip(course, book, seen, gpu=gpu, network=network),
    )


def _exists(folder: Path, text: str) -> bool:
    try:
        return (folder / text).exists()
    except (OSError, ValueError):  # longer than a path can be, or no path at all
        return False


def _numbers(notebook: Notebook, course: Course) -> tuple[NumberCheck, ...]:
    rtol, atol = (_number(course.notebooks.get(k), d) for k, d in (("rtol", RTOL), ("atol", ATOL)))
    checks: dict[str, NumberCheck] = {}
    for cell in notebook.code:
        try:
            for number in number_lines(cell.source):
                if number.name in checks:
                    before = checks[number.name].cell
                    raise ValueError(f"line {number.line}: cell {before} promises {number.name} already")
                tolerance = number.tolerance
                if tolerance is None:
                    tolerance = atol + rtol * abs(number.expected)
                elif number.relative:
                    tolerance *= abs(number.expected)
                checks[number.name] = NumberCheck(
                    name=number.name, cell=cell.number, expected=number.expected, tolerance=tolerance
                )
        except ValueError as exc:
            raise CourseFileError(f"{notebook.path}: cell {cell.number}, {exc}") from exc
    return tuple(checks.values())


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


def may_use_network(course: Course, name: str) -> bool:
    """Whether course.yaml lets a notebook use the network."""
    return any(matches(name, pattern) for pattern in _texts(course, "network"))


def _skip(course: Course, book: Anatomy, seen: tuple[Trait, ...], *, gpu: bool, network: bool) -> str | None:
    """Why a notebook is not run, for a course lead; ``None``: it is run. What a person wrote comes first."""
    notebook = book.notebook
    skip = course.notebooks.get("skip")
    for pattern, why in skip.items() if isinstance(skip, Mapping) else ():
        if matches(notebook.path, str(pattern)):
            return f"course.yaml says: {why}"
    if notebook.language != "python":
        return f"it is written in {notebook.language}, not in Python"
    if not gpu:
        declared = any(matches(notebook.path, p) for p in _texts(course, "gpu"))
        reason = _because(seen, TraitKind.GPU_REQUIRED, "needs a GPU, and this machine has none")
        if reason or declared:
            return reason or "course.yaml says that it needs a GPU, and this machine has none"
    for kind, text in _REASONS:
        reason = _because(stopping(book, seen) if kind is TraitKind.BLANK else seen, kind, text)
        if reason:
            return reason
    if may_use_network(course, notebook.path):
        return None if network else _because(seen, TraitKind.NETWORK, "uses the network, and there is none")
    reason = _because(seen, TraitKind.NETWORK, "uses the network")
    return reason and f"{reason}; to allow that, name it under notebooks.network in course.yaml"


def _because(seen: tuple[Trait, ...], kind: TraitKind, text: str) -> str | None:
    """A reason with the first place that shows it, and how many more there are."""
    places = [t for t in seen if t.kind is kind]
    if not places:
        return None
    first, more = places[0], len(places) - 1
    shown = first.text if len(first.text) <= 80 else first.text[:77] + "..."
    also = f", and {more} more place{'s' if more > 1 else ''}" if more else ""
    return f"{text} (cell {first.cell}, line {first.line}: `{shown}`{also})"


def cascade(case: Case, runs: Sequence[CellRun]) -> tuple[CellError, ...]:
    """The errors of a run in order, each with the root cell that caused it where it is a consequence."""
    from coursectl.workflows.smoke_read_cascade import cascade as judge

    return judge(case.notebook, runs)


def case_digest(case: Case, course: Course, build_digest: str) -> str:
    """All that a result depends on, as one SHA-256 (see `smoke_read_digest`)."""
    from coursectl.workflows.smoke_read_digest import case_digest as digest

    return digest(case, course, build_digest)
