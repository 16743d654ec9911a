"""An HTTP server on 127.0.0.1 for conda channels, with the faults of a real network.

By hand, from ``tests/``::

    python -m channel.server DIR --port 8000

In a test::

    with ChannelServer(root) as server:          # or ChannelServer({"/conda-forge": root, "/mine": other})
        server.url                               # http://127.0.0.1:54321   (no slash at the end)
        server.put("/hello.txt", b"hi")          # a file that is not on the disk; it wins over one that is
        server.requests                          # [Request(method="GET", path="/noarch/repodata.json",
                                                 #          status=200, headers={...}, sent=1234), ...]
        server.count("*.conda")                  # requests answered for paths like that
        server.forget()                          # empties the log

        server.fail("*.conda", status=503, retry_after=1, times=2)    # the first two, then all is well
        server.truncate("*.conda", after=1000)   # the body ends early, the header told the whole length
        server.reset("*.conda", after=1000)      # the connection breaks there
        server.stall("*.conda", after=1000)      # nothing more comes, the connection stays
        server.slow("*", rate=100_000)           # bytes per second
        server.corrupt("*/pure-*.conda")         # same length, one byte in the middle differs
        server.portal("*")                       # a wifi log-in page, 200, text/html
        server.redirect("*.conda", "http://10.0.0.1/")
        server.no_ranges("*")                    # Range is ignored: 200 and the whole body
        server.new_etags("*")                    # another ETag on every answer
        server.heal()                            # all faults end; stalled requests too
        with server.down(): ...                  # nobody listens on the port; then it listens again

Paths are shell patterns matched against the whole path, ``*`` crosses ``/``. Each fault call returns a
`Fault` with ``hits``; the first fault that matches wins, ``times=None`` means until `heal`. A fault with
``times`` counts only GET requests.

Answers carry a strong ETag and Last-Modified, and honour If-None-Match (304), Range (206, 416) and If-Range.
``Cache-Control: max-age=0`` so that a client asks again and a test sees what it just changed.
"""

from __future__ import annotations

import argparse
import contextlib
import email.utils
import fnmatch
import hashlib
import http.server
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from channel.faults import Fault, FaultKind, Faults

BACKLOG = 512
"""Connections that may wait: an installer opens dozens at once; a short queue looks like a broken network."""

PORTAL_PAGE = b"<!doctype html><html><title>Campus Wi-Fi</title><body>Please log in.</body></html>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One answered request; `sent` is the bytes of the body that were handed to the system."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int = 0


@dataclass(frozen=True, slots=True)
class _Body:
    data: bytes
    etag: str
    modified: float


class ChannelServer(Faults):
    """Serves folders; start it with ``with`` or `start`. See the module's text."""

    def __init__(self, root: Path | Mapping[str, Path], *, port: int = 0) -> None:
        super().__init__()
        self.mounts: dict[str, Path] = {"": root} if isinstance(root, Path) else dict(root)
        self.port = port
        self._extra: dict[str, tuple[bytes, float]] = {}
        self._log: list[Request] = []
        self._mutex = threading.Lock()
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, the same while the server lives."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """What was answered so far, in order of completion."""
        with self._mutex:
            return list(self._log)

    def count(self, pattern: str = "*", *, method: str | None = None) -> int:
        """How many answered requests had a path like `pattern`."""
        return sum(fnmatch.fnmatchcase(r.path, pattern) and method in {None, r.method} for r in self.requests)

    def forget(self) -> None:
        """Empty the log."""
        with self._mutex:
            self._log.clear()

    def put(self, path: str, data: bytes) -> None:
        """Serve `data` at `path`, whatever the disk has."""
        with self._mutex:
            self._extra[path] = (data, time.time())

    def start(self) -> Self:
        """Listen; the port is chosen at the first start and kept."""
        self._http = _Http(("127.0.0.1", self.port), self)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection; nothing where it does not run."""
        if self._http is None or self._thread is None:
            return
        self._http.shutdown()
        self._thread.join()
        workers = self._http.close_all()
        self.release()  # only now: no new request can begin to stall
        for worker in workers:
            worker.join(timeout=10)
        self._http = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens meanwhile: connections are refused, those that stand are closed."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def log(self, request: Request) -> None:
        """Remember an answered request."""
        with self._mutex:
            self._log.append(request)

    def body(self, path: str) -> _Body | None:
        """The file at a URL path, ``None`` where there is none."""
        with self._mutex:
            extra = self._extra.get(path)
        if extra is not None:
            return _Body(extra[0], f'"{hashlib.sha256(extra[0]).hexdigest()[:32]}"', extra[1])
        for prefix, root in self.mounts.items():
            inside = path.removeprefix(prefix + "/")
            if inside == path or ".." in Path(inside).parts:
                continue
            file = root / inside
            try:
                data, info = file.read_bytes(), file.stat()
            except OSError:  # absent, or a folder: both are 404
                continue
            return _Body(data, f'"{len(data):x}-{info.st_mtime_ns:x}"', info.st_mtime)
        return None


