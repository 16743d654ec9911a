"""The text form of a suite's report: the table, then what failed and where, then warnings and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from coursectl.model.suite import Verdict
from coursectl.ui.lines import View, table
from coursectl.ui.suite_words import (
    cascades,
    counts,
    number_words,
    numbers_off,
    place_of,
    roots,
    shown_reason,
    warning_groups,
)
from coursectl.ui.units import amount, duration

if TYPE_CHECKING:
    from coursectl.model.suite import CaseResult, SuiteReport

_SHOWN_WARNINGS = 10


def suite(report: SuiteReport, view: View) -> Iterator[str]:
    """Every notebook in a line, then what a person has to look at."""
    yield from _table(report, view)
    for case in report.cases:
        if case.verdict in {Verdict.FAILED, Verdict.TIMED_OUT, Verdict.KILLED}:
            yield ""
            yield from _failure(case, view)
    yield from _warnings(report, view)
    for note in report.notes:
        yield f"note: {note}"
    yield ""
    yield _summary(report)


def _table(report: SuiteReport, view: View) -> Iterator[str]:
    rows = [
        (
            str(case.verdict),
            case.notebook,
            _seconds(case),
            amount(case.peak_bytes, "bytes") if case.peak_bytes is not None else "-",
            shown_reason(case),
        )
        for case in report.cases
    ]
    lines = table(rows, ("VERDICT", "NOTEBOOK", "TIME", "MEMORY", "REASON"))
    marks = ("    ", *(_mark(case, view) for case in report.cases))
    yield from (f"{mark} {line}" for mark, line in zip(marks, lines, strict=True))


def _mark(case: CaseResult, view: View) -> str:
    if case.verdict is Verdict.OK:
        return view.ok()
    return f"{view.warn() if case.verdict is Verdict.SKIPPED else view.bad()} "


def _seconds(case: CaseResult) -> str:
    """How long a notebook took, in a table.

    >>> from coursectl.model.suite import CaseResult
    >>> _seconds(CaseResult(notebook="a.ipynb", verdict=Verdict.OK, seconds=0.31))
    '0.3 s'
    """
    if not case.seconds:
        return "-"
    return f"{case.seconds:.1f} s" if case.seconds < 9.95 else duration(case.seconds)


def _failure(case: CaseResult, view: View) -> Iterator[str]:
    yield f"{view.bad()} {case.notebook}: {case.verdict}"
    if case.verdict is not Verdict.FAILED or not (roots(case) or numbers_off(case)):
        yield f"    {case.reason}"
    for error in roots(case):
        yield f"    {place_of(error.cell, error.line)}: {error.name}: {error.message.strip()}".replace(
            "\n", "\n        "
        )
        if error.file is not None:
            yield f"        raised in {error.file}" + (f", line {error.file_line}" if error.file_line else "")
        after = cascades(case, error.cell)
        if after:
            cells = ", ".join(str(e.cell) for e in after)
            yield f"        because of it {len(after)} more failed: cell {cells}"
        if view.verbose:
            yield from (f"        | {line}" for line in error.traceback.rstrip().splitlines())
    for number in numbers_off(case):
        yield f"    {place_of(number.cell, None)}: {number_words(number)}"


def _warnings(report: SuiteReport, view: View) -> Iterator[str]:
    groups = warning_groups(report)
    if not groups:
        return
    yield ""
    total = sum(g.count for g in groups)
    yield f"{view.warn()} {total} warning{'s' if total > 1 else ''}, {len(groups)} different"
    shown = groups if view.verbose else groups[:_SHOWN_WARNINGS]
    for group in shown:
        times = f"{group.count}x " if group.count > 1 else ""
        yield f"    {times}{group.category}: {group.message}"
        more = f" (in {group.notebooks} notebooks)" if group.notebooks > 1 else ""
        yield f"        first: {group.place}{more}"
    if len(shown) < len(groups):
        yield f"    and {len(groups) - len(shown)} more (-v shows all)"


def _summary(report: SuiteReport) -> str:
    said = ", ".join(f"{n} {verdict}" for verdict, n in counts(report).items()) or "nothing to run"
    kept = sum(c.cached for c in report.cases)
    again = f"; {kept} not run again (`--rerun` runs all)" if kept else ""
    n = len(report.cases)
    where = f"{report.environment} of {report.semester}, {report.variant}"
    ran = f"{report.mode}, {report.parallel} at once" if report.parallel > 1 else report.mode
    took = f"{report.seconds:.1f} s" if report.seconds < 9.95 else duration(report.seconds)
    return f"{n} notebook{'s' if n != 1 else ''} on {where}: {said} in {took} ({ran}){again}"


VIEWS: dict[str, Callable[[Any, View], Iterable[str]]] = {"SuiteReport": suite}
