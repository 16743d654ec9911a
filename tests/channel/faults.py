"""The faults of a network that `channel.server` can be told to have; its text shows them all."""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong."""

    FAIL = "fail"
    TRUNCATE = "truncate"
    RESET = "reset"
    STALL = "stall"
    SLOW = "slow"
    CORRUPT = "corrupt"
    PORTAL = "portal"
    REDIRECT = "redirect"
    NO_RANGES = "no-ranges"
    NEW_ETAGS = "new-etags"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong; see the module's text. `hits` counts the requests that met it."""

    kind: FaultKind
    pattern: str = "*"
    times: int | None = None
    status: int = 503
    retry_after: float | None = None
    after: int = 0
    rate: float = 0.0
    location: str = ""
    hits: int = 0


class Faults:
    """What goes wrong now, in the order in which it was asked for."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._turn = threading.Lock()
        self._healed = threading.Event()

    def release(self) -> None:
        """Let the stalled and slow answers of now come to their end; the faults stay."""
        self._healed.set()
        self._healed = threading.Event()

    def heal(self) -> None:
        """End all faults."""
        with self._turn:
            self._faults.clear()
        self.release()

    def _add(self, fault: Fault) -> Fault:
        with self._turn:
            self._faults.append(fault)
        return fault

    def fail(
        self,
        pattern: str = "*",
        *,
        status: int = 503,
        retry_after: float | None = None,
        times: int | None = None,
    ) -> Fault:
        """Answer with an error status (503, 429, 404 ...)."""
        return self._add(
            Fault(kind=FaultKind.FAIL, pattern=pattern, status=status, retry_after=retry_after, times=times)
        )

    def truncate(self, pattern: str = "*", *, after: int = 0, times: int | None = None) -> Fault:
        """End the body after that many bytes with an orderly close."""
        return self._add(Fault(kind=FaultKind.TRUNCATE, pattern=pattern, after=after, times=times))

    def reset(self, pattern: str = "*", *, after: int = 0, times: int | None = None) -> Fault:
        """Break the connection (RST) after that many bytes."""
        return self._add(Fault(kind=FaultKind.RESET, pattern=pattern, after=after, times=times))

    def stall(self, pattern: str = "*", *, after: int = 0, times: int | None = None) -> Fault:
        """Send that many bytes, then nothing, until `heal` or `stop`."""
        return self._add(Fault(kind=FaultKind.STALL, pattern=pattern, after=after, times=times))

    def slow(self, pattern: str = "*", *, rate: float, times: int | None = None) -> Fault:
        """Send `rate` bytes per second on each connection."""
        return self._add(Fault(kind=FaultKind.SLOW, pattern=pattern, rate=rate, times=times))

    def corrupt(self, pattern: str, *, times: int | None = None) -> Fault:
        """Change one byte in the middle of the file."""
        return self._add(Fault(kind=FaultKind.CORRUPT, pattern=pattern, times=times))

    def portal(self, pattern: str = "*", *, times: int | None = None) -> Fault:
        """Answer like a captive portal: 200 and a page of HTML."""
        return self._add(Fault(kind=FaultKind.PORTAL, pattern=pattern, times=times))

    def redirect(self, pattern: str, location: str, *, times: int | None = None) -> Fault:
        """Answer 302 to `location`."""
        return self._add(Fault(kind=FaultKind.REDIRECT, pattern=pattern, location=location, times=times))

    def no_ranges(self, pattern: str = "*") -> Fault:
        """Ignore the Range header."""
        return self._add(Fault(kind=FaultKind.NO_RANGES, pattern=pattern))

    def new_etags(self, pattern: str = "*") -> Fault:
        """Give every answer another ETag."""
        return self._add(Fault(kind=FaultKind.NEW_ETAGS, pattern=pattern))

    def meet(self, method: str, path: str) -> tuple[Fault | None, threading.Event]:
        """The fault that a request meets, counted; with the event that `heal` will set."""
        with self._turn:
            for fault in self._faults:
                spent = fault.times is not None and (fault.hits >= fault.times or method != "GET")
                if not spent and fnmatch.fnmatchcase(path, fault.pattern):
                    fault.hits += 1
                    return fault, self._healed
            return None, self._healed
