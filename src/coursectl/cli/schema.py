"""``coursectl schema``."""

from __future__ import annotations

import typer

from coursectl.cli.common import command_app
from coursectl.model.report import Outcome, Text

app = command_app("")
APPS = {"schema": app}


@app.command()
def schema(_context: typer.Context) -> Outcome:
    """Print the JSON Schema of course.yaml; editors use it to complete and to check."""
    from coursectl import config

    return Outcome(data=Text(text=config.schema_text()))
