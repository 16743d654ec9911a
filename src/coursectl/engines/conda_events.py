"""What every request to the conda child shares: events, failures that have a name, the HTTP client."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rattler.networking import Client

_RETRIES = 3


class Events:
    """Writes events from any thread, one whole line each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def send(self, event: str, **content: object) -> None:
        """One line on standard output; the launcher may be gone, which is no error here."""
        line = json.dumps({"event": event, **content}).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            while line:
                line = line[os.write(1, line) :]


class Failure(Exception):
    """An end that the launcher has words for: `kind` names it, `facts` fill the words in."""

    def __init__(self, kind: str, text: str, **facts: object) -> None:
        super().__init__(text)
        self.kind = kind
        self.facts = facts


def client_of(request: Mapping[str, Any]) -> Client:
    """The HTTP client of a request: with its mirrors, and retries of what passes by itself."""
    from rattler.networking import Client
    from rattler.networking.middleware import MirrorMiddleware, RetryMiddleware

    mirrors = {base: list(others) for base, others in request["mirrors"].items()}
    # retries outside, mirrors inside: each try goes to the mirror that failed least
    retries = 0 if request["offline"] else _RETRIES
    last = [MirrorMiddleware(mirrors)] if mirrors else []
    return Client([RetryMiddleware(retries), *last], user_agent="coursectl")
