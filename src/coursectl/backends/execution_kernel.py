"""The isolated way: a kernel of the environment for each notebook, spoken to over Jupyter's protocol.

`jupyter_client` carries the messages. Its own manager and nbclient's loop are not used: neither ends a
notebook for its memory or its output, and both look for installed kernel specifications, where a notebook's
stored name may lead to another Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from coursectl import process
from coursectl.activation import python_of
from coursectl.backends import execution_pool, execution_program
from coursectl.backends.execution_outputs import Message, weight
from coursectl.backends.execution_session import StoppedError, environment, own_variables, settings, sweep
from coursectl.errors import CourseError, EnvironmentDamagedError, Hint, MissingExtraError
from coursectl.model.execution import Executed, Job

_START = 90.0  # seconds for a kernel to answer, on a machine that is busy
_END = 10.0  # seconds for a killed kernel to be gone
_SOCKET_PATH = 90  # characters of a Unix socket's path that every system takes (sun_path is 104 to 108)


def require() -> None:
    """Find out early that Jupyter's client is there.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import jupyter_client  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError(
            "running a notebook in a kernel of its own needs jupyter_client",
            cause="this coursectl was installed without the extra `staff`",
            hints=(Hint(text="install it:", command='pip install "coursectl[staff]"'),),
        ) from exc


class Isolated:
    """The executor of `Mode.ISOLATED`."""

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix

    def run(
        self,
        jobs: Sequence[Job],
        *,
        parallel: int,
        on_done: Callable[[Job, Executed], None],
        stop: threading.Event,
    ) -> None:
        """See `Executor.run`."""
        require()
        alone = min(parallel, len(jobs)) <= 1

        def opener(job: Job, over: threading.Event) -> Kernel:
            return Kernel(self._prefix, job, over, alone=alone)

        execution_pool.run(jobs, opener, parallel=parallel, on_done=on_done, stop=stop)

    def close(self) -> None:
        """Nothing is kept between runs."""


