"""The ``pip:`` list of a conda environment, handed to uv with what conda already has."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from coursectl.engines.base import Network
from coursectl.errors import CourseFileError, SolveError
from coursectl.model.lock import CondaPackage
from coursectl.model.progress import Progress
from coursectl.workflows.freeze_solve import PipBlock

# conda-forge names whose PyPI name is another one (grayskull's mapping has some 300; these are the ones that
# a course's notebooks meet). All others are the same but for case and - _ .
_PYPI_NAMES = {
    "black-jupyter": "black",
    "brotli-python": "brotli",
    "dask-core": "dask",
    "jax-jumpy": "jumpy",
    "jupyterhub-base": "jupyterhub",
    "keras-base": "keras",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python",
    "py-opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-fastjsonschema": "fastjsonschema",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "seaborn-base": "seaborn",
    "tensorflow-base": "tensorflow",
    "uproot-base": "uproot",
}
_PYTHON = re.compile(r"(python|python_abi)(\s|$)")


def conda_pins(packages: Iterable[CondaPackage]) -> dict[str, str]:
    """What conda provides of the Python package index: PyPI names and versions.

    Only packages that depend on python count: a C library such as graphviz or snappy is not the package of
    the same name on the index.
    """
    pins = {}
    for package in packages:
        if package.manager != "conda" or not any(_PYTHON.match(d) for d in package.depends):
            continue
        name = _PYPI_NAMES.get(package.name, package.name)
        pins[re.sub(r"[-_.]+", "-", name).lower()] = package.version
    return pins


def lock_block(block: PipBlock, network: Network, progress: Progress) -> tuple[CondaPackage, ...]:
    """See `coursectl.workflows.freeze_solve.PipBlockSolver`.

    Raises:
        CourseFileError: the environment has no python, which a ``pip:`` list needs.
        SolveError: the list does not fit what conda provides.
        NetworkError: the index cannot be reached.
    """
    from coursectl.engines.uv import lock_pip_block

    environment = block.environment
    python = next((p.version for p in block.conda if p.name == "python" and p.manager == "conda"), None)
    if python is None:
        raise CourseFileError(
            f"{environment.spec}: a `pip:` list needs python in the environment",
            hints=(f"add `- python` to the dependencies in {environment.spec}",),
        )
    lines = block.requirements.splitlines()

    def lock(rows: list[str]) -> tuple[CondaPackage, ...]:
        return lock_pip_block(
            requirements=rows,
            conda_pins=conda_pins(block.conda),
            python=python,
            platform=block.platform,
            as_of=block.as_of,
            network=network,
            progress=progress,
        )

    kept = [p for p in block.keep if p.name not in block.update]
    if kept:
        with _constraints(kept) as option, contextlib.suppress(SolveError):
            return lock([*lines, option])
        # the moved package does not fit the others as they were: they move too
    return lock(lines)


@contextlib.contextmanager
def _constraints(packages: Iterable[CondaPackage]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="coursectl-") as folder:
        file = Path(folder, "keep.txt")
        file.write_text("".join(f"{p.name}=={p.version}\n" for p in packages), encoding="utf-8")
        yield f"-c {file.as_posix()}"
