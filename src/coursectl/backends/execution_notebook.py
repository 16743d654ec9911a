"""One notebook, cell by cell, with its limits: the same loop for both ways of running."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coursectl.backends.execution_outputs import Message, Outputs, plain
from coursectl.backends.execution_session import Meter, Session, StoppedError, Stopwatch, code_cells
from coursectl.backends.execution_watch import MIME
from coursectl.model.execution import CellRun, Executed, Job
from coursectl.model.notebook import RAISES_TAG
from coursectl.model.suite import CellError, CellWarning, Verdict

_TICK = 0.05  # seconds between two looks at the limits
_GRACE = 2.0  # seconds that an interrupted cell has to say where it was
_MEGA = 1_000_000


class _EndedError(Exception):
    """The notebook ends here."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict, self.reason = verdict, reason


def run(job: Job, session: Session, stop: threading.Event) -> Executed:
    """Run a notebook in a fresh session and write it down. The session is not ended.

    After an error it goes on. A cell over its time is interrupted, so that it says where it was, and the
    notebook ends there: what an interrupted cell leaves half done would only make the rest fail.

    Raises:
        StoppedError: `stop` was set; nothing is written.
        CourseError: the executed notebook cannot be written.
    """
    return _Run(job, session, stop).whole()


class _Run:
    """The state of one run."""

    def __init__(self, job: Job, session: Session, stop: threading.Event) -> None:
        self.job, self.session, self.stop = job, session, stop
        self.todo = code_cells(job)
        self.outputs = Outputs(job.notebook)
        self.meter = Meter(session.pid)
        self.total = Stopwatch(self.meter)
        self.printed = 0
        self.polled = 0.0
        self.peak = 0
        self.cells: list[CellRun] = []
        self.sent: list[int] = []  # the number of each cell that was sent
        self.numbers: dict[str, float] = {}

    def whole(self) -> Executed:
        verdict, reason = Verdict.OK, None
        try:
            for cell in self.todo:
                self.cell(cell.number, cell.source, wanted=RAISES_TAG in cell.tags)
            failed = next((c.error for c in self.cells if c.error), None)
            if failed:
                verdict, reason = Verdict.FAILED, f"cell {failed.cell}: {_short(failed)}"
        except _EndedError as end:
            verdict, reason = end.verdict, end.reason
        self.outputs.write(self.job.executed)
        return Executed(
            verdict=verdict,
            reason=reason,
            seconds=self.total.wall(),
            peak_bytes=max(self.peak, self.meter.peak) or None,
            cells=tuple(self.cells),
            numbers=self.numbers,
        )

    def cell(self, number: int, source: str, *, wanted: bool) -> None:
        """Run one cell and note what came of it."""
        one = _Cell(number, Stopwatch(self.meter))
        self.sent.append(number)
        try:
            self.session.send(source)
            while not self.step(one, _TICK):
                self.check(one)
        except _EndedError as end:
            if end.verdict is Verdict.TIMED_OUT:
                self.interrupt(one)
            name = "CellTimeout" if end.verdict is Verdict.TIMED_OUT else "KernelDied"
            shown = replace(one.error(), name=name, message=end.reason)
            shown = shown if shown.traceback else replace(shown, traceback=f"{name}: {end.reason}")
            self.note_error(number, shown)
            self.cells.append(one.run(shown, self.sent))
            raise
        self.cells.append(one.run(one.error() if one.raised and not wanted else None, self.sent))
        self.numbers |= {name: float(value) for name, value in one.report.get("numbers", {}).items()}
        if one.report.get("exit") and number != self.todo[-1].number:
            raise _EndedError(Verdict.KILLED, f"cell {number} ended the kernel with exit or quit")

    def step(self, one: _Cell, seconds: float) -> bool:
        """Take one message; whether the cell is over.

        Raises:
            _EndedError: too much output, or the kernel died.
        """
        message = self.session.receive(seconds)
        if message is None:
            death = self.session.death()
            if death is not None:
                raise _EndedError(Verdict.KILLED, f"the kernel {death} in cell {one.number}")
            return False
        index = one.number - 1
        if message.kind == "idle":
            self.outputs.ended(index, message.content.get("count"))
            return True
        if message.kind == "display_data" and MIME in message.content.get("data", {}):
            one.report = message.content["data"][MIME]
            self.peak = max(self.peak, int(one.report["peak"]))
            return False
        self.printed += message.size
        if self.printed > self.job.output_bytes:
            limit = self.job.output_bytes / _MEGA
            raise _EndedError(Verdict.KILLED, f"more than {limit:g} MB of output in cell {one.number}")
        if message.kind == "error":
            one.raised = message.content
        self.outputs.add(index, message)
        return False

    def check(self, one: _Cell) -> None:
        """Compare with the limits, now and then.

        Raises:
            _EndedError: one is passed.
            StoppedError: the person wants to stop.
        """
        now = time.monotonic()
        if now - self.polled < _TICK:
            return
        self.polled = now
        job = self.job
        if self.stop.is_set():
            raise StoppedError
        memory, most = self.meter.memory(), job.memory_bytes
        if most is not None and memory > most and self.meter.without_sharing() > most:
            limit = most / _MEGA
            raise _EndedError(Verdict.KILLED, f"more than {limit:g} MB of memory in cell {one.number}")
        if one.clock.seconds() > job.cell_timeout:
            raise _EndedError(Verdict.TIMED_OUT, f"cell {one.number} ran longer than {job.cell_timeout:g} s")
        if self.total.seconds() > job.timeout:
            raise _EndedError(
                Verdict.TIMED_OUT, f"ran longer than {job.timeout:g} s in all; cell {one.number} was running"
            )

    def interrupt(self, one: _Cell) -> None:
        """Ask the cell where it is; C code that never looks does not answer."""
        self.session.interrupt()
        deadline = time.monotonic() + _GRACE
        try:
            while time.monotonic() < deadline and not self.step(one, _TICK):
                if self.stop.is_set():
                    return
        except _EndedError:
            return

    def note_error(self, number: int, error: CellError) -> None:
        """Leave in the executed notebook why it ends here."""
        content = {
            "ename": error.name,
            "evalue": error.message,
            "traceback": [f"{error.name}: {error.message}"],
        }
        self.outputs.add(number - 1, Message("error", content))


