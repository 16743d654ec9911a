"""What installing with uv needs around it: progress from its lines, and a cache that can be healed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from coursectl.engines import uv_program
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import Doing
from coursectl.errors import Hint, InstallError
from coursectl.model.progress import Task


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
