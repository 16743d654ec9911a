"""``coursectl up``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from coursectl.cli.common import (
    EnvOption,
    OfflineOption,
    SemesterArgument,
    VariantOption,
    command_app,
    session_of,
)
from coursectl.cli.session import Session
from coursectl.model.report import Outcome
from coursectl.ui import views
from coursectl.ui.units import duration
from coursectl.workflows import up as workflow

if TYPE_CHECKING:
    from coursectl.backends.jupyter import Running
    from coursectl.settings import Settings

app = command_app("")
APPS = {"up": app}


@app.command()
def up(
    context: typer.Context,
    semester: SemesterArgument = None,
    env: EnvOption = None,
    variant: VariantOption = None,
    offline: OfflineOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="go on in the background; `coursectl down` stops it")
    ] = False,
    port: Annotated[int | None, typer.Option("--port", help="the first port to try (default: 8888)")] = None,
    no_browser: Annotated[bool | None, typer.Option("--no-browser", help="do not open the browser")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done; do nothing")] = False,
    no_launch: Annotated[bool, typer.Option("--no-launch", help="install only")] = False,
) -> Outcome | None:
    """Open JupyterLab on exactly the semester's stack. The first time it installs that stack."""
    session = session_of(context)
    settings = session.settings(
        semester=semester, environment=env, variant=variant, offline=offline, port=port,
        browser=None if no_browser is None else not no_browser,
    )  # fmt: skip
    ready = _prepare(session, settings)
    if dry_run:
        return Outcome(data=ready.plan)
    seconds = _ensure(session, settings, ready)
    if no_launch:
        return Outcome(data=workflow.UpReport(plan=ready.plan, install_seconds=seconds))
    from coursectl.workflows import launch

    running = launch.start(ready, settings.port, detached=detach, progress=session.progress)
    return _announce(session, settings, ready, running, seconds)


def _prepare(session: Session, settings: Settings) -> workflow.Ready:
    wish = workflow.Wish.of(session.course, settings)
    return workflow.prepare(session.course, wish, session.network(settings), workflow.observe())


def _ensure(session: Session, settings: Settings, ready: workflow.Ready) -> float:
    say, plan = session.progress.say, ready.plan
    say(views.plan_header(plan))
    for reason in plan.reasons:
        topic, _, text = reason.partition(": ")
        say(f"[ok] {topic:<12} {text}")
    if not plan.installed and plan.seconds is not None:
        say(f"     once         about {duration(plan.seconds)} at 25 Mbit/s; later runs download nothing")
    seconds = workflow.ensure(ready, session.network(settings), session.progress)
    state = "verified" if seconds else "nothing to do"
    took = duration(seconds) if seconds else ""
    say(f"[ok] {'packages':<12} {plan.packages} in {plan.environment}, {state:<20} {took}".rstrip())
    return seconds


def _announce(
    session: Session,
    settings: Settings,
    ready: workflow.Ready,
    running: Running,
    seconds: float,
) -> Outcome | None:
    """Say where JupyterLab is, open the browser, and stay where we hold the server's leash."""
    from coursectl.workflows import launch

    opened = launch.open_browser(running.server, session.progress, wanted=settings.browser)
    report = workflow.UpReport(
        plan=ready.plan,
        install_seconds=seconds,
        server=running.server,
        found=running.found,
        opened=opened,
    )
    if running.keeper is None:
        return Outcome(data=report)
    session.finish(Outcome(data=report))
    reason = launch.wait(running)
    session.console.err(f"JupyterLab has ended ({reason}); start it again with `coursectl up`")
    return None
