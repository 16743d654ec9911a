"""The executor of `Mode.SHARED`: which modules are loaded once, and which notebooks need a kernel."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from coursectl.backends import execution_kernel, execution_pool
from coursectl.backends.execution_fork import Child, Server, UnfitError
from coursectl.backends.execution_kernel import Kernel
from coursectl.backends.execution_session import Session, code_cells
from coursectl.model.execution import Executed, Job

# They start threads, open the GPU or hold locks that do not survive a fork; a notebook imports them itself.
_NEVER = frozenset(
    {
        "PyQt5",
        "PyQt6",
        "PySide2",
        "PySide6",
        "ROOT",
        "catboost",
        "cudf",
        "cuml",
        "cupy",
        "cv2",
        "dask",
        "distributed",
        "flax",
        "gi",
        "grpc",
        "ipykernel",
        "ipympl",
        "ipyparallel",
        "jax",
        "jaxlib",
        "keras",
        "lightgbm",
        "lightning",
        "mayavi",
        "mpi4py",
        "mxnet",
        "numba",
        "numpyro",
        "onnxruntime",
        "optax",
        "polars",
        "pyarrow",
        "pycuda",
        "pyopencl",
        "pyspark",
        "pytorch_lightning",
        "pyvista",
        "ray",
        "tensorflow",
        "tensorflow_probability",
        "tkinter",
        "torch",
        "torchaudio",
        "torchtext",
        "torchvision",
        "tornado",
        "transformers",
        "vtk",
        "xgboost",
        "zmq",
    }
)
_NEEDS_KERNEL = re.compile(
    r"%[ \t]*(?:matplotlib[ \t]+(?!inline|agg|--?l)\w|gui\b|connect_info|qtconsole|subshell)"
    r"|get_ipython\(\)\s*\.\s*kernel|\bipykernel\b|\bcomm_manager\b|\bipyparallel\b"
)
"""What only a real kernel can do: other figure windows, its comms, its connection."""
_RESTARTS = 6  # modules that may turn out unfit before everything runs isolated


class Shared:
    """Runs notebooks in forks of one process; what cannot be shared runs in a kernel of its own."""

    def __init__(self, prefix: Path, preload: Sequence[str]) -> None:
        self._prefix = prefix
        self._tops = [name for name in preload if name.split(".")[0] not in _NEVER]
        self._unfit: set[str] = set()
        self._hopeless = False
        self._servers: dict[tuple[int, tuple[str, ...]], Server] = {}
        self._lock = threading.Lock()

    def run(
        self,
        jobs: Sequence[Job],
        *,
        parallel: int,
        on_done: Callable[[Job, Executed], None],
        stop: threading.Event,
    ) -> None:
        """See `Executor.run`."""
        own_kernel = {job.name for job in jobs if needs_kernel(job, self._tops)}
        if own_kernel:
            execution_kernel.require()
        modules = imported(jobs, self._tops)
        alone = min(parallel, len(jobs)) <= 1

        def opener(job: Job, over: threading.Event) -> Session:
            server = None if job.name in own_kernel else self._server(job.seed, modules, over)
            if server is None:
                return Kernel(self._prefix, job, over, alone=alone)
            child = Child(server, job)
            try:
                child.hello(over)
            except BaseException:
                child.end()
                raise
            return child

        execution_pool.run(jobs, opener, parallel=parallel, on_done=on_done, stop=stop)

    def _server(self, seed: int, modules: tuple[str, ...], over: threading.Event) -> Server | None:
        """The fork server for a seed, started when it is first needed; ``None``: it cannot be."""
        with self._lock:
            key = (seed % 2**32, modules)
            standing = self._servers.get(key)
            if standing is not None and standing.alive:
                return standing
            if standing is not None:
                standing.close()
                del self._servers[key]
            for _ in range(_RESTARTS):
                fit = [name for name in modules if name not in self._unfit]
                if self._hopeless:
                    break
                try:
                    self._servers[key] = Server(self._prefix, fit, seed=seed, over=over)
                except UnfitError as exc:
                    if exc.module is None:
                        self._hopeless = True
                    else:
                        self._unfit.add(exc.module)
                    continue
                return self._servers[key]
            self._hopeless = True
            execution_kernel.require()
            return None

    def close(self) -> None:
        """End the fork servers."""
        with self._lock:
            for server in self._servers.values():
                server.close()
            self._servers.clear()


def needs_kernel(job: Job, preload: Sequence[str]) -> bool:
    """Whether a notebook must have a kernel of its own.

    It asks for what only a kernel has, or its folder changes what an import does: a ``matplotlibrc`` is read
    when matplotlib is loaded, and a file named like a module stands in front of it.
    """
    if any(_NEEDS_KERNEL.search(source) for source in sources(job)):
        return True
    if (job.folder / "matplotlibrc").exists():
        return True
    tops = {name.split(".")[0] for name in preload}
    return any((job.folder / f"{top}.py").exists() or (job.folder / top).is_dir() for top in tops)


def imported(jobs: Sequence[Job], preload: Sequence[str]) -> tuple[str, ...]:
    """The modules that the notebooks import below the names in `preload`, in a fixed order.

    ``from scipy import stats`` may name a module or a function: the server looks before it imports.
    """
    tops = {name.split(".")[0]: None for name in preload}
    found: dict[str, None] = dict.fromkeys(preload)
    names = {name for job in jobs for source in sources(job) for name in _imports(source)}
    found |= dict.fromkeys(sorted(name for name in names if name.split(".")[0] in tops))
    return tuple(found)


def _imports(source: str) -> Iterator[str]:
    """Dotted names that a cell imports at its top level; a cell with magics is read line by line."""
    try:
        nodes: list[ast.stmt] = ast.parse(source).body
    except SyntaxError:
        nodes = []
        for line in source.splitlines():
            if re.match(r"(import|from)\s", line):
                try:
                    nodes += ast.parse(line).body
                except SyntaxError:
                    continue
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")


def sources(job: Job) -> Iterator[str]:
    """The sources of the code cells."""
    return (cell.source for cell in code_cells(job))
