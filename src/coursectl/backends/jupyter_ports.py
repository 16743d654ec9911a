"""Which port of the loopback address a server may take."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

from coursectl.errors import Hint, ServerError

PORTS = 100
"""How many ports are tried, from the wanted one on."""


def free(first: int) -> Iterator[int]:
    """The ports from `first` on that nobody listens on at the moment when each is handed back.

    Raises:
        ServerError: `first` is no port.
    """
    if not 1 <= first <= 65535:
        raise ServerError(f"there is no port {first}", hints=("a port is 1 to 65535",), code="no-port")
    for port in range(first, _last(first) + 1):
        with socket.socket() as probe:
            if sys.platform == "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:  # a port whose last connection is closing is free, as the server will see it
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


def all_taken(first: int) -> ServerError:
    """The error to raise where `free` gave nothing that worked."""
    elsewhere = 18888 if first < 18000 else 8888
    return ServerError(
        f"no free port from {first} to {_last(first)}",
        hints=(
            Hint(text="name another first port:", command=f"coursectl up --port {elsewhere}"),
            Hint(text="or end servers that you do not need:", command="coursectl down"),
        ),
        code="no-port",
    )


def _last(first: int) -> int:
    return min(first + PORTS - 1, 65535)
