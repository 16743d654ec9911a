"""A suite's report as one page that needs nothing but itself: no address is asked, no script runs.

The page's own policy (Content-Security-Policy) forbids both, for what notebooks made as well. It can be read
without colours, without a mouse and by a screen reader (WCAG 2.1 AA).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl.model.suite import Verdict
from coursectl.ui.report_cells import cell_html, executed_cells
from coursectl.ui.report_style import CSS
from coursectl.ui.suite_words import (
    cascades,
    counts,
    number_words,
    numbers_off,
    place_of,
    roots,
    warning_groups,
)
from coursectl.ui.units import amount, duration

if TYPE_CHECKING:
    from coursectl.model.suite import CaseResult, SuiteReport

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_LOOK = {Verdict.OK: "ok", Verdict.SKIPPED: "warn"}
_MARK = {Verdict.OK: "✓", Verdict.SKIPPED: "–"}


def page(report: SuiteReport) -> str:
    """The whole page; reads the executed notebooks that the report names."""
    return "\n".join(_page(report)) + "\n"


def _page(report: SuiteReport) -> Iterator[str]:
    title = escape(f"{report.course} {report.semester}: the notebook suite")
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{_said(report)} - {title}</title>\n<style>{CSS}</style>\n</head>\n<body>"
    yield '<a class="skip" href="#main">Skip to the notebooks</a>'
    yield f"<header><h1>{title}</h1>"
    yield f'<p class="lead {"ok" if report.ok else "bad"}">{_said(report)}</p></header>'
    yield '<nav aria-label="Parts of the report"><ul>'
    yield from (f'<li><a href="#{key}">{text}</a></li>' for key, text in _parts(report))
    yield '</ul></nav>\n<main id="main" tabindex="-1">'
    yield from _overview(report)
    yield from _failures(report)
    yield from _numbers(report)
    yield from _warnings(report)
    yield from _executed(report)
    yield "</main>"
    yield f"<footer><p>Written by coursectl smoke; report format {report.schema}.</p></footer>"
    yield "</body>\n</html>"


def _said(report: SuiteReport) -> str:
    said = ", ".join(f"{n} {verdict}" for verdict, n in counts(report).items()) or "nothing was run"
    return f"{'Passed' if report.ok else 'Not passed'}: {said}"


def _parts(report: SuiteReport) -> Iterator[tuple[str, str]]:
    yield "overview", "Overview"
    if not report.ok:
        yield "failures", "Failures"
    if any(c.numbers for c in report.cases):
        yield "numbers", "Numbers"
    if any(c.warnings for c in report.cases):
        yield "warnings", "Warnings"
    yield "notebooks", "Notebooks as they ran"


def _overview(report: SuiteReport) -> Iterator[str]:
    yield '<section aria-labelledby="overview"><h2 id="overview">Overview</h2><dl>'
    kept = sum(c.cached for c in report.cases)
    facts = [
        ("Environment", f"{report.environment} ({report.variant}) on {report.platform}"),
        ("Build", report.digest or "unknown"),
        ("Run", f"{_time(report.seconds)}, {report.mode}, {report.parallel} at once"),
    ]
    if kept:
        facts.append(("Not run again", f"{kept}: nothing that they depend on has changed"))
    facts += [("Note", note) for note in report.notes]
    yield from (f"<div><dt>{key}</dt><dd>{escape(text)}</dd></div>" for key, text in facts)
    yield "</dl>"
    rows = []
    for number, case in enumerate(report.cases, 1):
        memory = amount(case.peak_bytes, "bytes") if case.peak_bytes is not None else "-"
        link = f'<a href="#n{number}">{escape(case.notebook)}</a>'
        took = "-" if case.verdict is Verdict.SKIPPED else _time(case.seconds)
        rows.append((link, _verdict(case), took, memory, escape(case.reason or "")))
    yield _table("Every notebook", ("Notebook", "Verdict", "Time", "Peak memory", "Reason"), rows)
    yield "</section>"


def _failures(report: SuiteReport) -> Iterator[str]:
    if report.ok:
        return
    yield '<section aria-labelledby="failures"><h2 id="failures">Failures</h2>'
    for number, case in enumerate(report.cases, 1):
        if case.verdict in {Verdict.OK, Verdict.SKIPPED}:
            continue
        yield f'<h3><a href="#n{number}">{escape(case.notebook)}</a>: {case.verdict}</h3>'
        if case.verdict is not Verdict.FAILED or not (roots(case) or numbers_off(case)):
            yield f"<p>{escape(case.reason or '')}</p>"
        for error in roots(case):
            where = place_of(error.cell, error.line)
            link = f'<a href="#n{number}c{error.cell}">{where}</a>' if case.executed else where
            yield f"<p>{link}: <strong>{escape(error.name)}</strong>: {escape(error.message.strip())}</p>"
            if error.file is not None:
                line = f", line {error.file_line}" if error.file_line else ""
                yield f"<p>raised in {escape(error.file)}{line}</p>"
            after = cascades(case, error.cell)
            if after:
                cells = ", ".join(str(e.cell) for e in after)
                yield f"<p>Because of it {len(after)} more failed: cell {cells}.</p>"
            if error.traceback.strip():
                yield f"<details><summary>Traceback of {where} in {escape(case.notebook)}</summary>"
                yield f'<pre class="output">{escape(error.traceback.strip())}</pre></details>'
        for check in numbers_off(case):
            yield f"<p>{place_of(check.cell, None)}: {escape(number_words(check))}</p>"
    yield "</section>"


def _numbers(report: SuiteReport) -> Iterator[str]:
    rows = []
    for number, case in enumerate(report.cases, 1):
        for n in case.numbers:
            state = _badge("ok", "✓", "ok") if n.ok else _badge("bad", "✗", "off")
            if n.value is None and case.verdict is not Verdict.FAILED:
                state = _badge("warn", "–", "not run")
            value = "none" if n.value is None else f"{n.value:.8g}"
            expected = f"{n.expected:.10g} ± {n.tolerance:.3g}"
            where = escape(f"{case.notebook}, cell {n.cell}")
            where = f'<a href="#n{number}c{n.cell}">{where}</a>' if case.executed else where
            rows.append((escape(n.name), where, state, value, expected))
    if rows:
        yield '<section aria-labelledby="numbers"><h2 id="numbers">Numbers</h2>'
        yield _table("Checked numbers", ("Number", "Where", "State", "Value", "Expected"), rows)
        yield "</section>"


def _warnings(report: SuiteReport) -> Iterator[str]:
    groups = warning_groups(report)
    if groups:
        yield '<section aria-labelledby="warnings"><h2 id="warnings">Warnings</h2>'
        rows = [
            (escape(g.message), escape(g.category), str(g.count), str(g.notebooks), escape(g.place))
            for g in groups
        ]
        headers = ("Message", "Kind", "Times", "Notebooks", "First place")
        yield _table("Warnings by message", headers, rows)
        yield "</section>"


def _executed(report: SuiteReport) -> Iterator[str]:
    yield '<section aria-labelledby="notebooks"><h2 id="notebooks">Notebooks as they ran</h2>'
    for number, case in enumerate(report.cases, 1):
        name = escape(case.notebook)
        yield f'<article aria-labelledby="n{number}"><h3 id="n{number}">{name} {_verdict(case)}</h3>'
        if case.reason:
            yield f"<p>{escape(case.reason)}</p>"
        for trait in case.traits:
            where = place_of(trait.cell, trait.line)
            yield f'<p class="note">{trait.kind}, {where}: <code>{escape(trait.text)}</code></p>'
        cells = executed_cells(Path(case.executed)) if case.executed is not None else ()
        if cells:
            yield f"<details{'' if case.verdict is Verdict.OK else ' open'}>"
            yield f"<summary>{len(cells)} cells of {name}</summary>"
            for cell in cells:
                errors = [e for e in case.errors if e.cell == cell.number]
                warnings = [w for w in case.warnings if w.cell == cell.number]
                yield from cell_html(cell, f"n{number}c{cell.number}", case.notebook, errors, warnings)
            yield "</details>"
        yield "</article>"
    yield "</section>"


def _verdict(case: CaseResult) -> str:
    look, mark = _LOOK.get(case.verdict, "bad"), _MARK.get(case.verdict, "✗")
    return _badge(look, mark, str(case.verdict))


def _badge(look: str, mark: str, text: str) -> str:
    return f'<span class="badge {look}"><span aria-hidden="true">{mark}</span> {text}</span>'


def _table(caption: str, headers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose cells are HTML already; the first column heads its row."""
    head = "".join(f'<th scope="col">{h}</th>' for h in headers)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{c}</td>" for c in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)
