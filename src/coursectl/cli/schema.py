"""``coursectl schema``."""

from __future__ import annotations

from coursectl.cli.common import command_app
from coursectl.model.report import Outcome, Text

app = command_app("")
APPS = {"schema": app}


@app.command()
def schema() -> Outcome:
    """Print the JSON Schema of course.yaml; editors use it to complete and to check."""
    from coursectl.config_model import schema_text

    return Outcome(data=Text(text=schema_text()))
