"""From what a kernel reports to what came of a notebook: pure."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl.model.suite import CaseResult, CellError, NumberCheck, Verdict
from coursectl.workflows import smoke_read

if TYPE_CHECKING:
    from coursectl.backends.execution import Executed
    from coursectl.workflows.smoke_read import Case

# A file that was left open is noticed when garbage is collected: another cell, another day
_NOISE = frozenset({"ResourceWarning"})
_LONGEST = 200  # characters of a message in a reason


def judge(case: Case, executed: Executed, *, place: Path, notebook: Path | None) -> CaseResult:
    """What came of `case`.

    Args:
        case: the notebook as it was read.
        executed: what the kernel reports.
        place: the scratch folder that stands for the course; its path is taken out of every text.
        notebook: where the executed notebook lies, ``None`` where none was written.
    """
    errors = tuple(_at_home(e, place) for e in smoke_read.cascade(case, executed.cells))
    broken = {e.cell for e in errors}
    numbers = tuple(replace(n, value=_finite(executed.numbers.get(n.name))) for n in case.numbers)
    verdict, reason = executed.verdict, executed.reason
    if verdict in {Verdict.OK, Verdict.FAILED}:
        off = [_off(n, executed.numbers.get(n.name)) for n in numbers if not n.ok and n.cell not in broken]
        reasons = [*([_first(errors)] if errors else []), *off]
        verdict = Verdict.FAILED if reasons or verdict is Verdict.FAILED else Verdict.OK
        reason = "; ".join(reasons) or reason
    return CaseResult(
        notebook=case.notebook.path,
        verdict=verdict,
        reason=None if verdict is Verdict.OK else reason or "no reason was given",
        seconds=executed.seconds,
        peak_bytes=executed.peak_bytes,
        cells_run=len(executed.cells),
        errors=errors,
        warnings=tuple(w for run in executed.cells for w in run.warnings if w.category not in _NOISE),
        numbers=numbers,
        traits=case.traits,
        executed=None if notebook is None else str(notebook),
    )


def first_line(text: str) -> str:
    """The first line of a message, cut to what fits in a table.

    >>> first_line("no such column\\nlook at df.columns")
    'no such column'
    """
    line = next((part.strip() for part in text.splitlines() if part.strip()), "")
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _first(errors: Iterable[CellError]) -> str:
    """The first root error, in a line."""
    every = list(errors)
    root = next((e for e in every if e.cascade_of is None), every[0])
    line = "" if root.line is None else f", line {root.line}"
    return f"cell {root.cell}{line}: {root.name}: {first_line(root.message)}".rstrip(": ")


def _off(number: NumberCheck, value: float | None) -> str:
    expected = f"expected {number.expected:.10g} +- {number.tolerance:.3g} (cell {number.cell})"
    if value is None:
        return f"{number.name} was not computed, {expected}"
    return f"{number.name} = {value:.10g}, {expected}"


def _finite(value: float | None) -> float | None:
    """JSON has no nan and no infinity, and neither is a measurement; the reason names them."""
    return value if value is not None and math.isfinite(value) else None


def _at_home(error: CellError, place: Path) -> CellError:
    """An error that speaks of the course's own files, not of the place where their copies lay."""
    top = f"{place}{os.sep}"
    return replace(
        error,
        message=error.message.replace(top, ""),
        traceback=error.traceback.replace(top, ""),
        file=None if error.file is None else error.file.replace(top, "").replace("\\", "/"),
    )
