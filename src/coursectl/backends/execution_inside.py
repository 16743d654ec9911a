"""What a notebook's own process does to itself, in both ways: its seeds, its network, its end.

Standalone: run by the environment's Python (3.9 or newer), so it imports nothing of coursectl.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

_REFUSED = "coursectl runs this notebook without network; declare `network: true` in course.yaml's notebooks"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def adopt() -> None:
    """Become the parent of what our children leave behind: ``prctl(2)``, Linux."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with(parent: int) -> None:
    """End when the process that started this one does; be the first to go where memory is short. Linux."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked to be told
        os._exit(1)
    try:
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError:  # a container may not allow it
        return


def seed(value: int) -> None:
    """Give ``random`` and NumPy's legacy generator a fixed start. NumPy is imported where it is installed."""
    random.seed(value)
    with contextlib.suppress(Exception):  # a broken NumPy is for the notebook to meet
        import numpy

        numpy.random.seed(value % 2**32)


def refuse_network() -> None:
    """Refuse connections beyond this machine: a guard against accidents, not a jail; programs get through."""
    connect, connect_ex, lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    near = {"", "localhost", "ip6-localhost", "0.0.0.0", "::", "::1", socket.gethostname()}

    def outside(host: Any) -> bool:
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii", "replace")
        return host is not None and host not in near and not re.match(r"(::ffff:)?127\.", str(host))

    def numeric(host: Any) -> bool:
        return bool(re.fullmatch(r"[\d.]+|[\da-fA-F:.]*:[\da-fA-F:.%\w]*", str(host)))

    def refused(sock: socket.socket, address: Any) -> bool:
        # connecting a datagram socket sends nothing: it is how programs ask for their own address
        internet = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        return internet and outside(address[0])

    def guarded(self: socket.socket, address: Any) -> None:
        if refused(self, address):
            raise ConnectionRefusedError(f"{address[0]}: {_REFUSED}")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if refused(self, address):
            raise ConnectionRefusedError(f"{address[0]}: {_REFUSED}")
        return connect_ex(self, address)

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if outside(host) and not numeric(host):  # an address is refused when it is connected
            raise socket.gaierror(socket.EAI_FAIL, f"{host}: {_REFUSED}")
        return lookup(host, *args, **kwargs)

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_ex  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = guarded_lookup


def peak_memory() -> int:
    """The most memory that this process ever had resident, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def warn_always() -> None:
    """Let every warning through once a place; what is shown in the notebook stays as it is in a kernel.

    Called before the first import, so that the filters of the libraries stand before this one. Called again,
    it makes Python forget what it has warned about.
    """
    warnings.simplefilter("default", append=("default", None, Warning, None, 0) in warnings.filters)


def over() -> list[tuple[int, int]]:
    """The children of this process that have ended, with what ``waitpid`` says of each."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))


def die_of(number: int) -> None:
    """End as if by a signal, without a core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def sweep(spared: set[int]) -> None:
    """End every child of this process that is not `spared`, and theirs: what a dead notebook left to us."""
    for _ in range(100):
        strangers = [pid for pid in children(os.getpid()) if pid not in spared]
        if not strangers:
            return
        for pid in strangers:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                pass
        time.sleep(0.005)


def children(parent: int) -> list[int]:
    """The processes that `parent` would be told about, from Linux's ``/proc``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found