class Kernel:
    """A kernel that answers, as a `Session`.

    Raises:
        StoppedError: `over` was set before it answered.
        EnvironmentDamagedError: the environment has no kernel, or it does not start.
    """

    def __init__(self, prefix: Path, job: Job, over: threading.Event, *, alone: bool) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="coursectl-", ignore_cleanup_errors=True)
        folder = Path(self._scratch.name)
        (folder / "tmp").mkdir()
        self._variables = own_variables(job, folder / "tmp")
        env = environment(prefix, folder, seed=job.seed, alone=alone) | self._variables
        self._log = folder / "log"
        self._interrupt_event = _interrupt_event(env)
        self._client = _client(folder)
        (folder / "settings.json").write_text(json.dumps(settings(job)), encoding="utf-8")
        argv = (
            python_of(prefix),
            "-Xfrozen_modules=off",  # as Jupyter's own kernels: or its debugger complains into the first cell
            execution_program.__file__,
            "kernel",
            folder / "settings.json",
            "-f",
            folder / "kernel.json",
            "--HistoryManager.enabled=False",
        )
        if sys.platform != "win32":  # there it would be a handle; standard input tells the same
            env["JPY_PARENT_PID"] = str(os.getpid())
        self._cell = ""
        self._count: int | None = None
        self._spawned = process.spawn(argv, log=self._log, cwd=job.folder, env=env)
        try:
            self._client.start_channels(stdin=False, hb=False, control=False)
            self._wait(over)
        except BaseException:
            self.end()
            raise

        self.pid = self._kernel_process()

    def _kernel_process(self) -> int:
        """The kernel itself: on Linux the only child of what we started, which cleans up behind it."""
        import psutil

        if not sys.platform.startswith("linux"):
            return self._spawned.pid
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._spawned.pid).children():
                return child.pid
        return self._spawned.pid  # it died just now: `death` will tell

    def _wait(self, over: threading.Event) -> None:
        """Until it answers and its messages reach us: what it publishes before that is lost."""
        deadline, asked, answered, heard = time.monotonic() + _START, 0.0, False, False
        while not (answered and heard):
            now = time.monotonic()
            if over.is_set():
                raise StoppedError
            death = self.death()
            if death is not None or now > deadline:
                raise self._no_kernel(death or f"did not answer within {_START:g} s")
            if now - asked > 1.0:
                asked = now
                self._client.kernel_info()
            with contextlib.suppress(queue.Empty):
                self._client.shell_channel.get_msg(timeout=0.02)
                answered = True
            with contextlib.suppress(queue.Empty):
                self._client.iopub_channel.get_msg(timeout=0.02)
                heard = True

    def _no_kernel(self, what: str) -> CourseError:
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return EnvironmentDamagedError(
            f"the environment's notebook kernel {what}",
            cause=said[-1] if said else None,
            hints=(
                "check that the environment lists jupyterlab or ipykernel",
                Hint(text="see whether its files are whole:", command="coursectl env verify"),
            ),
            code="no-kernel",
        )

    def send(self, code: str) -> None:
        """Start a cell."""
        self._count = None
        self._cell = self._client.execute(code, allow_stdin=False, stop_on_error=False)

    def receive(self, seconds: float) -> Message | None:
        """The next message; one of an earlier cell's threads counts for the cell that runs."""
        try:
            message = self._client.iopub_channel.get_msg(timeout=seconds)
        except queue.Empty:
            return None
        kind, content = message["msg_type"], message["content"]
        if kind == "execute_input":
            self._count = content.get("execution_count")
        if kind == "status":
            mine = message["parent_header"].get("msg_id") == self._cell
            if mine and content.get("execution_state") == "idle":
                return Message("idle", {"count": self._count})
            return Message("status", {})
        return Message(kind, content, weight(content))

    def death(self) -> str | None:
        """How the kernel ended."""
        code = self._spawned.popen.poll()
        return None if code is None else how_it_ended(code)

    def interrupt(self) -> None:
        """Send what Jupyter's stop button sends."""
        if sys.platform == "win32":
            from jupyter_client.win_interrupt import send_interrupt

            send_interrupt(self._interrupt_event)
            return
        with contextlib.suppress(OSError):
            os.killpg(self._spawned.pid, signal.SIGINT)
        self._client.kernel_info()  # a cell that awaits notices only when its loop turns

    def end(self) -> None:
        """End the kernel and everything that it started."""
        self._client.stop_channels()
        self._client.context.term()
        popen = self._spawned.popen
        if popen.stdin is not None:
            popen.stdin.close()
        if sys.platform.startswith("linux") and _ends(popen, _END):  # it has cleaned up behind the kernel
            self._scratch.cleanup()
            return
        process.kill_tree(self._spawned.pid)
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.killpg(self._spawned.pid, signal.SIGKILL)
        popen.wait()
        sweep(self._variables)
        self._scratch.cleanup()


def _ends(popen: Any, seconds: float) -> bool:
    """Whether a process ends by itself in time."""
    deadline = time.monotonic() + seconds
    while popen.poll() is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def how_it_ended(code: int) -> str:
    """An exit code in words.

    >>> how_it_ended(3), how_it_ended(-11)
    ('ended with exit code 3', 'died of SIGSEGV')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"died of {signal.Signals(-code).name}"
    except ValueError:
        return f"died of signal {-code}"


def _client(folder: Path) -> Any:
    """A client for a kernel that is still to start; the connection file is written for both."""
    import zmq
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.connect import write_connection_file

    file, where = str(folder / "kernel.json"), str(folder / "z")
    # a socket file needs no free port, which another program could take before the kernel does
    if sys.platform != "win32" and len(where) < _SOCKET_PATH:
        write_connection_file(file, transport="ipc", ip=where)
    else:
        write_connection_file(file)
    client = BlockingKernelClient(connection_file=file, context=zmq.Context())
    client.load_connection_file()
    return client


def _interrupt_event(env: dict[str, str]) -> Any:
    """Windows: the event by which a kernel is interrupted, named in its variables."""
    if sys.platform != "win32":
        return None
    from jupyter_client.win_interrupt import create_interrupt_event

    event = create_interrupt_event()
    env["JPY_INTERRUPT_EVENT"] = env["IPY_INTERRUPT_EVENT"] = str(event)
    return event
