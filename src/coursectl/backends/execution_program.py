"""The program that the environment's own Python runs: a kernel that is watched, or a fork server.

Standalone, as `execution_inside`. ``execution_program.py kernel SETTINGS -f CONNECTION`` is an ipykernel with
our eyes in it. ``execution_program.py serve FD MODULE...`` is the fork server (Linux): it imports the modules
and IPython's shell once, then forks a child for every request on the socket FD (one JSON object a packet):

====================================  ================================================================
``{"run": 1}`` with three files       fork: the cell channel, and what becomes the child's output
``{"interrupt": 1}``, ``{"kill": 1}`` SIGINT to the child's group; SIGKILL to it and all it started
``{"ready": {...}}``                  said once, with the warnings of the imports
``{"unfit": m, "why": ...}``          said instead: this module cannot be shared; the server ends
``{"ended": 1, "status": 9}``         a child is over, as ``waitpid`` says, and nothing of it is left
====================================  ================================================================

The child reads one line of JSON with its settings from its channel, then a line with ``code`` for each cell,
and answers with the messages that a kernel would publish, one JSON object a line; ``idle`` ends a cell. When
the channel closes, it ends; when the server's socket closes, everything ends.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # the folder of this file is no place to import from: its names are not the notebook's
    sys.path.pop(0)

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """A module from this folder, which is not on the path."""
    file = Path(__file__).with_name(name + ".py")
    spec = importlib.util.spec_from_file_location("_coursectl_" + name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def kernel(settings: dict[str, Any], arguments: list[str]) -> None:
    """Be a kernel: ``ipykernel_launcher``, with the shell watched before the first cell."""
    inside = load("execution_inside")
    log = os.fstat(1)
    if sys.platform.startswith("linux"):
        keep(inside)
    else:
        end_with_input()
    inside.warn_always()
    if not settings["network"]:
        inside.refuse_network()
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(arguments)
    load("execution_watch").Watch(app.shell, settings, {}, inside)
    stay_quiet(log)
    app.start()


def inline_backend() -> str:
    """What a kernel sets MPLBACKEND to before the first cell (``IPKernelApp.init_gui_pylab``)."""
    import ipykernel

    package = "ipykernel.pylab" if ipykernel.version_info[0] < 6 else "matplotlib_inline"
    return f"module://{package}.backend_inline"


def stay_quiet(before: os.stat_result) -> None:
    """Send to nowhere what this ipykernel (before 6) does not capture: a log must not fill the disk."""
    for number in (1, 2):
        now = os.fstat(number)
        if (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, number)
            os.close(nothing)


def end_with_input() -> None:
    """End when standard input closes, which is when coursectl is gone; the notebook sees an empty one."""
    held, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        while os.read(held, 4096):
            continue
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def keep(inside: Any) -> None:
    """Go on as a child, while this process waits to clean up behind it (Linux).

    What a notebook leaves behind, even in a session of its own, is adopted here. It ends when the kernel
    does, which then counts as our own end, and when standard input closes, because coursectl died.
    """
    inside.adopt()
    keeper = os.getpid()
    wake, woken = os.pipe()
    child = os.fork()
    if child == 0:
        inside.end_with(keeper)
        os.environ["JPY_PARENT_PID"] = str(keeper)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        for file in (nothing, wake, woken):
            os.close(file)
        return
    os.set_blocking(woken, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    status = None
    while status is None:
        ready, _, _ = select.select([0, wake], [], [])
        if 0 in ready and not os.read(0, 4096):
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        elif wake in ready:
            os.read(wake, 4096)
            status = dict(inside.over()).get(child)
    inside.sweep(set())
    if os.WIFSIGNALED(status):
        inside.die_of(os.WTERMSIG(status))
    os._exit(status >> 8)


def serve(control: socket.socket, modules: list[str]) -> None:
    """Be the fork server until the socket closes."""
    inside, child = load("execution_inside"), load("execution_child")
    load("execution_watch")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inside.adopt()
    gc.disable()
    inside.warn_always()
    os.environ["MPLBACKEND"] = inline_backend()
    shell = child.make_shell()
    if threads() > 1:
        tell(control, {"unfit": None, "why": "IPython's shell starts threads here"})
        return
    early: dict[str, list[tuple[str, str]]] = {}
    for name in modules:
        why = preload(name, early)
        if why:
            tell(control, {"unfit": name, "why": why})
            return
    gc.collect()
    gc.freeze()
    tell(control, {"ready": early})
    running: dict[int, int] = {}  # job -> process
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            reap(control, running, inside)
        if control.fileno() in ready:
            packet, files = receive(control)
            if not packet:
                break
            request = json.loads(packet)
            if "run" in request:
                pid = os.fork()
                if pid == 0:
                    become(child, shell, early, control, files, (wake, woken))
                running[request["run"]] = pid
                for file in files:
                    os.close(file)
            else:
                end_child(request, running)
    for pid in running.values():
        os.kill(pid, signal.SIGKILL)
    inside.sweep(set())


def become(
    child: Any,
    shell: Any,
    early: dict[str, list[tuple[str, str]]],
    control: socket.socket,
    files: list[int],
    pipes: tuple[int, int],
) -> None:
    """The first steps of a child, which never comes back from here."""
    status = 1
    try:
        parent = os.getppid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pipe in pipes:
            os.close(pipe)
        control.close()
        os.setsid()
        inside = sys.modules["_coursectl_execution_inside"]
        inside.adopt()
        inside.end_with(parent)
        gc.enable()
        status = child.run(shell, early, files)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def preload(name: str, early: dict[str, list[tuple[str, str]]]) -> str | None:
    """Import a module for all notebooks; the reason where that is not to be.

    One that is not there is left for the notebook to meet: a failed import could leave half of it behind.
    """
    try:
        if importlib.util.find_spec(name) is None:
            return None
    except (ImportError, ValueError, AttributeError):
        return None
    seen: list[tuple[str, str]] = []
    watch = sys.modules["_coursectl_execution_watch"]

    def note(message: Any, category: Any, *_: Any, **__: Any) -> None:
        if watch.package(watch.origin()) == top:
            seen.append((category.__name__, str(message)))

    top = name.partition(".")[0]
    with warnings.catch_warnings():
        warnings.showwarning = note
        filters: Any = warnings.filters
        try:
            importlib.import_module(name)
        except BaseException as error:
            return f"importing it fails: {type(error).__name__}: {error}"
        added = list(filters)
    filters = warnings.filters
    filters[:] = added  # what the module set, it sets for good
    early.setdefault(top, []).extend(seen)
    if threads() > 1:
        return "importing it starts threads"
    return None


def threads() -> int:
    """How many threads this process has, those of libraries too."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """One request with its files; empty where the other side is gone."""
    try:
        packet, files, _, _ = socket.recv_fds(control, 65_536, 3)
    except ConnectionResetError:
        return b"", []
    return packet, files


def tell(control: socket.socket, message: dict[str, Any]) -> None:
    """Say something to coursectl; where it is gone, the next read will show it."""
    with contextlib.suppress(OSError):
        control.send(json.dumps(message).encode())


def end_child(request: dict[str, int], running: dict[int, int]) -> None:
    """Interrupt or kill a child; one that is over is no longer in `running`, so no other process is hit."""
    word, job = next(iter(request.items()))
    if job in running:
        try:
            os.killpg(running[job], signal.SIGINT if word == "interrupt" else signal.SIGKILL)
        except ProcessLookupError:
            os.kill(running[job], signal.SIGKILL)  # it has no group of its own yet


def reap(control: socket.socket, running: dict[int, int], inside: Any) -> None:
    """Take note of the children that are over, and end what they left running."""
    jobs = {pid: job for job, pid in running.items()}
    over = [(jobs[pid], status) for pid, status in inside.over() if pid in jobs]
    for job, _ in over:
        del running[job]
    inside.sweep(set(running.values()))
    for job, status in over:
        tell(
            control,
            {"ended": job, "status": os.WTERMSIG(status) * -1 if os.WIFSIGNALED(status) else status >> 8},
        )


def main(arguments: list[str]) -> None:
    """Run as a program."""
    if arguments[0] == "kernel":
        settings = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
        sys.argv = ["ipykernel_launcher", *arguments[2:]]
        kernel(settings, arguments[2:])
    else:
        serve(socket.socket(fileno=int(arguments[1])), arguments[2:])


if __name__ == "__main__":
    main(sys.argv[1:])
