"""Which packages a notebook can come to: what decides whether a new lock makes it run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursectl.workflows.smoke_stack import Stack, read_prefix, read_stack, stack_of


def dist(prefix: Path, name: str, version: str, *needs: str, files: tuple[str, ...] = ()) -> None:
    """An installed package of a virtual environment."""
    info = prefix / f"lib/python3.11/site-packages/{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", *(f"Requires-Dist: {n}" for n in needs)]
    (info / "METADATA").write_text("\n".join(lines) + "\n\nRequires-Dist: not-a-header\n")
    (info / "RECORD").write_text("".join(f"{f},sha256=x,1\n" for f in files))


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    root = tmp_path / "env"
    root.mkdir()
    (root / "pyvenv.cfg").write_text("home = /usr\nversion_info = 3.11.7\n")
    dist(root, "numpy", "2.3.0", files=("numpy/__init__.py", "numpy.libs/x.so", "../../bin/f2py"))
    dist(root, "pandas", "2.3.0", "numpy>=1.26", "tables; extra == 'hdf5'", "pytest; extra == 'test'",
         files=("pandas/__init__.py",))  # fmt: skip
    dist(root, "tables", "3.10", "blosc2", files=("tables/__init__.py",))
    dist(root, "blosc2", "3.0", files=("blosc2/__init__.py",))
    dist(root, "pytest", "8.0", files=("pytest/__init__.py", "py.py"))
    dist(root, "scikit_learn", "1.7", "numpy", "narwhals", files=("sklearn/__init__.py",))
    dist(root, "narwhals", "2.0", "pandas; extra == 'pandas'", files=("narwhals/__init__.py",))
    dist(root, "ipykernel", "7.0", "ipython", files=("ipykernel/__init__.py",))
    dist(root, "ipython", "9.0", "numpy; extra == 'matplotlib'", files=("IPython/__init__.py",))
    return root


def changed(prefix: Path, tmp_path: Path, name: str, version: str) -> Stack:
    """The stack with another version of one package."""
    [info] = prefix.glob(f"lib/python3.11/site-packages/{name}-*.dist-info")
    info.rename(info.with_name(f"{name}-{version}.dist-info"))
    return read_prefix(prefix, "new")


KERNEL = {"ipykernel", "ipython"}


def test_an_import_reaches_what_its_package_needs(prefix: Path) -> None:
    stack = read_prefix(prefix, "d")
    assert stack.reached(["sklearn"]) == {"scikit-learn", "numpy", "narwhals"} | KERNEL
    assert stack.reached(["numpy"]) == {"numpy"} | KERNEL
    assert stack.reached([]) == KERNEL  # what IPython can use and need not, no notebook asked for


def test_what_an_imported_package_takes_when_it_is_there_counts(prefix: Path) -> None:
    assert read_prefix(prefix, "d").reached(["pandas"]) == {"pandas", "numpy", "tables", "blosc2"} | KERNEL


@pytest.mark.parametrize(
    ("package", "again"),
    [("numpy", True), ("tables", True), ("ipython", True), ("pytest", False), ("scikit_learn", False)],
)
def test_a_new_version_counts_where_it_is_reached(
    prefix: Path, tmp_path: Path, package: str, again: bool
) -> None:
    before = read_prefix(prefix, "old").reach_digest(["pandas"])
    after = changed(prefix, tmp_path, package, "99").reach_digest(["pandas"])
    assert (before != after) is again


def test_an_import_that_is_missing_counts_when_it_comes(prefix: Path) -> None:
    before = read_prefix(prefix, "old").reach_digest(["torch"])
    dist(prefix, "torch", "2.9", files=("torch/__init__.py",))
    assert read_prefix(prefix, "new").reach_digest(["torch"]) != before


def test_another_python_counts(prefix: Path) -> None:
    before = read_prefix(prefix, "d").reach_digest([])
    (prefix / "pyvenv.cfg").write_text("version = 3.11.8\n")
    assert read_prefix(prefix, "d").reach_digest([]) != before


def test_a_conda_package_is_found_by_its_files_and_brings_its_libraries(tmp_path: Path) -> None:
    prefix = tmp_path / "conda"
    site = "lib/python3.12/site-packages"
    records: list[dict[str, object]] = [
        {"name": "python", "version": "3.12.1", "build": "h1", "depends": ["openssl >=3"]},
        {"name": "openssl", "version": "3.1", "build": "h2"},
        {"name": "libblas", "version": "3.9", "build": "mkl"},
        {"name": "pytorch", "version": "2.9", "build": "cpu", "depends": ["libblas 3.9.*"],
         "files": [f"{site}/torch/__init__.py", f"{site}/torch-2.9.dist-info/METADATA"]},
    ]  # fmt: skip
    (prefix / "conda-meta").mkdir(parents=True)
    for record in records:
        (prefix / "conda-meta" / f"{record['name']}.json").write_text(json.dumps(record))
    (prefix / "conda-meta/history").write_text("")
    for name, needs in (("torch", ""), ("plain", "Requires-Dist: torch\n")):
        info = prefix / site / f"{name}-2.9.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\n{needs}\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    stack = read_prefix(prefix, "d")
    assert stack.python == "3.12.1"
    assert stack.reached(["torch"]) == {"pytorch", "libblas"}
    assert stack.reached(["plain"]) == {"plain", "pytorch", "libblas"}  # pip's name of it leads to conda's


def test_a_stack_is_read_once(prefix: Path, tmp_path: Path) -> None:
    first = stack_of(prefix, "d1", tmp_path / "stacks")
    dist(prefix, "later", "1.0")
    assert stack_of(prefix, "d1", tmp_path / "stacks") == first
    assert read_stack(tmp_path / "stacks/d1.json") == first


def test_half_a_kept_stack_is_read_again(prefix: Path, tmp_path: Path) -> None:
    first = stack_of(prefix, "d1", tmp_path / "stacks")
    (tmp_path / "stacks/d1.json").write_text('{"digest": "d1"')
    assert stack_of(prefix, "d1", tmp_path / "stacks") == first
