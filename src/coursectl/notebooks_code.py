"""The Python of a code cell: magics apart, imports, and lines that install something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from coursectl.model.notebook import rows

_INSTALL = re.compile(
    r"^\s*(?:[!%]{1,2}\s*)?(?:sudo\s+)?(?:python[\w.]*\s+-m\s+|\{?sys\.executable\}?\s+-m\s+)?"
    r"(?:uv\s+)?(?:pip3?|conda|mamba|micromamba|pixi|apt|apt-get)\s+(?:-\S+\s+)*(?:install|add)\b"
)
_CALL = re.compile(r"\b(?:pip3?|conda|mamba|apt-get|apt)\b.{0,20}\binstall\b", re.DOTALL)
_MAGIC = re.compile(r"[!%?]|\w+\s*=\s*[!%]|[\w.]+\?{1,2}$|(pip3?|conda|mamba)\s+install\s+\S")
_PYTHON_MAGIC = re.compile(r"%%(time|timeit|capture|prun|memit|mprun)\b")
_STARTERS = frozenset(
    {*("system", "popen", "Popen", "run", "call", "check_call", "check_output", "getoutput", "main")}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Magic:
    """A line for IPython or the shell; `line` counts in the cell, from 1."""

    line: int
    text: str

    @property
    def installs(self) -> bool:
        """Whether it installs a package."""
        return _INSTALL.match(self.text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A cell in its parts. `python` has as many lines as the cell, and is empty where `cell_magic` makes the
    whole cell something else (``bash``, ``writefile``).
    """

    python: str
    magics: tuple[Magic, ...]
    cell_magic: str | None = None

    def tree(self) -> ast.Module | None:
        """The parsed Python; ``None`` where it is none for the Python that runs coursectl."""
        return parse(self.python)


def parse(code: str) -> ast.Module | None:
    """``ast.parse`` with ``None`` for what no parser takes.

    >>> parse("x = = 1") is None
    True
    """
    import warnings

    try:
        with warnings.catch_warnings():  # "\\d" in a student's text is not our business
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def split(source: str) -> Code:
    """Part a cell's magics and shell lines from its Python, where something harmless stands for them.

    >>> split("%%time\\nfiles = !ls\\n%time fit()").python
    'pass\\nfiles = None\\nfit()'
    >>> split("%%bash\\nls").cell_magic
    'bash'
    """
    lines = rows(source)
    first = next((row.strip() for row in lines if row.strip()), "")
    foreign = first.startswith("%%") and not _PYTHON_MAGIC.match(first)
    magics: list[Magic] = []
    code: list[str] = []
    continued = False  # the last line was a magic that ends in a backslash
    for number, row in enumerate(lines, 1):
        stripped = row.strip()
        magic = foreign or continued or bool(_MAGIC.match(stripped))
        if magic:
            magics.append(Magic(line=number, text=stripped))
            indent = row[: len(row) - len(row.lstrip())]
            code.append("" if continued else indent + _stand_in(stripped))
        else:
            code.append(row)
        continued = magic and stripped.endswith("\\")
    word = re.match(r"%%(\w+)", first)
    return Code(
        python="" if foreign else "\n".join(code),
        magics=tuple(magics),
        cell_magic=word[1] if foreign and word else None,
    )


def _stand_in(text: str) -> str:
    timed = re.match(r"%time\s+(?=\S)", text)
    if timed:
        return text[timed.end() :]
    assigned = re.match(r"(\w+)\s*=\s*[!%]", text)
    return f"{assigned[1]} = None" if assigned else "pass"


def split_magics(source: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Python without magics and shell lines, and the lines among these that install something.

    >>> split_magics("!pip install emcee\\nimport emcee")
    ('pass\\nimport emcee', ((1, '!pip install emcee'),))
    >>> split_magics("%%bash\\nconda install root")
    ('', ((2, 'conda install root'),))
    """
    code = split(source)
    return code.python, tuple((m.line, m.text) for m in code.magics if m.installs)


def modules(code: str) -> tuple[tuple[str, int], ...]:
    """Modules that Python code imports, with their lines; what does not parse is read line by line.

    Imports for type checkers alone do not count.

    >>> modules("import numpy as np, scipy.stats\\nfrom sklearn.svm import SVC\\nfrom . import x")
    (('numpy', 1), ('scipy.stats', 1), ('sklearn.svm', 2))
    >>> modules("import numpy\\nx = = 1")
    (('numpy', 1),)
    """
    tree = parse(code)
    return cell_modules(code, () if tree is None else tuple(ast.walk(tree)))


def cell_modules(code: str, nodes: Sequence[ast.AST]) -> tuple[tuple[str, int], ...]:
    """As `modules`, of code whose tree has the `nodes`; none: it does not parse."""
    if not nodes:
        return tuple(_modules_by_line(code))
    found: list[tuple[str, int]] = []
    typing = {n for t in nodes if is_type_checking(t) for b in t.body for n in ast.walk(b)}
    for node in nodes:
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            # `from google import colab` names the module only together
            names = [f"google.{a.name}" for a in node.names] if node.module == "google" else [node.module]
            found += [(name, node.lineno) for name in names]
        elif isinstance(node, ast.Call):
            found += [(name, node.lineno) for name in _dynamic(node)]
    return tuple(sorted(found, key=lambda item: item[1]))


def is_type_checking(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _dynamic(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
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


def started(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.Call, str]]:
    """Calls that start a program, with the words of their command.

    >>> [words for _, words in started(ast.walk(ast.parse("os.system('wget x')\\nprint('wget')")))]
    ['wget x']
    """
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            last = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if last in _STARTERS:
                texts = (n.value for a in node.args for n in ast.walk(a) if isinstance(n, ast.Constant))
                yield node, " ".join(t for t in texts if isinstance(t, str))


def called_installs(code: str) -> Iterator[tuple[int, str]]:
    """``subprocess.run([sys.executable, "-m", "pip", "install", ...])``, ``os.system("pip install ...")``."""
    tree = parse(code)
    return calls_that_install(() if tree is None else ast.walk(tree))


def calls_that_install(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """As `called_installs`, of a tree's nodes."""
    for node, words in started(nodes):
        if _CALL.search(words) or (ast.unparse(node.func) == "pip.main" and "install" in words):
            yield node.lineno, " ".join(ast.unparse(node).split())[:200]
