"""One text form for each type of result. Plain lines: a screen reader and a log get the same words.

Register a result in `VIEWS` by its class name, in the order in which a student meets the commands (what only
staff meet: in `views_staff.VIEWS`; a suite's report: in `views_smoke.VIEWS`). Results are imported for their
types only: showing one command's result must not import the other commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from coursectl.ui.console import Console
from coursectl.ui.lines import View, table
from coursectl.ui.units import amount, duration

if TYPE_CHECKING:
    from coursectl.model.installed import Verification
    from coursectl.model.launch import LaunchPlan, Server
    from coursectl.model.report import Text
    from coursectl.workflows.caches import CacheReport
    from coursectl.workflows.environments import EnvironmentList, Removed, Verdicts
    from coursectl.workflows.inside import CommandResult
    from coursectl.workflows.servers import DownReport, LogReport, OpenReport, StatusReport
    from coursectl.workflows.up import UpReport

_SHOWN_PROBLEMS = 20


def lines(data: object, console: Console, *, verbose: bool = False) -> Iterable[str]:
    """The text form of a command's result.

    Raises:
        TypeError: nobody wrote one: our bug.
    """
    name = type(data).__name__
    view = VIEWS.get(name)
    if view is None and name == "SuiteReport":
        from coursectl.ui import views_smoke

        view = views_smoke.VIEWS[name]
    if view is None:
        from coursectl.ui import views_staff

        view = views_staff.VIEWS.get(name)
    if view is None:
        raise TypeError(f"ui.views has no text form for {name}")
    return view(data, View(console, verbose))


def plan_header(plan: LaunchPlan) -> str:
    """The first line of `up`: course, semester, variant, and what the disk has to give.

    The course's short title is what stands before a colon in it: "PHYS 398: data analysis".
    """
    name = plan.title.split(":")[0]
    what = f"{name} · {plan.semester} · {plan.variant}"
    if plan.installed:
        return what
    needs = amount(plan.needed_bytes, "bytes") if plan.needed_bytes is not None else "an unknown amount"
    return f"{what:<44} needs {needs}, {amount(plan.free_bytes, 'bytes')} free"


def _plan(plan: LaunchPlan, _view: View) -> Iterator[str]:
    yield plan_header(plan)
    yield f"environment  {plan.environment}, {plan.packages} packages, {plan.platform}"
    for reason in plan.reasons:
        yield f"because      {reason}"
    if plan.installed:
        yield "to do        nothing: it is installed"
    else:
        time = f", about {duration(plan.seconds)} on a 25 Mbit/s line" if plan.seconds is not None else ""
        yield f"download     {amount(plan.download_bytes, 'bytes')}{time}"
        yield f"on disk      {amount(plan.installed_bytes, 'bytes')} (estimate)"
    yield f"into         {plan.prefix}"


def _up(report: UpReport, view: View) -> Iterator[str]:
    if report.server is None:
        yield f"{report.plan.environment} of {report.plan.semester} is ready; start it: `coursectl up`"
        return
    if report.found:
        yield "nothing to do: JupyterLab is running already"
    yield _server_line(report.server, view)


def _server_line(server: Server, view: View) -> str:
    stop = "`coursectl down`" if server.detached else "Ctrl-C, or `coursectl down`"
    return f"JupyterLab: {view.console.style(server.url, 'cyan')}      stop: {stop}"


def _status(report: StatusReport, view: View) -> Iterator[str]:
    for server, seconds in zip(report.servers, report.seconds, strict=True):
        yield f"JupyterLab: {view.console.style(server.url, 'cyan')}   running for {duration(seconds)}"
        yield f"    {server.semester} · {server.environment} · {server.variant} on {server.course_root}"
    yield str(report.next_step)


def _down(report: DownReport, _view: View) -> Iterator[str]:
    if not report.stopped:
        yield "nothing to do: no JupyterLab is running here"
    for server in report.stopped:
        yield f"stopped JupyterLab on {server.course_root} ({server.semester}, {server.environment})"


def _opened(report: OpenReport, view: View) -> Iterator[str]:
    if report.opened:
        yield f"opened {view.console.style(report.server.url, 'cyan')} in the browser"
        return
    yield f"no browser was opened: {report.reason}"
    yield from (f"    {hint}" for hint in report.hints)


def _logs(report: LogReport, _view: View) -> Iterator[str]:
    yield from report.lines
    if not report.running:
        yield f"(the last run; {report.path})"


def _environments(listed: EnvironmentList, _view: View) -> Iterator[str]:
    if not listed.environments:
        yield f"no environment is installed in {listed.folder}; `coursectl up` installs one"
        return
    rows = [
        (
            e.name,
            e.record.semester,
            e.record.variant,
            f"{e.record.packages} packages",
            amount(e.bytes, "bytes"),
        )
        for e in listed.environments
    ]
    yield from table(rows, ("NAME", "SEMESTER", "VARIANT", "PACKAGES", "SIZE"))
    yield f"in {listed.folder}"


def _verdicts(verdicts: Verdicts, view: View) -> Iterator[str]:
    if not verdicts.verifications:
        yield "no environment is installed; `coursectl up` installs one"
    for verification in verdicts.verifications:
        yield from _verification(verification, view)


def _verification(found: Verification, view: View) -> Iterator[str]:
    name = found.prefix.replace("\\", "/").rsplit("/", 1)[-1]
    if found.ok:
        yield f"{view.ok()} {name}: {found.packages} packages, {found.files} files, all as locked"
        return
    yield f"{view.bad()} {name}: {len(found.problems)} of {found.files} files differ from the lock"
    shown = found.problems if view.verbose else found.problems[:_SHOWN_PROBLEMS]
    for problem in shown:
        yield f"    {problem.kind:<13} {problem.path}  ({problem.package})"
    if len(shown) < len(found.problems):
        yield f"    and {len(found.problems) - len(shown)} more (-v shows all)"
    yield f"mend it: `coursectl env repair {name}`"


def _removed(removed: Removed, _view: View) -> Iterator[str]:
    if not removed.names:
        yield "nothing was removed"
    else:
        yield f"removed {', '.join(removed.names)} ({amount(removed.bytes, 'bytes')})"


def _cache(report: CacheReport, _view: View) -> Iterator[str]:
    if not report.bytes:
        yield f"the cache is empty ({report.folder}): nothing to do"
        return
    yield from table([(p.name, amount(p.bytes, "bytes")) for p in report.parts])
    done = "deleted" if report.cleaned else "in"
    yield f"{amount(report.bytes, 'bytes')} {done} {report.folder}"


def _text(text: Text, _view: View) -> Iterator[str]:
    yield text.text.rstrip("\n")


def _nothing(_result: CommandResult, _view: View) -> Iterator[str]:
    yield from ()  # the program has spoken for itself


VIEWS: dict[str, Callable[[Any, View], Iterable[str]]] = {
    "LaunchPlan": _plan,
    "UpReport": _up,
    "StatusReport": _status,
    "DownReport": _down,
    "OpenReport": _opened,
    "LogReport": _logs,
    "CommandResult": _nothing,
    "EnvironmentList": _environments,
    "Verdicts": _verdicts,
    "Removed": _removed,
    "CacheReport": _cache,
    "Text": _text,
}
