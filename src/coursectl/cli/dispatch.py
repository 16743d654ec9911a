"""The only error boundary: argv in, an exit code out.

``--help`` is answered before anything heavy is imported, and a command's module is imported only when that
command was typed: what a start imports is what a start costs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coursectl.cli.globals import Globals, split
from coursectl.cli.registry import Entry, find
from coursectl.errors import CourseError, ExitCode

if TYPE_CHECKING:
    from coursectl.cli.session import Session
    from coursectl.model.report import Outcome


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; prints the answer and every error."""
    try:
        options, words = split(argv)
    except CourseError as exc:
        return _fail(exc, Globals(json="--json" in argv), ())
    if words[:1] == ["--version"]:
        return _version(options)
    if not words and options.json:
        return _fail(_no_command(), options, ())
    if not words or words[0] in {"-h", "--help", "help"}:
        _overview(options)
        return ExitCode.DONE if words else ExitCode.USAGE
    entry = find(words[0])
    if entry is None:
        return _fail(_unknown(words[0]), options, (words[0],))
    return _run_command(entry, words, options)


def _version(options: Globals) -> int:
    from coursectl import __version__
    from coursectl.cli.session import Session
    from coursectl.model.report import Outcome, Text

    return Session(options, ("--version",)).finish(Outcome(data=Text(text=f"coursectl {__version__}")))


def _overview(options: Globals) -> None:
    from coursectl.cli.globals import HELP
    from coursectl.cli.registry import COMMANDS
    from coursectl.ui.console import Console
    from coursectl.ui.help import show_overview

    commands = [(e.group, e.name, e.summary) for e in COMMANDS]
    show_overview(Console(no_color=options.no_color), commands, HELP)


def _run_command(entry: Entry, words: list[str], options: Globals) -> int:
    from coursectl.cli.session import Session

    session = Session(options, (entry.name,))
    try:
        outcome = _invoke(entry, words, session)
    except CourseError as exc:
        return session.fail(exc)
    except (KeyboardInterrupt, EOFError):
        return session.interrupted()
    except BrokenPipeError:
        return _quiet_pipe()
    except Exception as exc:
        return session.bug(exc)
    try:
        return session.finish(outcome)
    except BrokenPipeError:
        return _quiet_pipe()


def _invoke(entry: Entry, words: list[str], session: Session) -> Outcome | None:
    from importlib import import_module

    if entry.bare is not None and len(words) == 1:
        answered: Outcome = import_module(f"coursectl.cli.{entry.bare}").answer()
        return answered
    import typer

    from coursectl.cli.usage import translate

    module = import_module(f"coursectl.cli.{entry.module}")
    command = typer.main.get_command(module.APPS[entry.name])
    try:
        result = command.main(
            args=words[1:], prog_name=f"coursectl {entry.name}", standalone_mode=False, obj=session
        )
    except typer.Abort as exc:
        raise KeyboardInterrupt from exc
    except Exception as exc:
        raise translate(exc, entry.name, command) from exc
    if result == ExitCode.INTERRUPTED:  # typer's form of Ctrl-C
        raise KeyboardInterrupt
    return result if not isinstance(result, int) else None


def _no_command() -> CourseError:
    from coursectl.errors import Hint, UsageError

    return UsageError("no command was given", hints=(Hint(text="all commands:", command="coursectl --help"),))


def _unknown(name: str) -> CourseError:
    import difflib

    from coursectl.cli.registry import COMMANDS
    from coursectl.errors import Hint, UsageError

    if name.startswith("-"):
        return UsageError(f"there is no option {name}", hints=(Hint(text="see", command="coursectl --help"),))
    near = difflib.get_close_matches(name, [e.name for e in COMMANDS], n=1)
    hints = (Hint(text="did you mean", command=f"coursectl {near[0]}"),) if near else ()
    return UsageError(
        f"there is no command {name}", hints=(*hints, Hint(text="all commands:", command="coursectl --help"))
    )


def _fail(error: CourseError, options: Globals, command: tuple[str, ...]) -> int:
    from coursectl.cli.session import Session

    return Session(options, command).fail(error)


def _quiet_pipe() -> int:
    """The reader of our output went away (``| head``): not an error, and not a traceback at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE
