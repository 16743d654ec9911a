"""The live bars of a terminal: label, what, bar, amount, rate, time left."""

from __future__ import annotations

import sys

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from coursectl.ui.units import amount, duration


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = str(task.fields.get("unit", ""))
        done = amount(int(task.completed), unit if task.total is None or unit == "bytes" else "")
        if task.total is None:
            return Text(done if task.completed else "")
        return Text(f"{done} of {amount(int(task.total), unit)}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.fields.get("unit") != "bytes" or not task.speed:
            return Text("")
        left = f", {duration(task.time_remaining)} left" if task.time_remaining is not None else ""
        return Text(f"{amount(int(task.speed), 'bytes')}/s{left}", style="dim")


def bars() -> Progress:
    """A rich progress display on stderr that leaves nothing behind."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        _Amount(),
        _Rate(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=RichConsole(file=sys.stderr, highlight=False),
        transient=True,
    )
