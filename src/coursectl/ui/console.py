"""The two places output goes: stdout is the answer, stderr everything else.

Plain text is written as it is; rich is imported only where a terminal shows colour. Meaning is never in
colour alone, and a terminal or locale without Unicode gets ASCII.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Console:
    """Writes lines; `styled` knows whether the stream shows colour."""

    def __init__(self, *, no_color: bool = False, quiet: bool = False) -> None:
        self.quiet = quiet
        self._no_color = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"

    def colors(self, stream: TextIO) -> bool:
        """Whether `stream` is a terminal that shows colour."""
        if self._no_color or not stream.isatty():
            return False
        return sys.platform != "win32" or "WT_SESSION" in os.environ or "TERM" in os.environ

    def style(self, text: str, *names: str, stream: TextIO | None = None) -> str:
        """`text` in the styles (bold, dim, red, green, yellow, cyan) where `stream` shows them."""
        if not self.colors(stream or sys.stdout):
            return text
        codes = ";".join(_SGR[n] for n in names)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def out(self, text: str = "") -> None:
        """One line of the answer."""
        _write(sys.stdout, text + "\n")

    def err(self, text: str = "", *, end: str = "\n") -> None:
        """One line beside the answer."""
        _write(sys.stderr, text + end)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # a C locale: what it cannot show becomes ?
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
