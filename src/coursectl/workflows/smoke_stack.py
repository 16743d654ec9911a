"""What an installed environment consists of, and which of its packages a notebook's imports reach.

Read from the prefix itself, because it says what no lock says: which import a package brings. Sources of the
formats: packaging.python.org ("Recording installed projects", "Core metadata") and conda's ``conda-meta``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from coursectl import files
from coursectl.workflows.import_names import package_for

STACK_SCHEMA = 1
KERNEL = ("ipykernel", "IPython")
"""What every notebook imports, whether it says so or not."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
# What a package's own developers install: a notebook hardly gets there. Other extras count where the notebook
# itself imports the package, because pandas takes pytables when it is there and never says that it needs it.
_DEVELOPERS = re.compile(r"(dev|test|doc|lint|typ|mypy|bench|ci$|build|release|cover|example|tutorial)", re.I)
_CODE = (".py", ".so", ".pyd", ".dll", ".dylib", ".pyc")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPackage:
    """One installed package: `needs` are the names of the installed packages that it cannot do without, `may`
    those that it uses where they are there, `modules` the top-level imports that it brings.
    """

    name: str
    version: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One build as it is installed; `python` is the interpreter's full version where the prefix says it."""

    digest: str
    python: str
    packages: tuple[StackPackage, ...]
    schema: int = STACK_SCHEMA

    def reached(self, modules: Iterable[str]) -> frozenset[str]:
        """The names of the packages that importing `modules` can load code from.

        >>> numpy = StackPackage(name="numpy", version="2.3", modules=("numpy",))
        >>> pandas = StackPackage(name="pandas", version="2.3", modules=("pandas",), needs=("numpy",))
        >>> sorted(Stack(digest="", python="", packages=(numpy, pandas)).reached(["pandas"]))
        ['numpy', 'pandas']
        """
        by_name = {p.name: p for p in self.packages}
        todo = [*self._bringing(modules)]
        todo += [other for name in todo for other in by_name[name].may]
        todo += self._bringing(KERNEL)
        found: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += by_name[name].needs
        return frozenset(found)

    def _bringing(self, modules: Iterable[str]) -> list[str]:
        by_module: dict[str, list[str]] = {}
        for package in self.packages:
            for module in package.modules:
                by_module.setdefault(module, []).append(package.name)
        names = {p.name for p in self.packages}
        found: list[str] = []
        for module in modules:
            guess = (package_for(module, conda=False), package_for(module, conda=True))
            found += by_module.get(module.split(".")[0]) or [n for n in guess if n in names]
        return found

    def reach_digest(self, modules: Iterable[str]) -> str:
        """A digest of all that `modules` reach: equal digests, same code behind the imports.

        An import that the stack does not have counts by its name, so that it matters when it comes.
        """
        wanted = sorted(set(modules))
        reached = self.reached(wanted)
        rows = [f"python {self.python}", *(f"import {m}" for m in wanted)]
        rows += [f"{p.name} {p.version}" for p in self.packages if p.name in reached]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def versions(self) -> Mapping[str, str]:
        """Every package's version."""
        return {p.name: p.version for p in self.packages}


def stack_of(prefix: Path, digest: str, kept: Path) -> Stack:
    """The stack at `prefix`, a whole build; read once and kept in the folder `kept` under its digest."""
    file = kept / f"{digest}.json"
    known = read_stack(file)
    if known is not None:
        return known
    stack = read_prefix(prefix, digest)
    files.write_atomic(file, msgspec.json.encode(stack))
    return stack


def read_stack(file: Path) -> Stack | None:
    """A stack that was kept; ``None`` where there is none that this version understands."""
    try:
        stack = msgspec.json.decode(file.read_bytes(), type=Stack)
    except (OSError, msgspec.MsgspecError):
        return None
    return stack if stack.schema == STACK_SCHEMA else None


