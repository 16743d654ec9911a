"""``coursectl run CMD...``."""

from __future__ import annotations

from typing import Annotated

import typer

from coursectl.cli.common import EnvOption, VariantOption, command_app, session_of
from coursectl.model.report import Outcome, Status

app = command_app("", allow_interspersed_args=False, ignore_unknown_options=False)
APPS = {"run": app}


@app.command()
def run(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="CMD...", help="the program and its arguments")],
    semester: Annotated[str | None, typer.Option("--semester", metavar="SEMESTER")] = None,
    env: EnvOption = None,
    variant: VariantOption = None,
) -> Outcome:
    """Run a command inside the environment: `coursectl run python analysis.py`. Its exit code is ours."""
    from coursectl.workflows import inside, up

    session = session_of(context)
    settings = session.settings(semester=semester, environment=env, variant=variant, offline=True)
    wish = up.Wish.of(session.course, settings)
    ready = up.prepare(session.course, wish, session.network(settings), up.observe())
    result = inside.run_inside(ready.plan, tuple(command), capture=session.options.json)
    return Outcome(
        data=result,
        status=Status.SUCCESS if result.returncode == 0 else Status.ERROR,
        exit_code=result.returncode,
    )
