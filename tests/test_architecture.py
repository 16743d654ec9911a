"""The house plan of DESIGN.md, held by a test: floors, seams and sizes."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "coursectl"
# A floor imports only from floors below it. A module of a floor may import its own floor, but see UNITS.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "__init__"),
    ("model",),
    (
        *("activation", "config", "documents", "files", "notebooks", "paths", "process", "settings", "specs"),
        *("web", "within"),
    ),
    ("engines", "backends", "lockfiles"),
    ("checks", "workflows"),
    ("ui",),
    ("cli", "__main__"),
)
# Siblings on floor 3 never import each other; what both engines share is engines.base and engines.uv.
SHARED_ON_FLOOR_3 = {"engines.base", "engines.uv", "lockfiles"}
# Each is imported inside the module that owns it and nowhere else.
OWNERS = {
    "subprocess": {"process"},
    "rich": {"ui"},
    "typer": {"cli"},
    "rattler": {"engines", "workflows.export"},
    "docker": {"backends"},
    "pynvml": {"backends"},
    "nbclient": {"backends"},
    "jupyter_client": {"backends"},
    "zmq": {"backends"},
    "conda_lock": {"lockfiles"},
    "requests": {"web"},
    "truststore": {"web"},
}
LONGEST_MODULE, LONGEST_FUNCTION = 400, 50  # a function without its signature and docstring


def modules() -> dict[str, Path]:
    return {
        ".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): p
        for p in sorted(PACKAGE.rglob("*.py"))
    }


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it (not under ``if TYPE_CHECKING``)."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= {n for child in node.body for n in ast.walk(child)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    known = set(modules())
    names = {n.removeprefix("coursectl.") for n in imports(path) if n.startswith("coursectl.")}
    return {n for n in names if n in known}


def floor(module: str) -> int:
    top = module.split(".")[0]
    for number, tops in enumerate(FLOORS):
        if any(top == t or top.startswith(f"{t}_") for t in tops):  # specs_conda stands with specs
            return number
    raise AssertionError(f"{module} has no floor: give it one in FLOORS and in docs/architecture.md")


def unit(module: str) -> str:
    """On floor 3 a unit is one engine, one backend or the lockfiles (engines.conda_solve: engines.conda)."""
    parts = module.split(".")
    if len(parts) == 1 or parts[0] == "lockfiles":
        return parts[0]
    return f"{parts[0]}.{parts[1].split('_')[0]}"


def test_no_module_imports_a_floor_above_it() -> None:
    wrong = [
        f"{name} (floor {floor(name)}) imports {other} (floor {floor(other)})"
        for name, path in modules().items()
        for other in ours(path)
        if floor(other) > floor(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_siblings_on_floor_3_do_not_import_each_other() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, path in modules().items()
        if floor(name) == 3 and "." in name
        for other in ours(path)
        if floor(other) == 3
        and "." in other
        and unit(other) != unit(name)
        and unit(other) not in SHARED_ON_FLOOR_3
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_no_cycle() -> None:
    graph = {name: ours(path) for name, path in modules().items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for other in graph[name] - {name}:  # a program imports itself by its real name
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_heavy_libraries_and_seams_have_one_owner() -> None:
    wrong = []
    for name, path in modules().items():
        for library in {i.split(".")[0] for i in imports(path)} & set(OWNERS):
            owners = OWNERS[library]
            if not any(name == o or name.startswith((o + ".", o + "_")) for o in owners):
                wrong.append(f"{name} imports {library}, which belongs to {', '.join(sorted(owners))}")
    assert not wrong, "\n".join(wrong)


def test_init_files_are_empty() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent != PACKAGE:
            assert path.read_text(encoding="utf-8") == "", path


def test_modules_and_functions_stay_readable() -> None:
    wrong = []
    for name, path in modules().items():
        text = path.read_text(encoding="utf-8")
        if (count := text.count("\n")) > LONGEST_MODULE:
            wrong.append(f"{name} has {count} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node) is not None and len(node.body) > 1
                start = node.body[1 if documented else 0].lineno
                length = (node.end_lineno or start) - start + 1
                if length > LONGEST_FUNCTION:
                    wrong.append(f"{name}.{node.name} has {length} lines")
    assert not wrong, "\n".join(wrong)


def test_command_functions_only_parse_call_and_return() -> None:
    wrong = []
    for name, path in modules().items():
        if not name.startswith("cli."):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                "command" in ast.unparse(d) for d in node.decorator_list
            ):
                length = (node.end_lineno or 0) - node.body[0].lineno + 1
                if length > 25:
                    wrong.append(f"{name}.{node.name} has a body of {length} lines")
    assert not wrong, "\n".join(wrong)


def test_the_core_install_is_what_a_student_needs() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {d.split(">")[0].strip() for d in project["dependencies"]}
    assert not core & {"conda-lock", "nbclient", "nbformat", "pytest", "pydantic"}
    assert {"typer", "py-rattler", "uv", "truststore"} <= core
