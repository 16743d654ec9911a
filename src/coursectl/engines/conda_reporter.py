"""What py-rattler tells while it installs, inside the child process (see `coursectl.engines.conda_child`)."""

from __future__ import annotations

import contextlib
import time
from typing import Protocol

from rattler.install.installer import InstallerReporter

STALL = 90.0
"""Seconds without a byte of any running download: a dead line, not a slow one."""

_TELL_EVERY = 0.1  # seconds between two byte events: a thousand a second would cost more than the download


class _Send(Protocol):
    def __call__(self, event: str, **content: object) -> None: ...


class Reporter(InstallerReporter):
    """Turns rattler's calls into events. No method may raise: rattler drops such an error in silence."""

    def __init__(self, send: _Send) -> None:
        self._send = send
        self._names: dict[int, str] = {}
        self._downloads: dict[int, tuple[str, int]] = {}
        self._unsent = 0
        self._sent_at = 0.0
        self._moved_at = time.monotonic()
        self._last_token = 0

    def _token(self, name: str) -> int:
        self._last_token += 1
        self._names[self._last_token] = name
        return self._last_token

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:  # noqa: ARG002
        """A package is looked up in the cache, and fetched if it is not there."""
        return self._token(package_name)

    def on_download_start(self, cache_entry: int) -> int:
        """A download begins; its token is the package's."""
        with contextlib.suppress(Exception):
            self._downloads[cache_entry] = (self._names.get(cache_entry, ""), 0)
            self._moved_at = time.monotonic()
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:  # noqa: ARG002
        """`progress` bytes have come so far; it starts again at 0 when a download is tried again."""
        with contextlib.suppress(Exception):
            name, before = self._downloads.get(download_idx, ("", 0))
            self._downloads[download_idx] = (name, progress)
            self._unsent += progress - before
            self._moved_at = time.monotonic()
            if self._moved_at - self._sent_at > _TELL_EVERY:
                self._tell(name)

    def on_download_completed(self, download_idx: int) -> None:
        """A download ended."""
        with contextlib.suppress(Exception):
            name, _ = self._downloads.pop(download_idx, ("", 0))
            self._moved_at = time.monotonic()
            self._tell(name)

    def _tell(self, name: str) -> None:
        amount = self._unsent
        if amount > 0:
            self._unsent, self._sent_at = 0, self._moved_at
            self._send("bytes", amount=amount, name=name)

    def on_link_start(self, operation: int, package_name: str) -> int:  # noqa: ARG002
        """A package begins to be linked."""
        return self._token(package_name)

    def on_link_complete(self, index: int) -> None:
        """A package is linked; its record in ``conda-meta`` may not be written yet."""
        with contextlib.suppress(Exception):
            self._send("linked", name=self._names.get(index, ""))

    def stalled(self) -> str | None:
        """A package whose download has been standing still, ``None`` while all is well."""
        if not self._downloads or time.monotonic() - self._moved_at < STALL:
            return None
        return next(iter(self._downloads.values()), ("", 0))[0]
