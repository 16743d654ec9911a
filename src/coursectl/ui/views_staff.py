"""The text forms of what staff read: init, info, freeze, export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from coursectl.ui.lines import View, table

if TYPE_CHECKING:
    from coursectl.workflows.info import InfoReport
    from coursectl.workflows.init import InitReport


def init(report: InitReport, view: View) -> Iterator[str]:
    """What was written, what was found in the notebooks, what needs a person, and the next command."""
    for path in report.adopted:
        yield f"{view.ok()} adopted   {path}"
    for path in report.written:
        yield f"{view.ok()} written   {path}"
    if report.notebooks:
        found = ", ".join(report.packages)
        yield f"{view.ok()} scanned   {len(report.notebooks)} notebooks: {found}"
    if report.local_modules:
        yield f"     left out  {', '.join(report.local_modules)}: modules of the course itself"
    for install in report.installs:
        yield f"{view.warn()} {install.notebook}, cell {install.cell}, line {install.line}: {install.text}"
    if report.installs:
        yield "    an install in a notebook overrides the lock: put the package into the environment"
    for path, reason in report.unreadable:
        yield f"{view.warn()} {path} cannot be read: {reason}"
    for warning in report.warnings:
        yield f"{view.warn()} {warning}"
    yield f"next: look at {report.spec}, then `{report.next_command}`"


def info(report: InfoReport, view: View) -> Iterator[str]:
    """Every effective value and where it came from."""
    yield f"coursectl {report.version}, Python {report.python}, {report.platform or report.system}"
    if report.course is None:
        yield "no course.yaml here or in a folder above"
    else:
        yield f"course {report.course}: {report.title} ({report.course_file})"
    yield ""
    rows = [(s.name, _value(s.value), f"{s.source}: {s.origin}") for s in report.settings]
    yield from table(rows, ("SETTING", "VALUE", "FROM"))
    if report.environments:
        yield ""
        yield from table(
            [
                (
                    e.name + (" (default)" if e.default else ""),
                    e.spec,
                    ", ".join(e.variants),
                    e.fallback or "-",
                )
                for e in report.environments
            ],
            ("ENVIRONMENT", "FILE", "VARIANTS", "FALLBACK"),
        )
    if report.semesters:
        yield ""
        yield from table(
            [
                (
                    s.name + (" (current)" if s.current else ""),
                    "frozen" if s.frozen else "not frozen",
                    s.as_of or "-",
                    ", ".join(s.environments),
                )
                for s in report.semesters
            ],
            ("SEMESTER", "STATE", "AS OF", "ENVIRONMENTS"),
        )
    if view.verbose:
        yield ""
        yield from table([*report.folders.items()], ("FOLDER", "PATH"))
        yield ""
        yield from table(
            [(n, v or "not installed") for n, v in report.versions.items()], ("LIBRARY", "VERSION")
        )


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{k}={' '.join(v)}" for k, v in value.items()) or "none"
    return str(value)
