"""The shared way: a fork server in the environment's own Python (`execution_program`), seen from here. Linux.

The server is one process with one thread. For each notebook it is handed three ends: a socket for cells and
messages, and two pipes for what programs write past Python. It alone ends children, because only a parent
knows for certain that a process id is still its child's.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursectl import process
from coursectl.activation import python_of
from coursectl.backends import execution_program
from coursectl.backends.execution_kernel import how_it_ended
from coursectl.backends.execution_outputs import Message, weight
from coursectl.backends.execution_session import StoppedError, environment, own_variables, settings
from coursectl.model.execution import Job

_START = 180.0  # seconds for the imports, on a machine that is busy
_END = 10.0  # seconds for a killed child to be gone
_CHUNK = 1 << 16


class UnfitError(Exception):
    """A module cannot be shared; `module` is ``None`` where nothing can. No person sees this."""

    def __init__(self, module: str | None, why: str) -> None:
        super().__init__(why)
        self.module = module


class Server:
    """A fork server that has loaded its modules.

    Raises:
        UnfitError: one of the modules cannot be shared, or the server does not start.
        StoppedError: `over` was set before it was ready.
    """

    def __init__(self, prefix: Path, modules: Sequence[str], *, seed: int, over: threading.Event) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="coursectl-", ignore_cleanup_errors=True)
        folder = Path(self._scratch.name)
        self._ended: dict[int, int] = {}
        self._last = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._dead = False
        self._listener: threading.Thread | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        argv: tuple[str | Path, ...] = (
            python_of(prefix),
            execution_program.__file__,
            "serve",
            str(theirs.fileno()),
            *modules,
        )
        env = environment(prefix, folder, seed=seed, alone=False)
        self._log = folder / "log"
        try:
            with theirs:
                self._spawned = process.spawn(
                    argv, log=self._log, cwd=folder, env=env, leash=False, pass_fds=(theirs.fileno(),)
                )
        except BaseException:
            ours.close()
            raise
        try:
            self._wait(over)
        except BaseException:
            self.close()
            raise
        self._control.settimeout(None)
        self._listener = threading.Thread(target=self._listen, daemon=True, name="fork-server")
        self._listener.start()

    def _wait(self, over: threading.Event) -> None:
        self._control.settimeout(0.05)
        deadline = time.monotonic() + _START
        while not over.is_set():
            try:
                packet = self._control.recv(1 << 20)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise UnfitError(None, "the imports take too long") from None
                continue
            except OSError:
                packet = b""
            said: dict[str, Any] = (
                json.loads(packet) if packet else {"unfit": None, "why": self._last_words()}
            )
            if "ready" in said:
                return
            raise UnfitError(said["unfit"], said["why"])
        raise StoppedError

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "the fork server ended"

    def _listen(self) -> None:
        """Hear which children are over, until the server is gone."""
        while True:
            try:
                packet = self._control.recv(_CHUNK)
            except OSError:
                packet = b""
            with self._changed:
                if packet:
                    said = json.loads(packet)
                    self._ended[said["ended"]] = said["status"]
                else:
                    self._dead = True
                self._changed.notify_all()
            if not packet:
                return

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return not self._dead

    def fork(self, files: Sequence[int]) -> int:
        """Ask for a child that is given `files`; the number by which it is known."""
        with self._lock:
            self._last += 1
            number = self._last
            with contextlib.suppress(OSError):  # a dead server shows as a dead child
                socket.send_fds(self._control, [json.dumps({"run": number}).encode()], list(files))
        return number

    def tell(self, word: str, number: int) -> None:
        """``interrupt`` or ``kill`` a child."""
        with self._lock, contextlib.suppress(OSError):
            self._control.send(json.dumps({word: number}).encode())

    def ended(self, number: int) -> int | None:
        """The exit code of a child, negative for a signal; ``None`` while it runs."""
        with self._changed:
            return -9 if self._dead else self._ended.get(number)

    def wait(self, number: int, seconds: float) -> None:
        """Wait until a child is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._dead or number in self._ended, seconds)

    def close(self) -> None:
        """End the server and, with it, every child."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._spawned.popen.wait(_END)
        except Exception:  # it hangs in an import
            process.kill_tree(self._spawned.pid)
            self._spawned.popen.wait()
        if self._listener is not None:
            self._listener.join()
        self._control.close()
        self._scratch.cleanup()


class Child:
    """One notebook's child of the server, as a `Session`."""

    def __init__(self, server: Server, job: Job) -> None:
        self._server = server
        self._scratch = tempfile.TemporaryDirectory(prefix="coursectl-", ignore_cleanup_errors=True)
        self._limit = job.output_bytes
        self._sock, theirs = socket.socketpair()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            self._number = server.fork((theirs.fileno(), out_end, err_end))
        finally:
            theirs.close()
            os.close(out_end)
            os.close(err_end)
        self._pipes = {out: "stdout", err: "stderr"}
        self._selector = selectors.DefaultSelector()
        for file in (self._sock.fileno(), out, err):
            os.set_blocking(file, False)
            self._selector.register(file, selectors.EVENT_READ)
        self._buffer = bytearray()
        self._messages: list[Message] = []
        self.pid = -1
        variables = own_variables(job, Path(self._scratch.name))
        self._write(settings(job) | {"environment": variables, "folder": str(job.folder)})

    def hello(self, over: threading.Event) -> None:
        """Wait until the child says who it is.

        Raises:
            StoppedError: `over` was set before.
        """
        while self.pid < 0 and self.death() is None:
            if over.is_set():
                raise StoppedError
            message = self.receive(0.05)
            if message is not None and message.kind == "hello":
                self.pid = int(message.content["pid"])

    def _write(self, message: dict[str, Any]) -> None:
        # blocking: a cell may be larger than what the socket holds
        self._sock.setblocking(True)
        with contextlib.suppress(OSError):  # a dead child is seen by `death`
            self._sock.sendall(json.dumps(message).encode() + b"\n")
        self._sock.setblocking(False)

    def send(self, code: str) -> None:
        """Start a cell."""
        self._write({"code": code})

    def receive(self, seconds: float) -> Message | None:
        """The next message. What programs wrote past Python comes before the end of their cell."""
        if not self._messages:
            for key, _ in self._selector.select(seconds):
                self._read(key.fd)
        if not self._messages:
            return None
        message = self._messages.pop(0)
        if message.kind == "idle":
            said = self._drain()
            if said:
                self._messages = [*said[1:], message, *self._messages]
                return said[0]
        return message

    def _read(self, file: int) -> None:
        if file in self._pipes:
            self._messages += self._from_pipe(file)
            return
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            data = os.read(file, 1 << 20)
            if not data:
                self._selector.unregister(file)
            self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in lines:
            said = json.loads(line)
            self._messages.append(Message(said["kind"], said["content"], weight(said["content"])))
        if len(rest) > 2 * self._limit + _CHUNK:  # one message that is larger than all may be
            self._messages.append(Message("flood", {}, len(rest)))

    def _from_pipe(self, file: int) -> list[Message]:
        with contextlib.suppress(BlockingIOError):
            data = os.read(file, _CHUNK)
            if data:
                text = data.decode("utf-8", "replace")
                return [Message("stream", {"name": self._pipes[file], "text": text}, len(data))]
            with contextlib.suppress(KeyError):
                self._selector.unregister(file)
        return []

    def _drain(self) -> list[Message]:
        return [message for file in self._pipes for message in self._from_pipe(file)]

    def death(self) -> str | None:
        """How the child ended."""
        code = self._server.ended(self._number)
        return None if code is None else how_it_ended(code)

    def interrupt(self) -> None:
        """Send what a kernel's stop button sends."""
        self._server.tell("interrupt", self._number)

    def end(self) -> None:
        """End the child and everything that it started."""
        self._server.tell("kill", self._number)
        self._server.wait(self._number, _END)
        self._selector.close()
        self._sock.close()
        for file in self._pipes:
            os.close(file)
        self._scratch.cleanup()
