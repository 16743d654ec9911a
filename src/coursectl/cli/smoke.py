"""``coursectl smoke``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coursectl.cli.common import EnvOption, command_app, session_of
from coursectl.errors import ExitCode
from coursectl.model.report import Outcome, Status
from coursectl.model.semester import Semester

if TYPE_CHECKING:
    from coursectl.cli.session import Session
    from coursectl.model.launch import Facts
    from coursectl.settings import Settings
    from coursectl.workflows.up import Ready

app = command_app("")
APPS = {"smoke": app}


@app.command()
def smoke(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SEMESTER] [NOTEBOOK]...", help="default: the current one, all of its suite"),
    ] = None,
    env: EnvOption = None,
    parallel: Annotated[
        int | None, typer.Option("-j", "--jobs", metavar="N", min=1, help="how many at once (default: cores)")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0.1, help="seconds for one notebook")
    ] = None,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="start a kernel for each notebook: slower, nothing is shared")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="write JUnit XML, for CI")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="DIR", help="write DIR/index.html: the report as a page")
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="run all, also those that nothing has changed for")
    ] = False,
) -> Outcome:
    """Run the notebook suite on the frozen stack. Exits 1 where one fails; the originals stay as they are."""
    from coursectl.ui import reports
    from coursectl.workflows import smoke as workflow

    session = session_of(context)
    semester, notebooks = _split(words or [])
    settings = session.settings(semester=semester, environment=env)
    ready, facts = _installed(session, settings)
    options = workflow.SmokeOptions(
        notebooks=notebooks, parallel=parallel, timeout=timeout, isolated=isolated, rerun=rerun
    )
    report = workflow.smoke(
        ready,
        options,
        gpu=facts.gpu.cuda is not None,
        network=not settings.offline,
        progress=session.progress,
    )
    reports.annotate(report, session.course.root, session.console)
    for path in reports.write(report, junit=junit, html=html):
        session.progress.say(f"[ok] written   {path}")
    if report.ok:
        return Outcome(data=report)
    return Outcome(data=report, status=Status.ERROR, exit_code=ExitCode.VERDICT)


def _split(words: list[str]) -> tuple[str | None, tuple[str, ...]]:
    """The semester, where the first word is one, and the notebooks."""
    try:
        Semester.parse(words[0] if words else "")
    except ValueError:
        return None, tuple(words)
    return words[0], tuple(words[1:])


def _installed(session: Session, settings: Settings) -> tuple[Ready, Facts]:
    """The environment of the suite, installed as `coursectl up` installs it where it is not there."""
    from coursectl.ui import views
    from coursectl.workflows import up
    from coursectl.workflows.smoke import wish_of

    facts, network = up.observe(), session.network(settings)
    ready = up.prepare(session.course, wish_of(session.course, settings), network, facts)
    if not ready.plan.installed:
        session.progress.say(views.plan_header(ready.plan))
        up.ensure(ready, network, session.progress)
    return ready, facts
