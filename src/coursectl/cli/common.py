"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from coursectl.cli.session import Session
from coursectl.errors import UsageError
from coursectl.model.platform import Platform

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


def choice(option: str, given: str, allowed: tuple[str, ...]) -> str:
    """`given`, if it is one of the values that `option` takes.

    Raises:
        UsageError: it is none; the nearest one is named.
    """
    if given in allowed:
        return given
    from coursectl.documents import did_you_mean

    raise UsageError(
        f"{option}: {given!r} is not one of {', '.join(allowed)}", hints=did_you_mean(given, allowed)
    )


def platform_of(name: str | None) -> Platform | None:
    """The platform called `name`.

    Raises:
        UsageError: there is none.
    """
    return None if name is None else Platform(choice("--platform", name, tuple(Platform)))
