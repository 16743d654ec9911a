"""Networks that lie, break and hang, on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from coursectl import web
from coursectl.errors import NetworkError

Answer = tuple[int, str, bytes]
Serve = Callable[[Callable[[str], Answer]], str]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server whose answers a function of the path decides; hands back its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/conda"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


ZSTD = b"\x28\xb5\x2f\xfd" + b"\0" * 60
MISSING: Answer = (404, "text/plain", b"no")


@pytest.mark.parametrize(
    ("zst", "plain", "ok", "word"),
    [
        ((200, "application/zstd", ZSTD), MISSING, True, "answers"),
        ((206, "application/octet-stream", ZSTD), MISSING, True, "answers"),
        (MISSING, (200, "application/json", b'{"info": {}}'), True, "answers"),
        (MISSING, MISSING, False, "no channel"),
        ((200, "text/html", b"<html>Welcome to Hotel Wi-Fi"), MISSING, False, "log in to this network"),
        ((200, "application/json", b"  <!DOCTYPE html>"), MISSING, False, "log in to this network"),
        ((511, "text/html", b"<html>"), MISSING, False, "log in first"),
        ((403, "text/html", b"<html>"), MISSING, False, "status 403"),
        ((503, "text/plain", b""), MISSING, False, "status 503"),
    ],
    ids=["zst", "range", "json", "empty", "portal", "sly portal", "511", "forbidden", "down"],
)
def test_what_answers_is_a_channel_only_with_an_index(
    serve: Serve, zst: Answer, plain: Answer, ok: bool, word: str
) -> None:
    address = serve(lambda path: zst if path.endswith(".zst") else plain)
    for asked in (address, f"{address}/", f"{address}/noarch/repodata.json.zst"):
        reach = web.reachable(asked)
        assert (reach.ok, word in reach.reason) == (ok, True), reach


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        reach = web.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/conda", 0.5)
        assert time.monotonic() - start < 5
    assert not reach.ok
    assert "in time" in reach.reason


def test_a_dead_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@127.0.0.1:9")
    reach = web.reachable("https://conda.example.org/conda-forge")
    assert not reach.ok
    assert "the proxy http://127.0.0.1:9 does not answer" in reach.reason
    assert "secret" not in reach.reason
    error = web.translate(requests.exceptions.ProxyError("x"), "https://conda.example.org/")
    assert error.code == "proxy"
    assert "https_proxy" in str(error.hints[0])


def test_an_unknown_certificate_says_what_to_set() -> None:
    error = web.translate(requests.exceptions.SSLError("x"), "https://u:p@mirror.example.edu/conda?t=1")
    assert error.message == "cannot trust https://mirror.example.edu/conda"
    assert "REQUESTS_CA_BUNDLE" in str(error.hints[0])


def test_offline_asks_nobody() -> None:
    with pytest.raises(NetworkError) as caught:
        web.session(offline=True)
    assert caught.value.code == "offline"
    assert not web.reachable("https://conda.example.org/conda-forge", offline=True).ok


def test_a_server_that_stumbles_is_asked_again(serve: Serve) -> None:
    answers: list[Answer] = [(503, "text/plain", b""), (429, "text/plain", b""), (200, "text/plain", b"ok")]
    address = serve(lambda _path: answers.pop(0))
    with web.session() as session:
        assert session.get(address).text == "ok"


def test_every_request_has_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_TIMEOUT", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with (
            web.session(retries=0) as session,
            pytest.raises(requests.exceptions.RequestException, match="timed out"),
        ):
            session.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_a_channel_in_a_folder_needs_its_index(tmp_path: Path) -> None:
    folder = tmp_path / "a channel é"
    assert not web.reachable(folder.as_uri()).ok
    (folder / "noarch").mkdir(parents=True)
    (folder / "noarch" / "repodata.json").write_text("{}")
    assert web.reachable(folder.as_uri()).ok


def test_a_port_that_does_not_speak_http_is_an_os_error() -> None:
    def babble(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        thread = threading.Thread(target=babble, args=(server,))
        thread.start()
        with pytest.raises(OSError, match="does not speak HTTP"):
            web.loopback(server.getsockname()[1], "/api/status", token="t")
        thread.join()
