"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from coursectl.cli.session import Session

SemesterArgument = Annotated[
    str | None,
    typer.Argument(metavar="[SEMESTER]", help="such as fall2026; default: the course's current one"),
]
EnvOption = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="the environment (default: the course's)")
]
VariantOption = Annotated[
    str | None, typer.Option("--variant", metavar="auto|cpu|cuda", help="for what kind of machine")
]
OfflineOption = Annotated[bool | None, typer.Option("--offline", help="ask no network; use what is here")]


def command_app(help_text: str, **settings: Any) -> typer.Typer:
    """A Typer app for one command, in the house's style: no rich panels, ``-h`` too."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        help=help_text,
        context_settings={"help_option_names": ["-h", "--help"], **settings},
    )


def session_of(context: typer.Context) -> Session:
    """The session that main() put into the context."""
    session = context.obj
    assert isinstance(session, Session)
    return session
