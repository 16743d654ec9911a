"""``coursectl env list|verify|repair|remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from coursectl.cli.common import OfflineOption, command_app, session_of
from coursectl.errors import ExitCode
from coursectl.model.report import Outcome, Status
from coursectl.workflows import environments

app = command_app(
    "The environments on this machine.",
)
APPS = {"env": app}

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="as `coursectl env list` shows; default: all")
]


@app.command("list")
def list_(context: typer.Context) -> Outcome:
    """List what is installed, and how large it is."""
    session_of(context).command = ("env", "list")
    return Outcome(data=environments.list_environments())


@app.command()
def verify(context: typer.Context, names: Names = None) -> Outcome:
    """Compare every file with the lock; changes nothing. Exits 1 where something differs."""
    session = session_of(context)
    session.command = ("env", "verify")
    return _judged(environments.verify(tuple(names or ()), session.progress))


@app.command()
def repair(context: typer.Context, names: Names = None, offline: OfflineOption = None) -> Outcome:
    """Make damaged environments as locked again, and the downloads they came from."""
    session = session_of(context)
    session.command = ("env", "repair")
    network = session.network(session.settings(offline=offline))
    return _judged(environments.repair(session.course, tuple(names or ()), network, session.progress))


@app.command()
def remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="as `coursectl env list` shows")],
) -> Outcome:
    """Delete environments; asks first."""
    session = session_of(context)
    session.command = ("env", "remove")
    found = environments.find(tuple(names))
    if not session.confirm(f"Delete {', '.join(e.name for e in found)}?"):
        return Outcome(data=environments.Removed(names=(), bytes=0))
    return Outcome(data=environments.remove(found, _in_use()))


def _judged(verdicts: environments.Verdicts) -> Outcome:
    if all(v.ok for v in verdicts.verifications):
        return Outcome(data=verdicts)
    return Outcome(data=verdicts, status=Status.ERROR, exit_code=ExitCode.VERDICT)


def _in_use() -> frozenset[str]:
    from coursectl.workflows import servers

    return frozenset(s.prefix for s in servers.status().servers)
