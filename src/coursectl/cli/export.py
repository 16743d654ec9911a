"""``coursectl export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coursectl.cli.common import (
    EnvOption,
    OfflineOption,
    SemesterArgument,
    VariantOption,
    choice,
    command_app,
    platform_of,
    session_of,
)
from coursectl.model.course import BASE_VARIANT
from coursectl.model.report import Outcome
from coursectl.settings import AUTO
from coursectl.workflows.export import ExportFormat, write
from coursectl.workflows.export import export as export_semester

app = command_app("")
APPS = {"export": app}


@app.command()
def export(
    context: typer.Context,
    format_: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help=" | ".join(ExportFormat)),
    ],
    semester: SemesterArgument = None,
    env: EnvOption = None,
    platform: Annotated[
        str | None, typer.Option("--platform", metavar="P", help="default: this machine's")
    ] = None,
    variant: VariantOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="a file, or a folder for several files"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace files that are there")] = False,
    offline: OfflineOption = None,
) -> Outcome:
    """Write a semester's lock in another tool's format, to the terminal or into -o."""
    session = session_of(context)
    settings = session.settings(semester=semester, environment=env, variant=variant, offline=offline)
    report = export_semester(
        session.course,
        settings.semester or session.course.current,
        ExportFormat(choice("--format", format_, tuple(ExportFormat))),
        network=session.network(settings),
        environment=env,
        platform=platform_of(platform),
        variant=BASE_VARIANT if settings.variant == AUTO else settings.variant,
    )
    return Outcome(data=report if output is None else write(report, output, force=force))