def read_prefix(prefix: Path, digest: str) -> Stack:
    """Look at every package's record in `prefix`."""
    conda = [json.loads(f.read_bytes()) for f in sorted((prefix / "conda-meta").glob("*.json"))]
    owner: dict[str, str] = {}  # dist-info folder: the conda package that brought it
    found: dict[str, StackPackage] = {}
    for record in conda:
        paths = [str(p) for p in record.get("files", ())]
        inside = [p.split("site-packages/", 1)[1] for p in paths if "site-packages/" in p]
        owner |= {p.split("/")[0]: record["name"] for p in inside if ".dist-info/" in p}
        found[record["name"]] = StackPackage(
            name=record["name"],
            version=f"{record['version']} {record.get('build', '')}".strip(),
            needs=_conda_names(record.get("depends", ())),
            may=_conda_names(record.get("constrains", ())),
            modules=_modules(inside),
        )
    alias: dict[str, str] = {}
    for info in _dist_infos(prefix):
        name, package = _distribution(info)
        brought = owner.get(info.name)
        if brought is not None:
            alias[name] = brought
            continue
        found[name] = package
    return Stack(digest=digest, python=_python(prefix, conda), packages=_linked(found, alias))


def _linked(found: Mapping[str, StackPackage], alias: Mapping[str, str]) -> tuple[StackPackage, ...]:
    """The packages with their needs cut to what is installed, by the name it is installed under."""
    names = {n: n for n in found} | {k: v for k, v in alias.items() if k not in found}
    return tuple(
        StackPackage(
            name=p.name,
            version=p.version,
            needs=tuple(sorted({names[n] for n in p.needs if n in names} - {p.name})),
            may=tuple(sorted({names[n] for n in p.may if n in names} - {p.name})),
            modules=p.modules,
        )
        for _, p in sorted(found.items())
    )


def _conda_names(specs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({spec.split()[0].lower() for spec in specs if spec.strip()}))


def _dist_infos(prefix: Path) -> Iterator[Path]:
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for folder in sorted(prefix.glob(pattern)):
            yield from sorted(folder.glob("*.dist-info"))


def _distribution(info: Path) -> tuple[str, StackPackage]:
    """A ``.dist-info`` folder: its canonical name, and what its METADATA and RECORD say."""
    name, version = info.name.removesuffix(".dist-info").rpartition("-")[::2]
    needs: set[str] = set()
    may: set[str] = set()
    with contextlib.suppress(OSError):  # damage is for `env verify` to name
        for line in (info / "METADATA").read_text(encoding="utf-8", errors="replace").splitlines():
            if not line:
                break  # the description begins
            key, _, value = line.partition(": ")
            if key == "Requires-Dist":
                need, optional = _need(value)
                (may if optional else needs).update(need)
    recorded: list[str] = []
    with contextlib.suppress(OSError):
        text = (info / "RECORD").read_text(encoding="utf-8", errors="replace")
        recorded = [line.split(",", 1)[0].strip('"') for line in text.splitlines()]
    key = _canonical(name)
    package = StackPackage(
        name=key,
        version=version,
        needs=tuple(sorted(needs)),
        may=tuple(sorted(may)),
        modules=_modules(recorded),
    )
    return key, package


def _need(requirement: str) -> tuple[tuple[str, ...], bool]:
    """The package that a ``Requires-Dist`` line names, and whether it is optional; nothing for what only the
    package's developers install.

    >>> _need("numpy>=1.26"), _need("tables; extra == 'hdf5'"), _need("pytest; extra == 'testing'")
    ((('numpy',), False), (('tables',), True), ((), True))
    """
    name = _NAME.match(requirement)
    extra = _EXTRA.search(requirement)
    if name is None or (extra is not None and _DEVELOPERS.match(extra[1])):
        return (), extra is not None
    return (_canonical(name[0]),), extra is not None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _modules(paths: Iterable[str]) -> tuple[str, ...]:
    """The top-level imports among files of site-packages.

    >>> _modules(["numpy/__init__.py", "six.py", "_x.cpython-311.so", "six-1.dist-info/x.py", "../bin/f"])
    ('_x', 'numpy', 'six')
    """
    found = set()
    for path in paths:
        first, _, rest = path.replace("\\", "/").partition("/")
        if path.endswith(_CODE) and first not in {"..", "__pycache__", "bin"}:
            name = first if rest else first.split(".")[0]
            if name.isidentifier():
                found.add(name)
    return tuple(sorted(found))


def _python(prefix: Path, conda: Iterable[Mapping[str, object]]) -> str:
    for record in conda:
        if record.get("name") == "python":
            return str(record.get("version", ""))
    with contextlib.suppress(OSError):
        for line in (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() in {"version", "version_info"}:
                return value.strip()
    return ""
