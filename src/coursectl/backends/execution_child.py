"""A forked child of `execution_program`: ipykernel's own shell without the kernel around it.

Standalone. The shell is `ZMQInteractiveShell`, so magics, display hooks and tracebacks are a kernel's own;
only what it sends goes into our channel instead of a ZeroMQ socket. Cells run inside a running event loop as
they do in a kernel, so top-level ``await`` and background tasks behave alike.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import getpass
import io
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator
from typing import Any

_PATIENCE = 0.1  # seconds that printed text may wait to be sent
_ENOUGH = 16_384  # characters that may wait


class Channel:
    """Where the messages go: one JSON object a line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.owner = os.getpid()
        self.lock = threading.RLock()

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Send a message; a process that the notebook forked has no voice here."""
        if os.getpid() != self.owner:
            return
        line = json.dumps({"kind": kind, "content": content}, default=str).encode() + b"\n"
        with self.lock:
            self.sock.sendall(line)


class Stream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a notebook, as ipykernel's: text that is sent now and then."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, number: int, channel: Channel) -> None:
        self.name = f"<{name}>"
        self._stream, self._number, self._channel = name, number, channel
        self._parts: list[str] = []
        self._size, self._last = 0, 0.0
        self.other: Stream | None = None

    def write(self, text: str) -> int:
        """Take text; it is sent when enough has come or enough time has passed."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if os.getpid() != self._channel.owner:  # a worker of multiprocessing
            os.write(self._number, text.encode("utf-8", "replace"))
            return len(text)
        if self.other is not None:
            self.other.flush()
        with self._channel.lock:
            self._parts.append(text)
            self._size += len(text)
        if self._size > _ENOUGH or time.monotonic() - self._last > _PATIENCE:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what waits."""
        with self._channel.lock:
            text, self._parts, self._size = "".join(self._parts), [], 0
            self._last = time.monotonic()
            if text:
                self._channel.send("stream", {"name": self._stream, "text": text})

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """It is not, so nobody draws progress bars for terminals."""
        return False

    def fileno(self) -> int:
        """For programs that are started with this stream as theirs."""
        return self._number


class Deaf:
    """Takes every call and does nothing: the event loop that `exit` stops, ipywidgets' way to a browser."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_, **__: None


class NoKernel:
    """What a shell asks of its kernel."""

    eventloop = None
    shell_is_awaiting = False

    def __init__(self) -> None:
        self.io_loop = self.comm_manager = Deaf()


def make_shell() -> Any:
    """The shell that every child gets a copy of; history is off, as in the kernel that is watched."""
    from ipykernel.zmqshell import ZMQInteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.IPKernelApp.name = "ipython-kernel"  # what tqdm and others look for

    class Shell(ZMQInteractiveShell):  # type: ignore[misc]
        def enable_gui(self, gui: Any = None) -> None:
            if gui not in (None, "inline"):  # `%matplotlib inline` asks for none
                super().enable_gui(gui)

    Shell.__name__ = ZMQInteractiveShell.__name__  # by which libraries tell a notebook from a terminal
    more = {}
    with contextlib.suppress(ImportError):
        from ipykernel.compiler import XCachingCompiler

        more = {"compiler_class": XCachingCompiler}  # it names the cells in warnings and tracebacks
    shell = Shell.instance(config=config, kernel=NoKernel(), **more)
    with contextlib.suppress(Exception):
        shell.extension_manager.load_extension("storemagic")
    from jupyter_client.session import Session

    class Redirected(Session):
        channel: Channel | None = None

        def send(self, *args: Any, **_: Any) -> Any:
            message = args[1]  # a message, or its type with the content behind it
            kind = message if isinstance(message, str) else message["header"]["msg_type"]
            if self.channel is not None:
                self.channel.send(kind, args[2] if isinstance(message, str) else message["content"])
            return message

    session = Redirected(key=b"")
    for publisher in (shell.displayhook, shell.display_pub):
        publisher.session = session
        publisher.pub_socket = None
    return shell


def run(shell: Any, early: dict[str, list[tuple[str, str]]], files: list[int]) -> int:
    """Be the notebook: set up what it may see, then run cells until the channel closes."""
    sock = socket.socket(fileno=files[0])
    lines = sock.makefile("rb")
    settings = json.loads(lines.readline())
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (files[1], 1), (files[2], 2)):
        os.dup2(source, target)
        os.close(source)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(settings["environment"])
    tempfile.tempdir = None
    os.chdir(settings["folder"])
    from IPython.core.shellapp import InteractiveShellApp

    # the notebook's folder comes before the installed packages, where this IPython puts it
    InteractiveShellApp.init_path(types.SimpleNamespace(ignore_cwd=False))
    sys.argv = ["ipykernel_launcher", "-f", "kernel.json"]
    channel = Channel(sock)
    shell.display_pub.session.channel = channel
    out, err = Stream("stdout", 1, channel), Stream("stderr", 2, channel)
    out.other, err.other = err, out
    sys.stdout, sys.stderr = out, err
    refuse_input()
    inside = sys.modules["_coursectl_execution_inside"]
    inside.warn_always()  # a new version of the filters: what was warned about before is forgotten
    if not settings["network"]:
        inside.refuse_network()
    sys.modules["_coursectl_execution_watch"].Watch(shell, settings, early, inside)
    channel.send("hello", {"pid": os.getpid()})
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(cells(shell, channel, lines))
    return 0


def refuse_input() -> None:
    """Nobody is there to ask: what a kernel says when its client takes no questions."""
    from IPython.core.error import StdinNotImplementedError

    def refusing(name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> str:
            raise StdinNotImplementedError(
                f"{name} was called, but this frontend does not support input requests."
            )

        return refuse

    builtins.input = refusing("raw_input")
    getpass.getpass = refusing("getpass")


async def cells(shell: Any, channel: Channel, lines: io.BufferedReader) -> None:
    """Run what comes; between cells the event loop turns, as in a kernel."""
    loop = asyncio.get_running_loop()
    while True:
        came = asyncio.Event()
        loop.add_reader(channel.sock.fileno(), came.set)
        await came.wait()
        loop.remove_reader(channel.sock.fileno())
        line = lines.readline()
        if not line:
            return
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):  # the parent asked for it
            await one_cell(shell, json.loads(line)["code"])
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        channel.send("idle", {"count": shell.execution_count - 1})
        if shell.exit_now:
            return


async def one_cell(shell: Any, code: str) -> None:
    """As ``IPythonKernel.do_execute`` does it (ipykernel 5 to 7)."""
    from IPython.core.interactiveshell import _asyncio_runner

    problem = None
    try:
        transformed = shell.transform_cell(code)
    except Exception:
        transformed, problem = code, sys.exc_info()
    awaits = shell.loop_runner is _asyncio_runner and shell.should_run_async(
        code, transformed_cell=transformed, preprocessing_exc_tuple=problem
    )
    if not awaits:
        shell.run_cell(code, store_history=True)
        return
    future = asyncio.ensure_future(
        shell.run_cell_async(
            code, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=problem
        )
    )
    result = None
    try:
        with cancelled_by_interrupt(future):
            result = await future
    finally:
        shell.events.trigger("post_execute")
        shell.events.trigger("post_run_cell", result)


@contextlib.contextmanager
def cancelled_by_interrupt(future: asyncio.Future[Any]) -> Iterator[None]:
    """SIGINT cancels a cell that awaits, because nothing runs that it could interrupt."""

    def cancel(*_: Any) -> None:
        if not future.cancelled():
            future.cancel()
            future.get_loop().call_soon_threadsafe(lambda: None)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
