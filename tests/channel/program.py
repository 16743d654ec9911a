"""What the fixture ``cli`` is and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended: its exit code and what it printed."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    def json(self) -> Any:
        """The envelope on standard output."""
        return json.loads(self.stdout)


class Cli(Protocol):
    """Runs ``coursectl`` as a program."""

    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> Ran:
        """`env` is added to the (isolated) environment of the test; fails the test at the timeout."""
