"""``coursectl init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coursectl.cli.common import command_app, session_of
from coursectl.errors import UsageError
from coursectl.model.report import Outcome
from coursectl.model.semester import Semester

app = command_app("")
APPS = {"init": app}


@app.command()
def init(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="an environment.yml, a requirements.txt or a folder of notebooks"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="the course's short name")] = None,
    title: Annotated[str | None, typer.Option("--title", help="the course's title")] = None,
    semester: Annotated[str | None, typer.Option("--semester", help="the first semester: fall2026")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="keep an old course.yaml as course.yaml.old")
    ] = False,
) -> Outcome:
    """Write a first course.yaml, and an environment, from what is there. Overwrites nothing."""
    from coursectl.workflows.init import init as begin
    from coursectl.workflows.init_sources import InitOptions

    session = session_of(context)
    options = InitOptions(name=name, title=title, semester=_semester(semester), force=force)
    return Outcome(data=begin(session.folder, source, options))


def _semester(text: str | None) -> Semester | None:
    try:
        return None if text is None else Semester.parse(text)
    except ValueError as exc:
        raise UsageError(f"--semester: {exc}") from exc
