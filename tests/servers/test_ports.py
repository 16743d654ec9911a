"""A port that is taken, and one that is taken between our look and the server's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursectl.backends import jupyter, jupyter_ports
from coursectl.errors import ServerError
from coursectl.model.progress import Silent
from servers import lab


def _listener(port: int) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


def test_a_taken_port_is_passed_over_and_a_race_for_it_is_lost_well(
    prefix: Path, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = lab.request(prefix, course, port=9340)
    look = jupyter_ports.free

    def free_a_moment_ago(first: int) -> Iterator[int]:
        for port in look(first):
            if port == 9341:
                with _listener(port):  # someone takes it before the server does
                    yield port
            else:
                yield port

    monkeypatch.setattr(jupyter_ports, "free", free_a_moment_ago)
    with _listener(9340):
        running = jupyter.start(asked, Silent())
    assert running.keeper is not None
    try:
        assert running.server.port == 9342
        assert jupyter.find(asked.key) == running.server
    finally:
        jupyter.end_keeper(running.keeper)


def test_all_ports_taken_is_an_error_that_names_the_flag(
    prefix: Path, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jupyter_ports, "PORTS", 2)
    with _listener(9350), _listener(9351), pytest.raises(ServerError, match="9350 to 9351") as caught:
        jupyter.start(lab.request(prefix, course, port=9350), Silent())
    assert "--port" in str(caught.value.hints[0])
    assert jupyter.find_all() == ()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(prefix: Path, course: Path, port: int) -> None:
    with pytest.raises(ServerError, match="no port"):
        jupyter.start(lab.request(prefix, course, port=port), Silent())
