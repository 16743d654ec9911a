"""Which errors of a run are consequences: the root error, and the cascade that it causes.

A cell that fails leaves its rest undone. A later error is a consequence where it needs what that rest should
have defined. Where it is not certain, an error is called a root: a breakage too many is looked at, one too
few is not.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from coursectl.model.notebook import Notebook
from coursectl.model.suite import CellError
from coursectl.notebooks_flow import ReadCell, anatomy

if TYPE_CHECKING:
    from coursectl.model.execution import CellRun

_NOT_DEFINED = re.compile(r"name '(\w+)' is not defined|(?:local|free) variable '(\w+)'")
_NO_ATTRIBUTE = re.compile(r"'(?P<type>[\w.]+)' object has no attribute '(?P<name>\w+)'")
_OTHER_CALL = re.compile(
    r"unexpected keyword|positional argument|multiple values|required .*argument|argument '"
)
_OWN_FAULT = frozenset(
    {
        *("ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "TabError", "MemoryError"),
        *("CellTimeout", "KernelDied", "KeyboardInterrupt", "NotImplementedError", "UsageError"),
    }
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class _Lack(IntEnum):
    """What is wrong with a name after a failure."""

    ACTED = 1  # something was not done to it: model.fit()
    STALE = 2  # it has an older value, or one made from such
    MISSING = 3  # it was never bound


@dataclass(frozen=True, slots=True)
class _Gap:
    lack: _Lack
    origin: int


@dataclass(slots=True)
class _State:
    """Names with a gap, and for each root cell the texts and attributes of what it left undone."""

    functions: dict[str, set[str]]
    gaps: dict[str, _Gap] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    texts: dict[int, set[str]] = field(default_factory=dict)
    attributes: dict[int, set[str]] = field(default_factory=dict)

    def uses(self, statements: Iterable[ast.stmt]) -> set[str]:
        """Names that statements read, through the notebook's own functions too."""
        found: set[str] = set()
        more = {name for s in statements for name in read_names(s)}
        while more:
            found |= more
            more = {n for name in more for n in self.functions.get(name, ())} - found
        return found

    def settle(self, statements: Iterable[ast.stmt]) -> None:
        """Statements that ran: what they bind is whole again, unless it is made from something stale."""
        for statement in statements:
            gaps = [g for n in self.uses([statement]) if (g := self.gaps.get(n)) and g.lack is _Lack.STALE]
            for name in bound_names([statement]):
                self.bound.add(name)
                if gaps:
                    self.gaps[name] = min(gaps, key=lambda g: g.origin)
                else:
                    self.gaps.pop(name, None)

    def leave(self, rest: Sequence[ast.stmt], defined: Iterable[str], origin: int) -> None:
        """Statements that did not run, of a cell whose failure goes back to the cell `origin`."""
        done = set(defined)
        self.bound |= done
        for name in done:
            self.gaps.pop(name, None)
        imported = {n for s in rest for n in bound_names([s]) if isinstance(s, ast.Import | ast.ImportFrom)}
        for name in bound_names(rest) - done:
            if name not in self.bound:
                self.gaps[name] = _Gap(_Lack.MISSING, origin)
            elif name not in imported:
                self.gaps[name] = _Gap(_Lack.STALE, origin)
        for name, lack in _touched(rest):
            known = self.gaps.get(name)
            if name not in imported and (known is None or known.lack < lack):
                self.gaps[name] = _Gap(lack, origin)
        for node in (n for s in rest for n in ast.walk(s)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 2:
                self.texts.setdefault(origin, set()).add(node.value)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self.attributes.setdefault(origin, set()).add(node.attr)

    def cause(self, error: CellError, statements: Sequence[ast.stmt]) -> int | None:
        """The root cell of an error raised by `statements`; ``None``: it is one itself."""
        if error.name in _OWN_FAULT:
            return None
        if error.name in ("NameError", "UnboundLocalError"):
            return self._undefined(error)
        if error.name in ("FileNotFoundError", "OSError"):
            return self._said(lambda text: bool(re.search(r"[./]", text)) and text in error.message)
        if error.name == "KeyError":
            key = error.message.strip("\"'")
            said = self._said(lambda text: text == key)
            if said is not None:
                return said
        lack = _Lack.STALE
        if error.name == "AttributeError":
            found = _NO_ATTRIBUTE.search(error.message)
            if found is None:
                return None  # a module lacks something: the stack, not the notebook
            set_by = [o for o, attributes in self.attributes.items() if found["name"] in attributes]
            if set_by:
                return min(set_by)
            if found["name"].endswith("_"):  # what fitting would have set
                lack = _Lack.ACTED
            elif found["type"] not in ("NoneType", "ellipsis"):
                return None
        elif error.name == "TypeError" and _OTHER_CALL.search(error.message):
            return None  # another signature: the stack
        elif error.name in ("NotFittedError", "IndexError", "KeyError"):
            lack = _Lack.ACTED
        gaps = [g for n in self.uses(statements) if (g := self.gaps.get(n)) and g.lack >= lack]
        return min((g.origin for g in gaps), default=None)

    def _said(self, chosen: Callable[[str], bool]) -> int | None:
        """The first root cell whose undone rest has such a text: a file's name, a column's."""
        return min((o for o, texts in self.texts.items() if any(map(chosen, texts))), default=None)

    def _undefined(self, error: CellError) -> int | None:
        found = _NOT_DEFINED.search(error.message)
        if found is None or error.file is not None:  # a name of a helper's, not of the notebook's
            return None
        gap = self.gaps.get(found[1] or found[2]) or self.gaps.get("*")
        return None if gap is None else gap.origin


def cascade(notebook: Notebook, runs: Sequence[CellRun]) -> tuple[CellError, ...]:
    """The errors of a run in the order of its cells, each consequence with the root cell that caused it.

    Args:
        notebook: as it was read.
        runs: what came of its cells, in the order in which they ran.
    """
    cells = {c.cell.number: c for c in anatomy(notebook).cells}
    state = _State(_functions(n for c in cells.values() for n in c.nodes))
    errors: list[CellError] = []
    for run in runs:
        cell = cells.get(run.cell)
        body = _body(cell)
        if run.error is None:
            state.settle(body)
            state.bound |= set(run.defined)
            continue
        at = _failed(body, run.error.line)
        state.settle(body[:at])
        cause = state.cause(run.error, body[at : at + 1] if run.error.line is not None else body)
        errors.append(replace(run.error, cascade_of=cause))
        state.leave(body[at:], run.defined, run.cell if cause is None else cause)
    return tuple(errors)


def _body(cell: ReadCell | None) -> list[ast.stmt]:
    """A cell's statements; of a cell that does not parse, the bindings that its lines show."""
    if cell is None:
        return []
    if cell.tree is not None:
        return cell.tree.body
    found: list[ast.stmt] = []
    for row in cell.code.python.split("\n"):
        named = re.match(r"(?:(?:async\s+)?def|class)\s+(\w+)|(\w+)\s*=(?!=)", row)
        text = f"{named[1] or named[2]} = None" if named else row if re.match(r"(from|import)\s", row) else ""
        try:
            found += ast.parse(text).body
        except SyntaxError:
            continue
    return found


def _failed(body: Sequence[ast.stmt], line: int | None) -> int:
    """The index of the statement that was running."""
    if line is None:
        return 0
    return next((n for n, s in enumerate(body) if line <= (s.end_lineno or s.lineno)), len(body))


def _functions(nodes: Iterable[ast.AST]) -> dict[str, set[str]]:
    """What the notebook's own functions and classes read from outside, by name."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
            own |= {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
            found.setdefault(node.name, set()).update({n.id for n in names} - own - set(dir(builtins)))
    return found


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what runs with it: not the insides of functions and classes that it defines."""
    yield node
    for name, value in ast.iter_fields(node):
        if isinstance(node, _FUNCTIONS) and name == "body" and not isinstance(node, ast.Lambda):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _own_scope(child)


def read_names(statement: ast.stmt) -> set[str]:
    """Names that a statement reads when it runs.

    >>> sorted(read_names(ast.parse("a[i] += f(b.c)").body[0]))
    ['a', 'b', 'f', 'i']
    """
    found: set[str] = set()
    for node in _own_scope(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def bound_names(statements: Iterable[ast.stmt]) -> set[str]:
    """Names that statements bind in the notebook; ``*`` for a star import.

    >>> tree = ast.parse("import a.b\\nfrom c import d as e\\nwith f() as g: (h, i) = 1, 2\\ndef j(): k = 1")
    >>> sorted(bound_names(tree.body))
    ['a', 'e', 'g', 'h', 'i', 'j']
    """
    found: set[str] = set()
    for node in (n for s in statements for n in _own_scope(s)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.split(".")[0])
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
    return found


def _touched(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, _Lack]]:
    """Names whose objects statements change: ``table["x"] = ...``, ``model.fit(x)``."""
    for node in (n for s in statements for n in _own_scope(s)):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from ((name, _Lack.STALE) for name in _root(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from ((name, _Lack.ACTED) for name in _root(node.value.func))


def _root(node: ast.AST) -> Iterator[str]:
    inside = isinstance(node, ast.Subscript | ast.Attribute)
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if inside and isinstance(node, ast.Name):
        yield node.id
