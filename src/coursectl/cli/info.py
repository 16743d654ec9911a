"""``coursectl info``."""

from __future__ import annotations

import typer

from coursectl.cli.common import command_app, session_of
from coursectl.model.report import Outcome

app = command_app("")
APPS = {"info": app}


@app.command()
def info(context: typer.Context) -> Outcome:
    """Every effective value, and whether it comes from a flag, a variable, course.yaml or a default."""
    from coursectl.workflows.info import info as look

    session = session_of(context)
    inside = session.course_root is not None
    return Outcome(data=look(session.course if inside else None, session.settings(with_course=inside)))
