"""``coursectl cache info|clean``."""

from __future__ import annotations

import typer

from coursectl.cli.common import command_app, session_of
from coursectl.model.report import Outcome
from coursectl.workflows import caches

app = command_app("The downloads that coursectl keeps, so that a second environment needs fewer.")
APPS = {"cache": app}


@app.command()
def info(context: typer.Context) -> Outcome:
    """How large the cache is, and where."""
    session_of(context).command = ("cache", "info")
    return Outcome(data=caches.info())


@app.command()
def clean(context: typer.Context) -> Outcome:
    """Delete the cache; asks first. Installed environments stay whole."""
    session = session_of(context)
    session.command = ("cache", "clean")
    report = caches.info()
    if report.bytes == 0 or not session.confirm(f"Delete {report.bytes / 1e6:.0f} MB in {report.folder}?"):
        return Outcome(data=report)
    return Outcome(data=caches.clean())
