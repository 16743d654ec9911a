"""What every form of a suite's report says in the same words: terminal, HTML, JUnit, annotations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coursectl.model.suite import Verdict

if TYPE_CHECKING:
    from coursectl.model.suite import CaseResult, CellError, NumberCheck, SuiteReport

ENDINGS = frozenset({"CellTimeout", "KernelDied"})
"""Errors that are no exception of the notebook: the cell was ended (see `model.execution.CellRun`)."""
_LONGEST = 110  # characters of a reason in a table


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningGroup:
    """The same warning wherever it came up; `place` is where it came up first."""

    category: str
    message: str
    count: int
    notebooks: int
    place: str


def counts(report: SuiteReport) -> Mapping[Verdict, int]:
    """How many notebooks came to each verdict, in the verdicts' order; none of what there is none."""
    found = {v: sum(c.verdict is v for c in report.cases) for v in Verdict}
    return {v: n for v, n in found.items() if n}


def place_of(cell: int, line: int | None) -> str:
    """A place in a notebook.

    >>> place_of(4, 2), place_of(4, None)
    ('cell 4, line 2', 'cell 4')
    """
    return f"cell {cell}" if line is None else f"cell {cell}, line {line}"


def roots(case: CaseResult) -> tuple[CellError, ...]:
    """The errors that no other error caused; not what a verdict's reason says already (`ENDINGS`)."""
    return tuple(e for e in case.errors if e.cascade_of is None and e.name not in ENDINGS)


def numbers_off(case: CaseResult) -> tuple[NumberCheck, ...]:
    """The numbers that are off by themselves: not those whose cell failed or was never come to."""
    broken = {e.cell for e in case.errors}
    ended = case.verdict in {Verdict.TIMED_OUT, Verdict.KILLED}
    return tuple(
        n for n in case.numbers if not n.ok and n.cell not in broken and not (ended and n.value is None)
    )


def cascades(case: CaseResult, cell: int) -> tuple[CellError, ...]:
    """The errors that the failure of `cell` caused, through others too."""
    caused = {cell}
    found = []
    for error in case.errors:
        if error.cascade_of in caused:
            caused.add(error.cell)
            found.append(error)
    return tuple(found)


def number_words(number: NumberCheck) -> str:
    """A checked number in a sentence.

    >>> from coursectl.model.suite import NumberCheck
    >>> number_words(NumberCheck(name="mass", cell=1, expected=125.1, tolerance=0.3, value=124.0))
    'mass = 124, expected 125.1 +- 0.3'
    """
    expected = f"expected {number.expected:.10g} +- {number.tolerance:.3g}"
    if number.value is None:
        return f"{number.name} has no value, {expected}"
    return f"{number.name} = {number.value:.10g}, {expected}"


def shown_reason(case: CaseResult) -> str:
    """A case's reason in one line of a table."""
    line = (case.reason or "").partition("\n")[0]
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def warning_groups(report: SuiteReport) -> tuple[WarningGroup, ...]:
    """The suite's warnings by category and message, most frequent first."""
    found: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for case in report.cases:
        for warning in case.warnings:
            if warning.file is None:
                place = f"{case.notebook}, {place_of(warning.cell, warning.line)}"
            else:
                line = "" if warning.line is None else f", line {warning.line}"
                place = f"{warning.file}{line}, from {case.notebook}, cell {warning.cell}"
            message = warning.message.strip().partition("\n")[0]
            found.setdefault((warning.category, message), []).append((case.notebook, warning.count, place))
    groups = [
        WarningGroup(
            category=category,
            message=message,
            count=sum(count for _, count, _ in places),
            notebooks=len({notebook for notebook, _, _ in places}),
            place=places[0][2],
        )
        for (category, message), places in found.items()
    ]
    return tuple(sorted(groups, key=lambda g: (-g.count, g.category, g.message)))
