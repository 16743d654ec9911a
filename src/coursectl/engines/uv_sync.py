"""What installing with uv needs around it: progress from its lines, and a cache that can be healed."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from coursectl import files
from coursectl.engines import uv_program
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import Doing
from coursectl.errors import Hint, InstallError
from coursectl.model.progress import Progress, Task

_SAMPLE = 1.0  # seconds between two looks at the cache
_WORTH_SHOWING = 1_000_000  # bytes


class PackageLines:
    """uv's lines on standard error to a task that counts packages.

    uv names a package when it begins and ends to fetch it, if it is larger than a megabyte; the rest it
    counts once, when everything is there ("Prepared 12 packages in 3s").
    """

    def __init__(self, task: Task, total: int) -> None:
        self._task, self._left = task, total

    def __call__(self, line: str) -> None:
        """Take one line."""
        if found := re.match(r"\s*(Downloading|Building|Downloaded|Built) (\S+)(?: \((.*)\))?", line):
            verb, name, size = found.groups()
            self._task.detail(f"{name} {size}" if size else name)
            if verb in {"Downloaded", "Built"} and self._left:
                self._left -= 1
                self._task.advance()
        elif re.match(r"(Prepared|Installed) \d+ packages?", line):
            self._task.detail("linking files" if line.startswith("Prepared") else "")
            self._task.advance(self._left)
            self._left = 0


@contextlib.contextmanager
def growth(cache: Path, expected: int | None, progress: Progress) -> Iterator[None]:
    """Show the bytes that uv unpacks into its cache while the ``with`` block runs.

    uv tells a program that is no terminal nothing about bytes, so the cache is watched instead. A warm cache
    does not grow, and then nothing is shown.

    Args:
        expected: bytes that an empty cache will hold in the end, ``None`` if unknown.
    """
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(cache, expected, progress, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(cache: Path, expected: int | None, progress: Progress, over: threading.Event) -> None:
    # from a warm cache everything is there within a second or so: counting its files would only delay that
    if over.wait(_SAMPLE):
        return
    before, seen = files.tree_bytes(cache) if cache.exists() else 0, 0
    with contextlib.ExitStack() as stack:
        task: Task | None = None
        pause = _SAMPLE
        while not over.wait(pause):
            start = time.monotonic()
            grown = files.tree_bytes(cache) - before if cache.exists() else 0
            pause = max(_SAMPLE, 10 * (time.monotonic() - start))  # looking costs a tenth at the most
            if task is None and grown > _WORTH_SHOWING:
                task = stack.enter_context(
                    progress.task("downloading, unpacked", total=expected, unit="bytes")
                )
            if task is not None and grown > seen:
                if expected is not None and grown > expected:
                    task.total(grown)  # the estimate was low
                task.advance(grown - seen)
                seen = grown


def heal(packages: Sequence[str], network: Network, *, failed: str) -> None:
    """Throw packages out of uv's cache, so that the next install fetches them again.

    Args:
        failed: the message if they cannot be fetched again.

    Raises:
        InstallError: the network is off: the damaged copy stays, because nothing could replace it.
    """
    if network.offline:
        raise InstallError(
            failed,
            cause=f"the cache holds damaged copies of {', '.join(packages)}, and --offline fetches none",
            hints=(Hint(text="run it once with a network, without --offline"),),
            code="damaged",
        )
    with uv_program.workplace() as folder:
        uv_program.run(
            ["cache", "clean", *packages], network=network, doing=Doing(failed=failed), folder=folder
        )
