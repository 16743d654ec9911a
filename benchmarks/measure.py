"""What the benchmarks share: alternating rounds, a table of ratios, folders of their own.

A ratio is taken of two things that ran in turn within one run of one script, because a machine is never as
fast as it was yesterday. It is the ratio of the minima: other programs only ever make a run slower, so the
fastest of n runs is the least disturbed one; the median beside it tells how disturbed the others were.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
"""Material that lies beside the repository where the project is developed; nobody else has it."""

Action = Callable[[], float | None]
"""One run; returns its seconds where not all of it counts, ``None`` where the whole call does."""


class BenchmarkError(Exception):
    """A benchmark cannot be run here, or what it runs failed; the text says why."""


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of every run of one thing."""

    runs: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.runs)

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


def alternate(actions: Mapping[str, Action], *, rounds: int, warm_up: int = 1) -> dict[str, Times]:
    """Run every action once a round, in an order that turns with the rounds; warm-up rounds do not count."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    names = list(actions)
    for number in range(warm_up + rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            told = actions[name]()
            seconds = time.perf_counter() - start if told is None else told
            if number >= warm_up:
                found[name].append(seconds)
    return {name: Times(tuple(runs)) for name, runs in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table; without a peer it is shown for information."""

    what: str
    ours: Times
    peer: Times | None = None
    peer_name: str = ""
    aim: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours.best / self.peer.best


def show(rows: Sequence[Row]) -> None:
    """Print a table in Markdown, which the page docs/benchmarks.md takes as it is."""
    head = ("what", "ours: best (median)", "against", "best (median)", "ratio", "aim")
    lines = [head]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        aim = "" if row.aim is None else f"{row.aim:g}"
        if row.aim is not None and row.ratio is not None and row.ratio > row.aim:
            aim += " (missed)"
        lines.append((row.what, _both(row.ours), row.peer_name, _both(row.peer), ratio, aim))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def _both(times: Times | None) -> str:
    return "" if times is None else f"{span(times.best)} ({span(times.median)})"


def span(seconds: float) -> str:
    """A time as a person reads it: ``23.4 ms``, ``1.23 s``."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def machine() -> str:
    """The machine and how busy it is: without its load a figure means little."""
    text = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    text += f", Python {platform.python_version()}"
    with contextlib.suppress(OSError, AttributeError):
        text += ", load " + " ".join(f"{n:.1f}" for n in os.getloadavg())
    return f"{time.strftime('%Y-%m-%d %H:%M')}, {text}"


def program(name: str, python: Path | None = None) -> Path | None:
    """A program installed beside `python` (ours by default); ``None`` where there is none."""
    folder = Path(python or sys.executable).parent
    found = shutil.which(name, path=str(folder))
    return None if found is None else Path(found)


def our_program() -> Path:
    """``coursectl`` as it is installed beside this Python.

    Raises:
        BenchmarkError: it is not.
    """
    found = program("coursectl")
    if found is None:
        raise BenchmarkError("coursectl is not installed beside this Python: pip install -e '.[dev]'")
    return found


def call(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end.

    Raises:
        BenchmarkError: it failed; with the end of what it said.
    """
    done = subprocess.run(
        [str(a) for a in argv],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace")[-1500:]
        raise BenchmarkError(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{said}")
    return done


@contextlib.contextmanager
def sandbox() -> Iterator[Path]:
    """A folder for everything; with the environment of `isolated` nothing outside it is touched."""
    folder = Path(tempfile.mkdtemp(prefix="coursectl-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def isolated(folder: Path) -> dict[str, str]:
    """Our environment with coursectl's home and cache below `folder`, and nobody's settings."""
    strange = ("COURSECTL_", "JUPYTER", "JPY_", "CONDA_", "VIRTUAL_ENV", "PYTHON")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    user = folder / "user"
    user.mkdir(exist_ok=True)
    return kept | {
        "COURSECTL_HOME": str(folder / "home"),
        "COURSECTL_CACHE": str(folder / "cache"),
        "HOME": str(user),
        # compiled once and kept, as on anybody's machine, but not in the source tree of whoever runs this
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "NO_COLOR": "1",
    }


def arguments(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(
        description=(description or "").split("\n\n")[0], formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help=f"measured rounds (default: {rounds})")
    return parser


def main(run: Callable[[], None]) -> None:
    """Run a script's own main; what cannot be done is one line, not a traceback."""
    try:
        run()
    except BenchmarkError as exc:
        sys.exit(f"error: {exc}")
