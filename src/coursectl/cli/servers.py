"""``coursectl status|down|open|logs``: the JupyterLabs that run."""

from __future__ import annotations

from typing import Annotated

import typer

from coursectl.cli.common import SemesterArgument, command_app, session_of
from coursectl.cli.session import Session
from coursectl.cli.status import answer
from coursectl.model.report import Outcome
from coursectl.workflows import servers

status_app, down_app, open_app, logs_app = (command_app("") for _ in range(4))
APPS = {"status": status_app, "down": down_app, "open": open_app, "logs": logs_app}


@status_app.command()
def status(context: typer.Context) -> Outcome:
    """Say which JupyterLabs are running, where, and on which semester's stack."""
    del context  # every course's servers, whatever folder this is
    return answer()


@down_app.command()
def down(
    context: typer.Context,
    semester: SemesterArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="those of other courses too")] = False,
) -> Outcome:
    """Stop JupyterLab and its kernels: this course's, or all of them outside a course."""
    meant = servers.ANY if everything else _meant(session_of(context), semester)
    return Outcome(data=servers.down(meant))


@open_app.command("open")
def open_(context: typer.Context, semester: SemesterArgument = None) -> Outcome:
    """Open the browser on the JupyterLab that runs, logged in."""
    return Outcome(data=servers.open_server(_meant(session_of(context), semester)))


@logs_app.command()
def logs(
    context: typer.Context,
    semester: SemesterArgument = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="how many, from the end")] = 50,
) -> Outcome:
    """Show what JupyterLab printed: the one that runs, or the last one that ran."""
    return Outcome(data=servers.logs(_meant(session_of(context), semester), lines=lines))


def _meant(session: Session, semester: str | None) -> servers.Selection:
    """The servers of the course that we are in; of any course outside one.

    course.yaml is not read: what runs has to be stopped whatever a person has written into it since.

    Raises:
        UsageError: `semester` is not a semester.
    """
    root = session.course_root
    if semester is not None:
        semester = str(session.settings(with_course=False, semester=semester).semester)
    return servers.Selection(course_root=None if root is None else str(root), semester=semester)
