"""What running one notebook takes and gives, whichever way it is run (see `backends.execution`).

Cells are counted from 1 among all cells, lines from 1 within a cell; times are seconds, sizes are bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from coursectl.model.suite import CellError, CellWarning, Verdict


class Mode(StrEnum):
    """How notebooks are run."""

    SHARED = "shared"  # the imports loaded once, then a fork for each notebook; Linux only
    ISOLATED = "isolated"  # a kernel started for each notebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One notebook to run.

    Attributes:
        notebook: its nbformat 4.5 JSON; never changed.
        name: what reports call it.
        folder: the working directory, a copy that the notebook may write into.
        executed: where the executed notebook goes, whatever the verdict.
        seed: for ``random``, NumPy's legacy generator and ``PYTHONHASHSEED``.
        cell_timeout: seconds that one cell may take; waiting for a busy processor does not count.
        timeout: seconds that all cells together may take, counted alike.
        memory_bytes: resident memory of the kernel and all that it started; ``None``: no limit.
        output_bytes: what all cells together may print and show.
        network: whether connections beyond this machine are allowed. Without, Python's sockets refuse them:
            a guard against accidents, not a jail.
        own: folders whose files are the course's own helpers.
    """

    notebook: Mapping[str, Any]
    name: str
    folder: Path
    executed: Path
    seed: int
    cell_timeout: float
    timeout: float
    memory_bytes: int | None
    output_bytes: int
    network: bool
    own: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRun:
    """What came of one cell. `defined` are the names it bound before it ended, as far as known.

    A helper's `file` (of the error and of the warnings) is relative to the folder of `Job.own` that holds it,
    with ``/``. A cell that was ended for its time has an error named ``CellTimeout``, one whose kernel died
    ``KernelDied``. A cell tagged ``raises-exception`` may raise: that is no error.
    """

    cell: int
    seconds: float
    error: CellError | None
    warnings: tuple[CellWarning, ...]
    defined: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What came of one notebook.

    `cells` are the ones that were started, in order: all of them after errors, none behind a cell that was
    ended or that ended its kernel. `numbers` has the value of each ``# coursectl:`` line whose cell ran
    through; `reason` explains every verdict but ok.
    """

    verdict: Verdict
    reason: str | None
    seconds: float
    peak_bytes: int | None
    cells: tuple[CellRun, ...]
    numbers: Mapping[str, float]


class Executor(Protocol):
    """Runs notebooks in one environment."""

    def run(
        self,
        jobs: Sequence[Job],
        *,
        parallel: int,
        on_done: Callable[[Job, Executed], None],
        stop: threading.Event,
    ) -> None:
        """Run the jobs, `parallel` at a time, in their order; `on_done` is called in this thread.

        When `stop` is set (or on Ctrl-C) everything that runs is ended, and `on_done` is not called for it.

        Raises:
            CourseError: the environment cannot run a notebook at all.
        """

    def close(self) -> None:
        """End whatever is kept between runs."""
