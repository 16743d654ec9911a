"""The text forms of what staff read: init, info, freeze, export. Imported when one of them is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from coursectl.model.frozen import FreezeState
from coursectl.ui.lines import View, table
from coursectl.ui.units import amount, duration

if TYPE_CHECKING:
    from coursectl.model.frozen import Comparison, EnvironmentFreeze, FreezeReport
    from coursectl.model.lock import LockDiff, PackageChange
    from coursectl.workflows.export import ExportReport, ExportWritten
    from coursectl.workflows.info import InfoReport
    from coursectl.workflows.init import InitReport

_SHOWN_CHANGES = 12


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


def freeze(report: FreezeReport, view: View) -> Iterator[str]:
    """What was locked, what changed since the semester before, and what is missing to make it a release."""
    of = f" as of {report.as_of}" if report.as_of else ""
    took = f" in {duration(report.seconds)}" if report.seconds >= 1 else ""
    said = {
        FreezeState.UNCHANGED: "nothing to do: the locks answer what the course asks",
        FreezeState.STALE: "stale: a freeze is needed",
        FreezeState.PLANNED: "would be solved (nothing was done)",
        FreezeState.FROZEN: f"frozen{took}",
        FreezeState.LOCKED: f"locked in part{took}: not a release yet",
    }
    yield f"{report.semester}{of}: {said[report.state]}"
    for reason in report.reasons:
        yield f"    {reason}"
    for environment in report.environments:
        yield from _environment(environment, view)
    for comparison in report.comparisons:
        yield from _comparison(comparison, view)
    for note in report.notes:
        yield f"note: {note}"
    for missing in report.missing if report.state is FreezeState.LOCKED else ():
        yield f"{view.warn()} missing: {missing}"
    if report.state is FreezeState.FROZEN:
        yield f"next: commit {report.folder}, and students type `coursectl up {report.semester}`"
    elif report.state in {FreezeState.STALE, FreezeState.PLANNED}:
        yield f"next: `coursectl freeze {report.semester}`"


def _environment(environment: EnvironmentFreeze, view: View) -> Iterator[str]:
    mark = view.bad() if environment.state is FreezeState.STALE else view.ok()
    yield f"{mark} {environment.name} ({environment.lockfile}): {environment.state}"
    for reason in environment.reasons:
        yield f"    because {reason}"
    if environment.state in {FreezeState.STALE, FreezeState.PLANNED}:
        names = ", ".join(f"{platform} ({variant})" for platform, variant in environment.solves)
        if names:
            yield f"    to solve: {names}"
        return
    rows = [
        (
            f"    {b.platform}",
            b.variant,
            f"{b.packages} packages",
            amount(b.download_bytes, "bytes") + " to download",
            f"about {amount(b.installed_bytes, 'bytes')} on disk" if b.installed_bytes else "",
        )
        for b in environment.builds
    ]
    yield from table(rows)


def _comparison(comparison: Comparison, view: View) -> Iterator[str]:
    """Platforms with the same changes are shown once."""
    groups: dict[tuple[PackageChange, ...], list[LockDiff]] = {}
    for diff in comparison.diffs:
        groups.setdefault(diff.changes, []).append(diff)
    for changes, diffs in groups.items():
        where = ", ".join(f"{d.platform} ({d.variant})" for d in diffs)
        if not changes:
            yield f"{comparison.environment} since {comparison.against}, {where}: no change"
            continue
        counts = Counter(str(c.kind) for c in changes)
        summary = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        yield f"{comparison.environment} since {comparison.against}, {where}: {summary}{_growth(diffs[0])}"
        shown = changes if view.verbose else changes[:_SHOWN_CHANGES]
        yield from table([(f"    {c.kind}", c.name, _versions(c)) for c in shown])
        if len(shown) < len(changes):
            yield f"    and {len(changes) - len(shown)} more (-v shows all)"


def _growth(diff: LockDiff) -> str:
    if diff.old_size is None or diff.new_size is None:
        return ""
    return f"; download {amount(diff.old_size, 'bytes')} -> {amount(diff.new_size, 'bytes')}"


def _versions(change: PackageChange) -> str:
    return " -> ".join(v for v in (change.old, change.new) if v is not None)


def export(report: ExportReport, view: View) -> Iterator[str]:
    """The exported text itself: what it says about itself goes to the terminal, not into a pipe."""
    for n, file in enumerate(report.files):
        if len(report.files) > 1:
            yield ("\n" if n else "") + f"# {file.name}"
        yield file.text.rstrip("\n")
    for note in report.notes:
        view.console.err(f"note: {note}")


def exported(report: ExportWritten, view: View) -> Iterator[str]:
    """The files that were written."""
    for path in report.files:
        yield f"{view.ok()} written   {path}"
    for note in report.notes:
        yield f"note: {note}"


VIEWS: dict[str, Callable[[Any, View], Iterable[str]]] = {
    "InitReport": init,
    "InfoReport": info,
    "FreezeReport": freeze,
    "ExportReport": export,
    "ExportWritten": exported,
}
