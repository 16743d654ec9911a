"""What a notebook asks before it does something: which lines are guarded, and what its names mean.

A guard is a condition around a line. Code under ``if 'google.colab' in sys.modules`` does not run on the
frozen stack, nor does the handler of an ``ImportError``: such lines are *dead* here. Names are followed only
as far as people write them: ``use_cuda = torch.cuda.is_available()``, ``URL = "https://..."``, ``np``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from coursectl.model.notebook import Notebook, NotebookCell
from coursectl.notebooks_code import Code, is_type_checking, split

DEAD, TRIED, GPU = "dead", "tried", "gpu"
EXISTS = "exists:"
"""Guards: never runs here; an error is caught; asks for a GPU first; asks first whether this path exists."""

_ASKS_GPU = frozenset(
    {
        *("is_available", "device_count", "is_gpu_available", "list_physical_devices", "gpu_device_name"),
        *("list_logical_devices", "list_local_devices", "get_visible_devices", "getGPUs", "getAvailable"),
        *("default_backend", "local_devices", "is_built_with_cuda", "get_gpu_device_name"),
    }
)
_ASKS_PATH = frozenset({"exists", "isfile", "isdir", "is_file", "is_dir", "lexists", "access"})
_TELLING = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Assign, ast.AnnAssign, ast.If),
)
_BROAD = frozenset({"Exception", "BaseException", "ImportError", "ModuleNotFoundError"})
_GPU_WORD = re.compile(r"gpu|cuda", re.IGNORECASE)
_COLAB_WORD = re.compile(r"colab", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A statement with what guards it."""

    statement: ast.stmt
    guards: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Names:
    """What a notebook's names stand for, from all of its cells.

    `modules`: ``np`` is ``numpy``; `texts`: names bound to a text; `flags`: every constant a name is bound to
    (``None`` among them: something else, too); `gpu`: names that tell whether there is a GPU; `says_gpu`:
    whether any word is about one; `defined`: the notebook's own functions, classes and variables.
    """

    modules: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    flags: dict[str, set[object]] = field(default_factory=dict)
    gpu: set[str] = field(default_factory=set)
    says_gpu: bool = True
    defined: set[str] = field(default_factory=set)

    def full(self, node: ast.AST) -> str:
        """The full name of a module's function: ``np.load`` is ``numpy.load``; empty for anything else.

        >>> Names(modules={"np": "numpy"}).full(ast.parse("np.random.rand", mode="eval").body)
        'numpy.random.rand'
        """
        if isinstance(node, ast.Name):
            return self.modules.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.full(node.value)
            return f"{base}.{node.attr}" if base else f".{node.attr}"
        if isinstance(node, ast.Call):
            return f"{self.full(node.func)}()"
        return ""

    def text(self, node: ast.AST | None) -> str | None:
        """The text that an expression is, or begins with; ``None`` where that is not seen."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self.texts.get(node.id)
        if isinstance(node, ast.JoinedStr) and node.values:
            first = node.values[0]
            return self.text(first.value if isinstance(first, ast.FormattedValue) else first)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Div):
            return self.text(node.left)
        if isinstance(node, ast.Call) and self.full(node.func) in ("pathlib.Path", "Path") and node.args:
            return self.text(node.args[0])
        return None

    def never(self, name: str) -> bool:
        """Whether a name is only ever bound to something false, such as ``DOWNLOAD = False``."""
        values = self.flags.get(name)
        return bool(values) and all(v is False or v == 0 for v in values or ())

    def asks_gpu(self, node: ast.AST) -> bool:
        """Whether an expression finds out about a GPU."""
        if not self.says_gpu:
            return False
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and part.attr in _ASKS_GPU:
                return True
            if isinstance(part, ast.Name) and self._tells_gpu(part.id):
                return True
            if isinstance(part, ast.Compare) and any(
                isinstance(n, ast.Constant) and isinstance(n.value, str) and _GPU_WORD.search(n.value)
                for n in ast.walk(part)
            ):
                return True
        return False

    def _tells_gpu(self, name: str) -> bool:
        if name in self.gpu:
            return True
        known = name in self.modules or True in self.flags.get(name, ())
        return bool(_GPU_WORD.search(name)) and not known

    def asks_colab(self, node: ast.AST) -> bool:
        """Whether an expression finds out about Google Colab."""
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                if _COLAB_WORD.search(part.value):
                    return True
            elif isinstance(part, ast.Name) and _COLAB_WORD.search(part.id):
                # IN_COLAB = True by hand is no question, unless a handler says False
                return part.id not in self.modules and self.flags.get(part.id, set()) != {True}
        return False


def names_of(nodes: Sequence[ast.AST], *, says_gpu: bool = True) -> Names:
    """What the names of a notebook stand for, from all nodes of its trees."""
    names = Names(says_gpu=says_gpu)
    known = [node for node in nodes if isinstance(node, _TELLING)]
    for _ in range(2):  # a function may be defined below its first use
        for node in known:
            _learn(names, node)
    return names


def _learn(names: Names, node: ast.AST) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            names.modules[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            names.modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        names.defined.add(node.name)
        if isinstance(node, ast.FunctionDef) and any(names.asks_gpu(s) for s in node.body):
            names.gpu.add(node.name)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                _learn_value(names, target.id, node.value)
    elif isinstance(node, ast.If) and names.asks_gpu(node.test):
        for part in (n for s in (*node.body, *node.orelse) for n in ast.walk(s)):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                names.gpu.add(part.id)


def _learn_value(names: Names, name: str, value: ast.expr) -> None:
    names.defined.add(name)
    constant = isinstance(value, ast.Constant)
    names.flags.setdefault(name, set()).add(value.value if isinstance(value, ast.Constant) else None)
    text = names.text(value)
    if text is not None and isinstance(value, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Call):
        names.texts.setdefault(name, text)
    if not constant and names.asks_gpu(value):
        names.gpu.add(name)
    if isinstance(value, ast.Attribute):  # mnist = tf.keras.datasets.mnist
        root: ast.expr = value
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root.id in names.modules:
            names.modules.setdefault(name, names.full(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCell:
    """A code cell taken apart. `spots` has the innermost statement of each line, with its guards.

    `nodes` are all nodes of its `tree`, none where that is ``None``.
    """

    cell: NotebookCell
    code: Code
    tree: ast.Module | None
    nodes: tuple[ast.AST, ...]
    spots: dict[int, Spot]

    def guards(self, line: int) -> frozenset[str]:
        """What guards a line."""
        spot = self.spots.get(line)
        return frozenset() if spot is None else spot.guards

    def shown(self, line: int) -> str:
        """The line as a report shows it."""
        lines = self.cell.source.split("\n")
        return lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """A notebook taken apart: its cells that run, and what its names stand for."""

    notebook: Notebook
    cells: tuple[ReadCell, ...]
    names: Names


def anatomy(notebook: Notebook) -> Anatomy:
    """Take a notebook apart, once for all who look at it."""
    parts: list[tuple[NotebookCell, Code, ast.Module | None, tuple[ast.AST, ...]]] = []
    for cell in notebook.code:
        code = split(cell.source)
        tree = code.tree()
        parts.append((cell, code, tree, () if tree is None else tuple(ast.walk(tree))))
    says_gpu = any(_GPU_WORD.search(c.source) or any(w in c.source for w in _ASKS_GPU) for c in notebook.code)
    names = names_of([node for part in parts for node in part[3]], says_gpu=says_gpu)
    cells: list[ReadCell] = []
    for cell, code, tree, nodes in parts:
        spots: dict[int, Spot] = {}
        for spot in _spots(tree.body if tree is not None else [], frozenset(), names):
            end = spot.statement.end_lineno or spot.statement.lineno
            spots |= dict.fromkeys(range(spot.statement.lineno, end + 1), spot)
        cells.append(ReadCell(cell=cell, code=code, tree=tree, nodes=nodes, spots=spots))
    return Anatomy(notebook=notebook, cells=tuple(cells), names=names)


def _spots(body: Iterable[ast.stmt], guards: frozenset[str], names: Names) -> Iterator[Spot]:
    """Every statement, outer ones first."""
    for statement in body:
        yield Spot(statement=statement, guards=guards | _own(statement, names))
        for inner, more in _bodies(statement, names):
            yield from _spots(inner, guards | more, names)


def _own(statement: ast.stmt, names: Names) -> frozenset[str]:
    """What a simple statement asks in its own line: ``"cuda" if torch.cuda.is_available() else "cpu"``."""
    if isinstance(statement, ast.Assert) or hasattr(statement, "body"):
        return frozenset()
    asked = {GPU} if names.asks_gpu(statement) else set()
    return frozenset(asked | set(_paths_asked(statement, names)))


def _bodies(statement: ast.stmt, names: Names) -> Iterator[tuple[list[ast.stmt], frozenset[str]]]:
    """The blocks of a compound statement, with the guards that each adds."""
    none = frozenset[str]()
    if isinstance(statement, ast.If | ast.While):
        then, otherwise = _branches(statement.test, names)
        if is_type_checking(statement):
            then = frozenset({DEAD})
        yield statement.body, then
        yield statement.orelse, otherwise
    elif isinstance(statement, ast.Try | ast.TryStar):
        yield statement.body, frozenset({TRIED}) if any(map(_catches, statement.handlers)) else none
        imports = any(isinstance(n, ast.Import | ast.ImportFrom) for s in statement.body for n in ast.walk(s))
        for handler in statement.handlers:
            missing = imports and (handler.type is None or _names(handler.type) & _BROAD)
            yield handler.body, frozenset({DEAD}) if missing else none
        yield statement.orelse, none
        yield statement.finalbody, none
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            yield case.body, none
    else:
        for block in ("body", "orelse"):
            yield getattr(statement, block, []), none


def _catches(handler: ast.ExceptHandler) -> bool:
    """Whether a handler goes on after the error; one that raises again does not."""
    return not any(isinstance(n, ast.Raise) for s in handler.body for n in ast.walk(s))


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _branches(test: ast.expr, names: Names) -> tuple[frozenset[str], frozenset[str]]:
    """The guards that a condition puts on its two branches."""
    none, dead = frozenset[str](), frozenset({DEAD})
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        then, otherwise = _branches(test.operand, names)
        return otherwise, then
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        parts = [_branches(value, names) for value in test.values]
        shared = frozenset(g for _, other in parts for g in other if g != DEAD)
        return frozenset(g for then, _ in parts for g in then), shared
    if isinstance(test, ast.Constant):
        return (none, dead) if test.value else (dead, none)
    if isinstance(test, ast.Name) and names.never(test.id):
        return dead, none
    if names.asks_colab(test):
        negative = isinstance(test, ast.Compare) and (
            isinstance(test.ops[0], ast.NotIn | ast.NotEq)
            or (isinstance(test.ops[0], ast.Is) and ast.unparse(test.comparators[0]) == "None")
        )
        return (none, dead) if negative else (dead, none)
    asked = frozenset({GPU} if names.asks_gpu(test) else ()) | frozenset(_paths_asked(test, names))
    return asked, asked


def _paths_asked(node: ast.AST, names: Names) -> Iterator[str]:
    """``exists:PATH`` for every path whose existence an expression asks for."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute | ast.Name):
            word = part.func.attr if isinstance(part.func, ast.Attribute) else part.func.id
            if word in _ASKS_PATH:
                asked = part.args[0] if part.args else getattr(part.func, "value", None)
                yield EXISTS + (names.text(asked) or "")
