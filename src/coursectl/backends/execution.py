"""Running notebooks in an installed environment: one protocol, two ways.

`Mode.SHARED` loads the usual imports once in the environment's own Python and forks a child for each
notebook; `Mode.ISOLATED` starts a kernel for each. Both run the same loop (`execution_notebook`) with the
same code inside (`execution_inside`), so that they differ in speed and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from coursectl.model.execution import CellRun, Executed, Executor, Job, Mode

__all__ = ["CellRun", "Executed", "Executor", "Job", "Mode", "executor"]


def executor(mode: Mode, prefix: Path, *, preload: Sequence[str]) -> Executor:
    """What runs notebooks in the environment at `prefix`.

    Args:
        preload: top-level modules that the suite imports; what cannot be shared is left out. Where the system
            cannot fork safely (anything but Linux), the isolated way is taken.

    Raises:
        MissingExtraError: a library of the extra ``staff`` is needed and absent.
    """
    if mode is Mode.SHARED and sys.platform.startswith("linux"):
        from coursectl.backends.execution_shared import Shared

        return Shared(prefix, preload)
    from coursectl.backends.execution_kernel import Isolated, require

    require()
    return Isolated(prefix)
