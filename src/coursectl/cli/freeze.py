"""``coursectl freeze``."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from coursectl.cli.common import SemesterArgument, choice, command_app, session_of
from coursectl.errors import ExitCode, UsageError
from coursectl.model.platform import Platform
from coursectl.model.report import Outcome, Status
from coursectl.workflows.freeze import FreezeOptions
from coursectl.workflows.freeze import freeze as freeze_semester

app = command_app("")
APPS = {"freeze": app}


@app.command()
def freeze(
    context: typer.Context,
    semester: SemesterArgument = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="with packages up to that day: 2023-08-20")
    ] = None,
    env: Annotated[list[str] | None, typer.Option("--env", metavar="NAME", help="only this one")] = None,
    platform: Annotated[
        list[str] | None, typer.Option("--platform", metavar="P", help="only this one: linux-64")
    ] = None,
    update: Annotated[
        list[str] | None,
        typer.Option("--update", metavar="PKG", help="move this package and as little else as possible"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="exit 1 where a lock is stale; change nothing")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be solved")] = False,
    force: Annotated[bool, typer.Option("--force", help="change a semester that is released")] = False,
    note: Annotated[list[str] | None, typer.Option("--note", help="a statement for release.yaml")] = None,
) -> Outcome:
    """Pin a semester's stack: every package of every platform, with its hash. Unchanged: does nothing."""
    session = session_of(context)
    settings = session.settings(semester=semester)
    options = FreezeOptions(
        as_of=_day(as_of), environments=tuple(env or ()),
        platforms=tuple(Platform(choice("--platform", p, tuple(Platform))) for p in platform or ()),
        update=tuple(update or ()), check=check, dry_run=dry_run, force=force,
        notes=None if note is None else tuple(note),
    )  # fmt: skip
    report = freeze_semester(
        session.course,
        settings.semester or session.course.current,
        options,
        network=session.network(settings),
        progress=session.progress,
    )
    if report.stale:
        return Outcome(data=report, status=Status.ERROR, exit_code=ExitCode.VERDICT)
    return Outcome(data=report, status=Status.PARTIAL if report.missing else Status.SUCCESS)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(
            f"--as-of: {text!r} is not a day", hints=("write year, month, day: 2023-08-20",)
        ) from exc
    if day > datetime.now().astimezone().date():
        raise UsageError(f"--as-of: {day} is in the future", hints=("name a day that has been",))
    return day
