"""A channel on the disk together with the server that serves it: what fixtures hand to tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from channel.archive import Package
from channel.server import ChannelServer
from channel.tiny import write_tiny


@dataclass(frozen=True, slots=True)
class ServedChannel:
    """`url` has no slash at the end; `server` makes faults and keeps the log; `root` is the folder."""

    url: str
    server: ChannelServer
    root: Path

    def add(self, packages: Sequence[Package]) -> None:
        """Write more packages into the channel and its index; never into the shared big one."""
        write_tiny(self.root, packages)


class TinyChannel(Protocol):
    """Writes a small channel and serves it until the test ends."""

    def __call__(self, packages: Sequence[Package] | None = None, *, python: bool = False) -> ServedChannel:
        """`packages`: the catalogue of `channel.tiny` by default; `python`: with the real python package."""
