"""What reading a notebook tells about running it: see `model.suite.TraitKind`. Pure but for one question.

An observation is made only where the line runs on the frozen stack: guards are respected (`notebooks_flow`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from coursectl.model.suite import Trait, TraitKind
from coursectl.notebooks_blanks import bases_of, blanks
from coursectl.notebooks_calls import GPU_MODULES, NETWORK_PROGRAM, PERSON, asks_network, uses_gpu
from coursectl.notebooks_code import calls_that_install, cell_modules, started
from coursectl.notebooks_flow import DEAD, EXISTS, GPU, TRIED, Anatomy, Names, ReadCell

_ELSEWHERE = re.compile(
    r"(/home/|/Users/|/scratch|/afs/|/eos/|/cvmfs/|/lustre|/gpfs|/nfs|/projects?/|/global/|/work/|/kaggle/input"
    r"|/mnt/|/media/|/content/|[A-Za-z]:[\\/]{1,2}Users[\\/]|[D-Zd-z]:[\\/]{1,2}\w)[^\n]*"
)
_SHELL = frozenset({"bash", "sh", "script", "system", "sx"})
_COMPARES = frozenset(
    {"startswith", "endswith", "replace", "split", "strip", "removeprefix", "match", "join"}
)

Found = tuple[TraitKind, int]


def traits(book: Anatomy, exists: Callable[[str], bool]) -> tuple[Trait, ...]:
    """What is seen in a notebook, in the order of its cells; one observation of a kind for each line.

    Args:
        book: the notebook, taken apart.
        exists: whether a path, as the notebook writes it, is there.

    Returns:
        `Trait.cell` 0 and line 0 stand for the notebook's metadata.
    """
    bases = bases_of(node for cell in book.cells for node in cell.nodes)
    found = list(_of_metadata(book.notebook.metadata))
    for cell in book.cells:
        seen = dict.fromkeys(_of_cell(cell, book.names, bases, exists))
        found += [
            Trait(kind=kind, cell=cell.cell.number, line=line, text=cell.shown(line))
            for kind, line in sorted(seen, key=lambda f: f[1])
        ]
    return tuple(found)


def _of_metadata(metadata: Mapping[str, object]) -> Iterator[Trait]:
    colab = metadata.get("colab")
    for key, value in (
        ("accelerator", metadata.get("accelerator")),
        ("gpuType", colab.get("gpuType") if isinstance(colab, Mapping) else None),
    ):
        if isinstance(value, str) and (value.upper() == "GPU" or key == "gpuType"):
            yield Trait(kind=TraitKind.GPU_METADATA, cell=0, line=0, text=f"{key}: {value}")
            return


def _of_cell(
    cell: ReadCell, names: Names, bases: frozenset[str], exists: Callable[[str], bool]
) -> Iterator[Found]:
    insisted = _insisted(cell, names) if names.says_gpu else frozenset()
    for kind, line in _candidates(cell, names, bases, exists):
        guards = cell.guards(line)
        if kind is TraitKind.GPU_OPTIONAL and line in insisted and not guards & {DEAD, TRIED}:
            kind = TraitKind.GPU_REQUIRED
            guards = guards - {GPU}
        if DEAD in guards:
            continue
        if kind is TraitKind.GPU_REQUIRED and guards & {GPU, TRIED}:
            kind = TraitKind.GPU_OPTIONAL
        elif TRIED in guards and kind not in (TraitKind.BLANK, TraitKind.GPU_OPTIONAL):
            continue
        if kind in (TraitKind.NETWORK, TraitKind.CLUSTER_PATH) and _is_there(guards, exists):
            continue
        yield kind, line


def _is_there(guards: frozenset[str], exists: Callable[[str], bool]) -> bool:
    """Whether the notebook looks first for a file that is there."""
    asked = [g.removeprefix(EXISTS) for g in guards if g.startswith(EXISTS)]
    return any(path and exists(path) for path in asked)


def _candidates(
    cell: ReadCell, names: Names, bases: frozenset[str], exists: Callable[[str], bool]
) -> Iterator[Found]:
    yield from _of_magics(cell)
    if cell.code.cell_magic is not None:
        return
    yield from ((TraitKind.INSTALL, line) for line, _ in calls_that_install(cell.nodes))
    yield from ((TraitKind.BLANK, line) for line in blanks(cell, bases))
    for module, line in cell_modules(cell.code.python, cell.nodes):
        if module.startswith("google.colab"):
            yield TraitKind.COLAB, line
        elif module.split(".")[0] in GPU_MODULES:
            yield TraitKind.GPU_REQUIRED, line
    if cell.tree is None:
        return
    if names.says_gpu:
        yield from _gpu(cell, names)
    for node in cell.nodes:
        if isinstance(node, ast.Call):
            full = names.full(node.func)
            if full in PERSON and full not in names.defined:
                yield TraitKind.INPUT, node.lineno
            elif asks_network(node, names):
                yield TraitKind.NETWORK, node.lineno
    for call, words in started(cell.nodes):
        if NETWORK_PROGRAM.search(words):
            yield TraitKind.NETWORK, call.lineno
    yield from _paths(cell.nodes, exists)


def _of_magics(cell: ReadCell) -> Iterator[Found]:
    shell = cell.code.cell_magic in _SHELL
    for magic in cell.code.magics:
        if magic.installs:
            yield TraitKind.INSTALL, magic.line
        command = re.match(r"(?:\w+\s*=\s*)?(?:!{1,2}|%{1,2}(?:sx|system|sc)\s)\s*(.*)", magic.text)
        words = command[1] if command else magic.text if shell else ""
        if NETWORK_PROGRAM.search(words):
            yield TraitKind.NETWORK, magic.line
        if words.startswith("nvidia-smi"):  # prints an error without a GPU, and the notebook goes on
            yield TraitKind.GPU_OPTIONAL, magic.line
        if re.match(r"%debug\b", magic.text):
            yield TraitKind.INPUT, magic.line


def _gpu(cell: ReadCell, names: Names) -> Iterator[Found]:
    compared = _inside(cell.nodes, lambda n: isinstance(n, ast.Compare))
    for node in cell.nodes:
        if isinstance(node, ast.If | ast.Assert) and names.asks_gpu(node.test):
            yield TraitKind.GPU_OPTIONAL, node.lineno
        elif uses_gpu(node, names) and node not in compared:
            later = _is_only_a_first_guess(cell, node, names)
            yield TraitKind.GPU_OPTIONAL if later else TraitKind.GPU_REQUIRED, getattr(node, "lineno", 1)


def _insisted(cell: ReadCell, names: Names) -> frozenset[int]:
    """Lines that ask for a GPU and give up without one."""
    return frozenset(
        node.lineno
        for node in cell.nodes
        if isinstance(node, ast.Assert | ast.If)
        and names.asks_gpu(node.test)
        and (isinstance(node, ast.Assert) or any(_ends(s) for s in (*node.body, *node.orelse)))
    )


def _is_only_a_first_guess(cell: ReadCell, node: ast.AST, names: Names) -> bool:
    """``device = "cuda"`` that a later ``if not torch.cuda.is_available()`` corrects."""
    spot = cell.spots.get(getattr(node, "lineno", 0))
    statement = spot.statement if spot else None
    return (
        isinstance(statement, ast.Assign)
        and statement.value is node
        and any(isinstance(t, ast.Name) and t.id in names.gpu for t in statement.targets)
    )


def _ends(statement: ast.stmt) -> bool:
    """Whether a statement gives up: ``raise``, ``sys.exit()``."""
    if isinstance(statement, ast.Raise):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) in ("exit", "quit", "sys.exit", "os._exit")


def _inside(nodes: Iterable[ast.AST], chosen: Callable[[ast.AST], bool]) -> set[ast.AST]:
    """Everything inside the nodes that `chosen` picks."""
    return {inner for node in nodes if chosen(node) for inner in ast.walk(node)}


def _is_talk(node: ast.AST) -> bool:
    """Where a path is only text: compared, printed, a docstring, or added to the places to look in."""
    if isinstance(node, ast.Compare) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return True
    if not isinstance(node, ast.Call):
        return False
    word = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return word in _COMPARES or word in ("print", "display") or ast.unparse(node.func).startswith("sys.path.")


def _paths(nodes: Sequence[ast.AST], exists: Callable[[str], bool]) -> Iterator[Found]:
    """Paths of other computers that are not there."""
    talk = _inside(nodes, _is_talk)
    for node in nodes:
        if node in talk or not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value
        if len(text) > 500 or not _ELSEWHERE.fullmatch(text) or exists(text):
            continue
        yield TraitKind.COLAB if text.startswith("/content/") else TraitKind.CLUSTER_PATH, node.lineno
