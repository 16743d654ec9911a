"""``coursectl status`` with nothing behind it: answered without typer, whose import would cost most of it."""

from __future__ import annotations

from coursectl.model.report import Outcome
from coursectl.workflows import servers


def answer() -> Outcome:
    """Which JupyterLabs are running, where, and on which semester's stack."""
    return Outcome(data=servers.status())
