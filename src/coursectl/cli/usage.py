"""Typer's usage errors in our own form. Typer vendors click, so its bases are found, not imported."""

from __future__ import annotations

from typing import Any

import typer

from coursectl.errors import Hint, UsageError

_CLICK_USAGE: type[Exception] = typer.BadParameter.__mro__[1]


def translate(exc: Exception, name: str, command: Any) -> Exception:
    """`exc` as a `UsageError` where it is about the command line, else itself."""
    if not isinstance(exc, _CLICK_USAGE):
        return exc
    import difflib

    hints = [Hint(text="see", command=f"coursectl {name} --help")]
    context = getattr(exc, "ctx", None)
    unknown = getattr(exc, "option_name", None)
    if type(exc).__name__ == "NoSuchOption" and isinstance(unknown, str):
        known = [o for p in getattr(context or command, "command", command).params for o in p.opts]
        near = difflib.get_close_matches(unknown, known, n=1)
        if near:
            hints.insert(0, Hint(text=f"did you mean {near[0]}?"))
        return UsageError(f"coursectl {name} has no option {unknown}", hints=tuple(hints))
    message = exc.format_message() if hasattr(exc, "format_message") else str(exc)
    return UsageError(f"coursectl {name}: {message.rstrip('.')}", hints=tuple(hints))
