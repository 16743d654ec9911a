"""Places in a notebook that students fill in: a notebook that has them cannot run through."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator

from coursectl.model.suite import Trait, TraitKind
from coursectl.notebooks_flow import Anatomy, ReadCell

_COMMENT = re.compile(
    r"#+\s*[<\[(]?\s*(?:(?:write|add|put|enter|insert|type|complete|todo:?|fill in)\s+)?your\s+(?:own\s+)?"
    r"(?:code|solution|answer)\b|#+\s*(?:fill in|add|insert|enter|write)\s+(?:the\s+)?code\s+here\b",
    re.IGNORECASE,
)
_SOLVED = re.compile(r"#+\s*(BEGIN|END) SOLUTION", re.IGNORECASE)
_NOTHING = re.compile(r"(pass|\.\.\.|raise\s+NotImplementedError.*|return\b.*|assert\b.*|print\(.*|#.*)?$")
_OF_IPYTHON = frozenset({"get_ipython", "display", "In", "Out", "exit", "quit", "_", "__", "___"})
_NAMED = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar),
)
_ABSTRACT = re.compile(r"\b(ABC|ABCMeta|Protocol|abstractmethod|overload)\b")


def blanks(cell: ReadCell, bases: frozenset[str]) -> Iterator[int]:
    """The lines that wait for a student.

    ``raise NotImplementedError`` (not in an abstract class), a lone ``...`` as a statement or a value,
    ``# YOUR CODE HERE`` with nothing done below it, ``____`` as a name, and nbgrader's solution cells that
    hold no solution. What stands between nbgrader's ``BEGIN SOLUTION`` marks is the teacher's own copy.

    Args:
        cell: a code cell.
        bases: names of classes that others derive from (`bases_of`): their methods may be left open.
    """
    source = cell.cell.source
    if cell.code.cell_magic is not None or _SOLVED.search(source):
        return
    if cell.tree is not None:
        yield from _in_block(cell.tree.body, bases)
    yield from _comments(source.split("\n"))
    if cell.tree is not None and _is_nbgrader_solution(cell) and not cell.tree.body:
        yield 1


def _is_nbgrader_solution(cell: ReadCell) -> bool:
    nbgrader = cell.cell.metadata.get("nbgrader")
    said = isinstance(nbgrader, dict) and nbgrader.get("solution") is True
    return said or bool({"solution", "nbgrader-solution", "student"} & set(cell.cell.tags))


def _comments(lines: list[str]) -> Iterator[int]:
    for number, row in enumerate(lines, 1):
        if not _COMMENT.search(row):
            continue
        before = row.partition("#")[0]
        if before.strip():  # `x = None  # YOUR CODE HERE`
            if re.search(r"=\s*(None|\.{3}|_+)\s*$", before):
                yield number
            continue
        below = lines[number:]
        while below and below[0].strip().startswith("#"):  # the exercise goes on
            below = below[1:]
        if not below or _NOTHING.match(below[0].strip()) or _indent(below[0]) < _indent(row):
            yield number


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip()) if row.strip() else len(row)


def bases_of(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Names of classes from which another class of the notebook derives."""
    classes = (n for n in nodes if isinstance(n, ast.ClassDef))
    return frozenset(ast.unparse(base) for node in classes for base in node.bases)


def _in_block(body: list[ast.stmt], bases: frozenset[str]) -> Iterator[int]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            head = " ".join(map(ast.unparse, [*statement.bases, *(k.value for k in statement.keywords)]))
            if statement.name in bases or _ABSTRACT.search(head):
                continue
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            _ABSTRACT.search(ast.unparse(d)) for d in statement.decorator_list
        ):
            continue
        if _is_blank(statement):
            yield statement.lineno
        for name in ("body", "orelse", "finalbody"):
            block = getattr(statement, name, [])
            # `else: raise NotImplementedError("only two dimensions")` is an answer, not a question
            said = isinstance(statement, ast.If) and len(block) == 1 and _says_why(block[0])
            yield from _in_block([] if said else block, bases)
        for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _in_block(part.body, bases)


def _says_why(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Raise) and isinstance(statement.exc, ast.Call) and bool(statement.exc.args)
    )


def _is_blank(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        return ast.unparse(statement.exc).startswith("NotImplementedError")
    value = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return):
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        if any(isinstance(p, ast.Constant) and p.value is Ellipsis for p in parts):
            return True
    compound = hasattr(statement, "body")
    return not compound and any(
        isinstance(n, ast.Name) and re.fullmatch("_{3,}", n.id) for n in ast.walk(statement)
    )


def stopping(book: Anatomy, found: Iterable[Trait]) -> tuple[Trait, ...]:
    """The blanks that keep a notebook from running through.

    A cell that holds nothing but ``# Add your solution here`` runs; lectures are full of them. It stops the
    notebook only where the notebook needs a name that it nowhere defines.
    """
    empty = {c.cell.number for c in book.cells if c.tree is not None and not any(map(_acts, c.tree.body))}
    blanks = tuple(t for t in found if t.kind is TraitKind.BLANK)
    return blanks if _needs_more(book) else tuple(t for t in blanks if t.cell not in empty)


def _acts(statement: ast.stmt) -> bool:
    return not isinstance(statement, ast.Pass) and not (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _needs_more(book: Anatomy) -> bool:
    """Whether the notebook reads a name that nothing in it can have bound."""
    bound, read = set(dir(builtins)) | _OF_IPYTHON, set[str]()
    for cell in book.cells:
        if cell.tree is None or any(m.text.startswith(("%pylab", "%run", "%load")) for m in cell.code.magics):
            return False  # who knows what that binds
        for node in cell.nodes:
            if isinstance(node, ast.Name):
                (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.alias):
                if node.name == "*":
                    return False
                bound.add(node.asname or node.name.split(".")[0])
            elif isinstance(node, _NAMED) and node.name:
                bound.add(node.name)
    return bool(read - bound)