class _Cell:
    """A cell that runs."""

    def __init__(self, number: int, clock: Stopwatch) -> None:
        self.number, self.clock = number, clock
        self.raised: Mapping[str, Any] = {}
        self.report: Mapping[str, Any] = {}

    def error(self) -> CellError:
        """What it raised, with its place; without a message where it did not raise."""
        place = self.report.get("error") or {}
        return CellError(
            cell=self.number,
            line=place.get("line"),
            name=str(self.raised.get("ename", "")),
            message=plain(str(self.raised.get("evalue", ""))),
            traceback=plain("\n".join(self.raised.get("traceback", ()))),
            file=place.get("file"),
            file_line=place.get("file_line"),
        )

    def run(self, error: CellError | None, sent: list[int]) -> CellRun:
        """What came of it. `sent` has the numbers of the cells in the order in which they were sent."""
        warnings = tuple(
            CellWarning(
                cell=sent[w["cell"] - 1] if 0 < w["cell"] <= len(sent) else self.number,
                line=w["line"],
                category=w["category"],
                message=w["message"],
                file=w["file"],
                count=w["count"],
            )
            for w in self.report.get("warnings", ())
        )
        return CellRun(
            cell=self.number,
            seconds=self.clock.wall(),
            error=error,
            warnings=warnings,
            defined=tuple(self.report.get("defined", ())),
        )


def _short(error: CellError) -> str:
    first = error.message.strip().splitlines()[0] if error.message.strip() else ""
    return f"{error.name}: {first}"[:300] if first else error.name
