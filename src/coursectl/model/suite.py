"""The notebook suite: what is run, in which environment, and what came of it. Pure values.

Cells are counted from 1 among *all* cells of a notebook, as a person counts them in JupyterLab; lines are
counted from 1 within a cell. Seconds are wall time, bytes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SUITE_SCHEMA = 1


class Verdict(StrEnum):
    """What came of one notebook."""

    OK = "ok"
    FAILED = "failed"  # a cell raised, or a checked number is off
    TIMED_OUT = "timed-out"  # a cell or the notebook ran longer than its limit
    KILLED = "killed"  # the kernel died, or was ended for its memory or its output
    SKIPPED = "skipped"  # not run, with the reason; never silently


class TraitKind(StrEnum):
    """What reading a notebook tells about running it."""

    GPU_REQUIRED = "gpu-required"
    GPU_OPTIONAL = "gpu-optional"  # asks first: torch.cuda.is_available()
    GPU_METADATA = "gpu-metadata"  # only its metadata say GPU
    NETWORK = "network"
    COLAB = "colab"
    CLUSTER_PATH = "cluster-path"  # /home/someone, /scratch, /afs
    BLANK = "blank"  # a place that students fill in
    INSTALL = "install"  # installs a package and so overrides the lock
    INPUT = "input"  # asks a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """One observation with its place; `text` is the line that shows it."""

    kind: TraitKind
    cell: int
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCheck:
    """A physics number that a notebook promises: ``# coursectl: mass = 125.1 +- 0.3``.

    `value` is ``None`` where the cell did not come to it; `tolerance` is absolute.
    """

    name: str
    cell: int
    expected: float
    tolerance: float
    value: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the value is there and within its tolerance."""
        return self.value is not None and abs(self.value - self.expected) <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class CellError:
    """A cell that raised. `cascade_of` is the cell whose failure caused this one; ``None``: a root error.

    `line` is the line of the cell that was running; `file` and `file_line` name the innermost place in the
    course's own files (a helper beside the notebook), where there is one.
    """

    cell: int
    line: int | None
    name: str
    message: str
    traceback: str
    cascade_of: int | None = None
    file: str | None = None
    file_line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellWarning:
    """A warning with the line of the notebook, or of the course's own helper `file`, that caused it."""

    cell: int
    line: int | None
    category: str
    message: str
    file: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one notebook in one environment.

    `notebook` is relative to the course folder, with ``/``. `reason` explains every verdict but ok.
    `executed` is the path of the executed notebook, ``None`` where nothing ran. `cached`: an earlier run's
    result counts, because nothing that it depends on has changed.
    """

    notebook: str
    verdict: Verdict
    reason: str | None = None
    seconds: float = 0.0
    peak_bytes: int | None = None
    cells_run: int = 0
    errors: tuple[CellError, ...] = ()
    warnings: tuple[CellWarning, ...] = ()
    numbers: tuple[NumberCheck, ...] = ()
    traits: tuple[Trait, ...] = ()
    executed: str | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    """A whole run. `mode` is ``shared`` (imports loaded once, a fork per notebook) or ``isolated``.

    `digest` is the build's, so two reports say whether they speak of one stack; `parallel` is how many
    notebooks ran at once; `notes` are what a reader should know of how the suite was run.
    """

    course: str
    semester: str
    environment: str
    variant: str
    platform: str
    mode: str
    cases: tuple[CaseResult, ...]
    seconds: float
    digest: str = ""
    parallel: int = 1
    notes: tuple[str, ...] = ()
    schema: int = SUITE_SCHEMA

    @property
    def ok(self) -> bool:
        """Whether no notebook failed, timed out or was killed."""
        return all(c.verdict in {Verdict.OK, Verdict.SKIPPED} for c in self.cases)
