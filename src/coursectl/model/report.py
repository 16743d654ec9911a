"""The one result of a command: what text, ``--json`` and the exit code are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from coursectl.errors import CourseError, ExitCode

ENVELOPE_SCHEMA = 1


class Level(StrEnum):
    """How much a message matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Status(StrEnum):
    """Whether the command did what it was asked."""

    SUCCESS = "success"
    PARTIAL = "partial"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A line for the reader; `code` is stable, `hint` is the next step."""

    level: Level
    code: str
    text: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command returns. `data` is a frozen dataclass of `model` or a workflow's report.

    `ui.render` has one text form for each type of `data`; the JSON form is the dataclass itself.
    """

    data: object
    status: Status = Status.SUCCESS
    exit_code: int = ExitCode.DONE
    messages: tuple[Message, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """An answer that is a text already: a schema, a log, a file in another tool's format."""

    text: str


def error_messages(error: CourseError) -> tuple[Message, ...]:
    """The envelope's messages for an error: its cause in the text, its hints joined.

    >>> [m.text for m in error_messages(CourseError("it broke", cause="a fuse", hints=("mend it",)))]
    ['it broke: a fuse']
    """
    text = error.message if error.cause is None else f"{error.message}: {error.cause}"
    hint = "; ".join(str(h) for h in error.hints) or None
    return (Message(level=Level.ERROR, code=error.code, text=text, hint=hint),)