class _Http(http.server.ThreadingHTTPServer):
    request_queue_size = BACKLOG
    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let two servers share a port

    def __init__(self, address: tuple[str, int], owner: ChannelServer) -> None:
        self.owner = owner
        self._live: set[socket.socket] = set()
        self._workers: list[threading.Thread] = []
        self._mutex = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        worker = threading.Thread(target=self._work, args=(request, client_address), daemon=True)
        with self._mutex:
            self._live.add(request)
            self._workers = [w for w in self._workers if w.is_alive()] + [worker]
            worker.start()

    def _work(self, request: socket.socket, client_address: object) -> None:
        try:
            with contextlib.suppress(OSError):  # the client left; that is its right
                self.finish_request(request, client_address)
        finally:
            with self._mutex:
                self._live.discard(request)
            self.shutdown_request(request)

    def close_all(self) -> list[threading.Thread]:
        """Close the port and every connection; returns the threads that are about to end."""
        self.server_close()
        with self._mutex:
            live, workers = list(self._live), list(self._workers)
        for connection in live:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return workers


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet; `ChannelServer.requests` is the log."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer()

    def _answer(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        fault, healed = self.server.owner.meet(self.command, path)
        kind = fault.kind if fault else None
        if fault is not None and kind is FaultKind.FAIL:
            extra = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            return self._plain(path, fault.status, b"the server says no\n", extra)
        if fault is not None and kind is FaultKind.REDIRECT:
            return self._plain(path, 302, b"", {"Location": fault.location})
        if kind is FaultKind.PORTAL:
            return self._plain(path, 200, PORTAL_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        body = self.server.owner.body(path)
        if body is None:
            return self._plain(path, 404, b"there is no such file\n", {})
        data, etag = body.data, body.etag
        if kind is FaultKind.CORRUPT and data:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        if kind is FaultKind.NEW_ETAGS:
            etag = f'"{time.monotonic_ns():x}"'
        headers = {
            "ETag": etag,
            "Last-Modified": email.utils.formatdate(body.modified, usegmt=True),
            "Cache-Control": "public, max-age=0",
            "Accept-Ranges": "none" if kind is FaultKind.NO_RANGES else "bytes",
            "Content-Type": "application/octet-stream",
        }
        asked = [tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")]
        if etag in asked or "*" in asked:
            return self._send(path, 304, b"", headers, fault, healed)
        part = None if kind is FaultKind.NO_RANGES else self._range(len(data), etag)
        if part is None:
            return self._send(path, 200, data, headers, fault, healed)
        first, last = part
        if first > last:
            return self._plain(path, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self._send(path, 206, data[first : last + 1], headers, fault, healed)

    def _range(self, size: int, etag: str) -> tuple[int, int] | None:
        """First and last byte asked for; ``None`` for all, first > last where it cannot be had."""
        condition = self.headers.get("If-Range")
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not found or found[1] == found[2] == "" or (condition is not None and condition != etag):
            return None
        if found[1] == "":
            return max(0, size - int(found[2])), size - 1
        first = int(found[1])
        last = min(int(found[2]), size - 1) if found[2] else size - 1
        return (first, last) if first < size else (1, 0)

    def _plain(self, path: str, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._send(path, status, body, {"Content-Type": "text/plain"} | dict(headers), None, None)

    def _send(
        self,
        path: str,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        fault: Fault | None,
        healed: threading.Event | None,
    ) -> None:
        sent = 0
        try:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET" and status != 304:
                for piece in self._pieces(body, fault, healed):
                    self.wfile.write(piece)
                    sent += len(piece)
        finally:
            asked = {key.lower(): value for key, value in self.headers.items()}
            self.server.owner.log(
                Request(method=self.command, path=path, status=status, headers=asked, sent=sent)
            )

    def _pieces(self, body: bytes, fault: Fault | None, healed: threading.Event | None) -> Iterator[bytes]:
        kind = fault.kind if fault else None
        if fault is None or healed is None:
            yield body
        elif kind is FaultKind.SLOW:
            step = max(1, int(fault.rate / 20))
            for start in range(0, len(body), step):
                yield body[start : start + step]
                if healed.wait(0.05):
                    yield body[start + step :]
                    return
        elif kind in {FaultKind.TRUNCATE, FaultKind.RESET, FaultKind.STALL}:
            yield body[: fault.after]
            self.close_connection = True
            if kind is FaultKind.STALL:
                healed.wait()
            if kind is FaultKind.RESET:  # closing with a zero linger sends RST instead of FIN
                linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
        else:
            yield body


def main(arguments: list[str] | None = None) -> None:
    """Serve a folder until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve a conda channel on 127.0.0.1.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parsed = parser.parse_args(arguments)
    with ChannelServer(parsed.root, port=parsed.port) as server, contextlib.suppress(KeyboardInterrupt):
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
