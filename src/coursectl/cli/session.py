"""One run of one command: what its function is given, and how its result or error leaves the program."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl.cli.globals import Globals
from coursectl.errors import CourseError, ExitCode, Hint, UsageError
from coursectl.model.report import Outcome, Status, error_messages
from coursectl.ui import render
from coursectl.ui.console import Console
from coursectl.ui.progress import Reporter

if TYPE_CHECKING:
    from coursectl.engines.base import Network
    from coursectl.model.course import Course
    from coursectl.settings import Settings


class Session:
    """What a command function finds in ``ctx.obj``: options, progress, and the course when it asks."""

    def __init__(self, options: Globals, command: tuple[str, ...]) -> None:
        self.options = options
        self.command = command
        self.console = Console(no_color=options.no_color, quiet=options.quiet)
        self.progress = Reporter(self.console, quiet=options.quiet or options.json, silent=options.json)
        self._answered = False

    @cached_property
    def course(self) -> Course:
        """The course that the command is about, found upward from ``-C`` or the working directory.

        Raises:
            CourseFileError: there is none, or it is wrong.
        """
        from coursectl import config

        return config.load_course(config.find_course_file(self.folder))

    @property
    def course_root(self) -> Path | None:
        """The folder of the course that we are in; ``None`` outside one.

        Raises:
            CourseFileError: ``-C`` names a folder without a course.
        """
        from coursectl import config
        from coursectl.errors import CourseFileError

        try:
            return config.find_course_file(self.folder).parent
        except CourseFileError:
            if self.options.folder is not None:
                raise
            return None

    @property
    def folder(self) -> Path:
        """Where the search for course.yaml begins."""
        from coursectl.settings import course_folder

        return course_folder(self.options.folder)

    def settings(self, *, with_course: bool = True, **flags: object) -> Settings:
        """The effective settings: `flags` (``None``: not given) over variables over course.yaml."""
        from coursectl.settings import resolve

        given = {k: v for k, v in flags.items() if v is not None}
        return resolve(self.course if with_course else None, given)

    def network(self, settings: Settings) -> Network:
        """How this run reaches packages."""
        from coursectl import paths
        from coursectl.engines.base import Network

        return Network(cache=paths.cache(), mirrors=settings.mirrors, offline=settings.offline)

    def confirm(self, question: str, *, flag: str = "--yes") -> bool:
        """Ask before what costs or deletes.

        Raises:
            UsageError: there is no terminal to ask on, and the flag was not given.
        """
        if self.options.yes:
            return True
        if self.options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                f"{question} There is nobody to ask",
                cause="this is not a terminal",
                hints=(f"add {flag} to say yes",),
                code="needs-yes",
            )
        self.console.err(f"{question} [y/N] ", end="")
        return input().strip().lower() in {"y", "yes"}

    def finish(self, outcome: Outcome | None) -> int:
        """Print the answer of a command that came to its end; returns the exit code."""
        self.progress.close()
        if outcome is None:  # --help has said it all
            return ExitCode.DONE
        outcome = replace(outcome, messages=(*self.progress.messages, *outcome.messages))
        if self.options.json:
            self._out_json(outcome)
        else:
            render.show(outcome, self.console, verbose=self.options.verbose)
        return int(outcome.exit_code)

    def fail(self, error: CourseError) -> int:
        """Print an error: to stderr in words, or as the envelope; returns the exit code.

        An attached `up` has given its answer when JupyterLab crashes: the envelope stays the only one.
        """
        from coursectl.cli.redaction import cleaned

        self.progress.close()
        error = cleaned(error)
        if self.options.json and not self._answered:
            messages = (*self.progress.messages, *error_messages(error))
            outcome = Outcome(
                data=None, status=Status.ERROR, exit_code=error.exit_code, messages=tuple(messages)
            )
            self._out_json(outcome)
        else:
            render.show_error(error, self.console)
        return int(error.exit_code)

    def _out_json(self, outcome: Outcome) -> None:
        from coursectl.ui import envelope

        self.console.out(envelope.to_json(self.command, outcome))
        self._answered = True

    def interrupted(self) -> int:
        """Ctrl-C: nothing is lost, and the same command goes on where this one stopped."""

        class _InterruptedError(CourseError):
            exit_code = ExitCode.INTERRUPTED

        again = " ".join(("coursectl", *self.command))
        return self.fail(
            _InterruptedError(
                "interrupted",
                hints=(Hint(text="what is done is kept; go on with", command=again),),
                code="interrupted",
            )
        )

    def bug(self, exc: Exception) -> int:
        """An error that nobody foresaw: a report on disk, and how to hand it in."""
        from coursectl.cli.crash import write_report

        if self.options.verbose:
            import traceback

            from coursectl.cli.redaction import clean

            self.console.err(clean(traceback.format_exc()))

        class _BugError(CourseError):
            exit_code = ExitCode.BUG

        where = write_report(exc, self.command)
        return self.fail(
            _BugError(
                "this is a bug in coursectl",
                cause=f"{type(exc).__name__}: {exc}",
                hints=(f"please send us the report: {where}" if where else "run it again with -v",),
                code="bug",
            )
        )
