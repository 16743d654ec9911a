"""How a workflow tells that it is getting on, without knowing what a terminal is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Task(Protocol):
    """One measured piece of work, closed by leaving its ``with`` block."""

    def advance(self, amount: int = 1) -> None:
        """`amount` more units are done."""

    def total(self, total: int | None) -> None:
        """The total is known now, or has changed."""

    def detail(self, text: str) -> None:
        """What is being worked on at this moment (a package name)."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progress(Protocol):
    """Where a workflow reports to; see `coursectl.ui.progress` for the real ones, `Silent` for none."""

    def say(self, text: str) -> None:
        """One line that a person should read now."""

    def warn(self, text: str, *, code: str, hint: str | None = None) -> None:
        """One line that a person should act on; it is in ``--json`` messages too."""

    def task(self, label: str, *, total: int | None = None, unit: str = "") -> Task:
        """Begin a measured piece of work; `unit` is ``bytes``, ``packages``, ``files`` or nothing."""


class _SilentTask:
    def advance(self, amount: int = 1) -> None: ...

    def total(self, total: int | None) -> None: ...

    def detail(self, text: str) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Silent:
    """Says nothing; for callers who want the data only."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str, *, code: str, hint: str | None = None) -> None:
        """Nothing."""

    def task(self, label: str, *, total: int | None = None, unit: str = "") -> Task:  # noqa: ARG002
        """A task that shows nothing."""
        return _SilentTask()
