"""What is written down when coursectl itself is at fault. No token, key or environment value is in it."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from pathlib import Path

from coursectl import __version__, files, paths
from coursectl.cli.redaction import clean


def write_report(exc: Exception, command: tuple[str, ...]) -> Path | None:
    """Write the traceback where the person can find it; ``None`` where nothing can be written."""
    lines = (
        f"coursectl {__version__}: {' '.join(command)}",
        f"python {platform.python_version()} on {platform.platform()}, {sys.executable}",
        "",
        *traceback.format_exception(exc),
    )
    where = paths.logs() / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    try:
        files.write_atomic(where, clean("\n".join(lines)), mode=0o600)
    except Exception:  # whatever is broken here: the bug itself has to be told
        return None
    return where
