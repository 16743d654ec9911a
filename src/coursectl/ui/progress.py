"""Progress for a person: a live bar on a terminal, plain lines elsewhere, silence with ``-q``."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from coursectl.model.progress import Task
from coursectl.model.report import Level, Message
from coursectl.ui.console import Console
from coursectl.ui.units import amount, duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_OK = "[ok]"
_PLAIN_EVERY = 5.0  # seconds between two plain lines of one task


class Reporter:
    """The `model.progress.Progress` of the command line; keeps every warning for ``--json``."""

    def __init__(self, console: Console, *, quiet: bool = False, silent: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._silent = silent
        self._live: RichProgress | None = None
        self.messages: list[Message] = []

    def say(self, text: str) -> None:
        """One line on stderr."""
        if not self._quiet:
            self._line(text)

    def warn(self, text: str, *, code: str, hint: str | None = None) -> None:
        """One warning on stderr, and in the messages of the result."""
        self.messages.append(Message(level=Level.WARNING, code=code, text=text, hint=hint))
        if not self._silent:
            self._line(self._console.style("warning: ", "yellow", stream=sys.stderr) + text)
            if hint:
                self._line(f"hint:    {hint}")

    def task(self, label: str, *, total: int | None = None, unit: str = "") -> Task:
        """A bar on a terminal, else a line every few seconds."""
        if self._quiet:
            return _PlainTask(None, label, total, unit)
        if self._console.colors(sys.stderr):
            return _LiveTask(self._bars(), label, total, unit)
        return _PlainTask(self._line, label, total, unit)

    def close(self) -> None:
        """Take the bars away; what is printed after this stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, text: str) -> None:
        if text.startswith(_OK):
            text = self._console.style(_OK, "green", stream=sys.stderr) + text.removeprefix(_OK)
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text.from_ansi(text))
        else:
            self._console.err(text)

    def _bars(self) -> RichProgress:
        if self._live is None:
            from coursectl.ui.bars import bars

            self._live = bars()
            self._live.start()
        return self._live


class _LiveTask:
    def __init__(self, live: RichProgress, label: str, total: int | None, unit: str) -> None:
        self._live = live
        self._label = label
        self._task: TaskID = live.add_task(label, total=total, unit=unit, detail="")

    def advance(self, amount: int = 1) -> None:
        self._live.advance(self._task, amount)

    def total(self, total: int | None) -> None:
        self._live.update(self._task, total=total)

    def detail(self, text: str) -> None:
        self._live.update(self._task, detail=text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.remove_task(self._task)
        if not self._live.tasks:
            self._live.refresh()


class _PlainTask:
    def __init__(self, line: object, label: str, total: int | None, unit: str) -> None:
        self._line = line
        self._label, self._total, self._unit = label, total, unit
        self._done = 0
        self._start = self._last = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last >= _PLAIN_EVERY:
            self._last = now
            self._print(self._state(now))

    def total(self, total: int | None) -> None:
        self._total = total

    def detail(self, text: str) -> None:
        """A log does not need every package's name."""

    def _state(self, now: float) -> str:
        done = amount(self._done, self._unit if not self._total or self._unit == "bytes" else "")
        of = f" of {amount(self._total, self._unit)}" if self._total else ""
        left = ""
        if self._total and 0 < self._done < self._total:
            left = f", about {duration((now - self._start) * (self._total - self._done) / self._done)} left"
        return f"{self._label}: {done}{of}{left}"

    def _print(self, text: str) -> None:
        if callable(self._line):
            self._line(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.monotonic() - self._start
        if kind is None and seconds >= 1:
            self._print(f"{self._label}: done in {duration(seconds)}")
