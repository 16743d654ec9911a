"""A result or an error in words. `envelope` makes JSON of the same data, so the two cannot drift apart."""

from __future__ import annotations

from coursectl.errors import CourseError
from coursectl.model.report import Level, Outcome
from coursectl.ui.console import Console


def show(outcome: Outcome, console: Console, *, verbose: bool = False) -> None:
    """The answer to stdout, its messages to stderr.

    `views` has one function for each type of data; a type without one is our bug.
    """
    if outcome.data is not None:
        from coursectl.ui import views

        for line in views.lines(outcome.data, console, verbose=verbose):
            console.out(line)
    for message in outcome.messages:
        if message.level is Level.INFO and console.quiet:
            continue
        if message.level is not Level.WARNING:  # warnings were shown when they came up
            label = "error: " if message.level is Level.ERROR else ""
            console.err(label + message.text)
            if message.hint:
                console.err(f"hint:  {message.hint}")


def show_error(error: CourseError, console: Console) -> None:
    """``error:``, ``cause:`` and ``hint:`` lines on stderr."""
    import sys

    console.err(console.style("error: ", "bold", "red", stream=sys.stderr) + error.message)
    if error.cause:
        for n, line in enumerate(error.cause.splitlines()):
            console.err(("cause: " if n == 0 else "       ") + line)
    for hint in error.hints:
        console.err(console.style("hint:  ", "bold", "green", stream=sys.stderr) + str(hint))
