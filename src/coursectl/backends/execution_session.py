"""A place where cells run, seen from outside, and what every such place is given."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from coursectl.activation import activated
from coursectl.backends.execution_outputs import Message
from coursectl.model.execution import Job
from coursectl.model.notebook import SKIP_TAG, number_lines

_DROPPED = ("MPLBACKEND", "COLUMNS", "LINES", "PYTHONWARNINGS", "PYTHONUNBUFFERED", "PYTHONOPTIMIZE")
_DROPPED_FAMILIES = ("IPYTHON", "JUPYTER", "JPY_", "COURSECTL_", "PYTEST_")  # ipykernel asks for the last
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "BLIS")
MARK = "COURSECTL_SMOKE_JOB"
"""The variable that everything a notebook starts inherits: how what is left of it is found."""


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A code cell that is run: its number among all cells, from 1, its text and its tags."""

    number: int
    source: str
    tags: frozenset[str]


def code_cells(job: Job) -> tuple[CodeCell, ...]:
    """The cells that are run, in order: code, not empty, not tagged `SKIP_TAG`."""
    found = []
    for number, cell in enumerate(job.notebook["cells"], start=1):
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        tags = frozenset(cell.get("metadata", {}).get("tags", ()))
        if cell["cell_type"] == "code" and source.strip() and SKIP_TAG not in tags:
            found.append(CodeCell(number, source, tags))
    return tuple(found)


def settings(job: Job) -> dict[str, Any]:
    """What the notebook's process is told about it, as JSON (see `execution_watch`)."""
    numbers: list[list[str]] = []
    for cell in code_cells(job):
        numbers.append([])
        with contextlib.suppress(ValueError):  # a line that says something else is for who reads notebooks
            numbers[-1] += [line.name for line in number_lines(cell.source)]
    return {"seed": job.seed, "network": job.network, "own": list(job.own), "numbers": numbers}


class Session(Protocol):
    """One notebook's process, ready for cells."""

    @property
    def pid(self) -> int:
        """The process that runs the cells."""

    def send(self, code: str) -> None:
        """Start a cell."""

    def receive(self, seconds: float) -> Message | None:
        """The next message of the cell; ``None`` where none came in time."""

    def death(self) -> str | None:
        """How the process ended; ``None`` while it lives."""

    def interrupt(self) -> None:
        """What the stop button does."""

    def end(self) -> None:
        """End the process and everything that it started."""


class StoppedError(Exception):
    """The run was stopped while a session was being made; no person sees this."""


def environment(prefix: Path, scratch: Path, *, seed: int, alone: bool) -> dict[str, str]:
    """The variables of a notebook's process: the environment's, and nothing of the person's own habits.

    Args:
        scratch: a private folder for IPython's files.
        alone: nothing else runs, so numerical libraries may use every core.
    """
    env = {
        name: value
        for name, value in activated(os.environ, prefix).items()
        if name not in _DROPPED and not name.startswith(_DROPPED_FAMILIES)
    }
    env["PYTHONHASHSEED"] = str(seed % 2**32)
    env["IPYTHONDIR"] = str(scratch / "ipython")
    if not alone:
        env |= {f"{name}_NUM_THREADS": "1" for name in _THREADS} | {"VECLIB_MAXIMUM_THREADS": "1"}
    return env


def own_variables(job: Job, temporary: Path) -> dict[str, str]:
    """What each notebook has for itself. ``pip`` in a cell only says what it would do."""
    folder = str(temporary)
    env = {"TMPDIR": folder, "TEMP": folder, "TMP": folder, "JOBLIB_TEMP_FOLDER": folder}
    env |= {"PIP_DRY_RUN": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    if not job.network:
        env |= {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    return env | {MARK: uuid.uuid4().hex}


def sweep(variables: Mapping[str, str]) -> None:
    """End every process that inherited the mark in `variables`."""
    mark = variables[MARK]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                process.kill()


class Meter:
    """Resident memory and starved time of a process and all that it started."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._family: list[psutil.Process] = []
        self._looked = 0.0
        with contextlib.suppress(psutil.Error):
            self._family = [psutil.Process(pid)]
        self.memory()

    def memory(self) -> int:
        """Bytes that are resident now; who belongs to the family is looked up twice a second."""
        now = time.monotonic()
        if now - self._looked > 0.5 and self._family:
            self._looked = now
            with contextlib.suppress(psutil.Error):
                self._family = [self._family[0], *self._family[0].children(recursive=True)]
        total = 0
        for process in self._family:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        self.peak = max(self.peak, total)
        return total

    def without_sharing(self) -> int:
        """The same, with pages that several of them share counted once; slow, for cases of doubt. Linux."""
        total = 0
        for process in self._family:
            with contextlib.suppress(psutil.Error):
                info = process.memory_full_info() if len(self._family) > 1 else process.memory_info()
                total += getattr(info, "pss", info.rss)
        return total

    def starved(self) -> float:
        """Seconds for which the process could have run but other programs had the processors.

        Linux's ``/proc/PID/schedstat`` (Documentation/scheduler/sched-stats.rst); 0 elsewhere.
        """
        try:
            return int(Path(f"/proc/{self._pid}/schedstat").read_bytes().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0


class Stopwatch:
    """Seconds since it was made, without those for which the process was kept waiting for a processor.

    A machine that is busy with other things does not make a notebook slow; still, three times the wall time
    is the most that is granted.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._start, self._starved = time.monotonic(), meter.starved()

    def wall(self) -> float:
        """Plain seconds."""
        return time.monotonic() - self._start

    def seconds(self) -> float:
        """Seconds that count against a limit."""
        wall = self.wall()
        return max(wall - max(self._meter.starved() - self._starved, 0.0), wall / 3)
