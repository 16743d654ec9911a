"""How long from the command to JupyterLab's first answer, against ``jupyter lab`` itself.

    python benchmarks/server.py [--rounds 8] [--conda]

Peer: ``PREFIX/bin/jupyter lab --no-browser`` of the same installed environment, with empty settings. Both
runs are timed by the same observer, from the start of the process to the first HTTP answer of
``/api/status``; they alternate, and each server is ended before the next begins. Ours is the whole command
``coursectl up --detach --no-browser``, which comes back when the server has answered: that is shown too.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import measure
import stacks
from measure import Row

_PATIENCE = 120.0


def main() -> None:
    parser = measure.arguments(__doc__, rounds=8)
    parser.add_argument("--conda", action="store_true", help="the conda environment instead of the PyPI one")
    options = parser.parse_args()
    with (
        measure.sandbox() as folder,
        (stacks.conda if options.conda else stacks.pypi)(folder) as stack,
    ):
        returned: list[float] = []
        bare_env = _bare_environment(stack, folder)
        times = measure.alternate(
            {"ours": lambda: _ours(stack, returned), "bare": lambda: _bare(stack, bare_env)},
            rounds=options.rounds,
        )
    print(measure.machine())
    peer = "jupyter lab --no-browser"
    back = measure.Times(tuple(returned[1:]))  # the first was the warm-up
    measure.show(
        [
            Row(what="up --detach, to the first answer", ours=times["ours"], peer=times["bare"],
                peer_name=peer, aim=1.05),
            Row(what="up --detach, to its return", ours=back, peer=times["bare"], peer_name=peer),
        ]
    )  # fmt: skip


def _ours(stack: stacks.Stack, returned: list[float]) -> float:
    port = _free_port()
    argv: list[str | Path] = [measure.our_program(), "up", "--detach", "--no-browser", "--port", str(port)]
    start = time.perf_counter()
    command = subprocess.Popen(
        argv, env=dict(stack.env), cwd=stack.course, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        seconds = _first_answer(port, start, command)
        said, _ = command.communicate(timeout=_PATIENCE)
        returned.append(time.perf_counter() - start)
        if command.returncode != 0:
            raise measure.BenchmarkError(said.decode(errors="replace"))
        return seconds
    finally:
        command.kill()
        command.wait()
        stack.down()


def _bare(stack: stacks.Stack, env: Mapping[str, str]) -> float:
    port = _free_port()
    jupyter = measure.program("jupyter", stack.prefix / "bin" / "python")
    if jupyter is None:
        jupyter = measure.program("jupyter", stack.prefix / "Scripts" / "python.exe")
    assert jupyter is not None
    argv: list[str | Path] = [jupyter, "lab", "--no-browser", f"--port={port}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        argv.append("--allow-root")
    start = time.perf_counter()
    server = subprocess.Popen(
        argv, env=dict(env), cwd=stack.course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return _first_answer(port, start, server)
    finally:
        if sys.platform == "win32":
            server.terminate()
        else:
            server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _bare_environment(stack: stacks.Stack, folder: Path) -> dict[str, str]:
    """What a person has who activated the environment and never set Jupyter up.

    The server keeps its bytecode beside its source, as ours does: nothing is compiled in a measured run.
    """
    empty = folder / "jupyter"
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    scripts = stack.prefix / ("Scripts" if sys.platform == "win32" else "bin")
    kept = {k: v for k, v in stack.env.items() if k != "PYTHONPYCACHEPREFIX"}
    return {
        **kept,
        **{name: str(empty / name.lower()) for name in names},
        "PATH": f"{scripts}{os.pathsep}{stack.env['PATH']}",
    }


def _first_answer(port: int, start: float, process: subprocess.Popen[bytes]) -> float:
    """Seconds from `start` to the first HTTP answer; any status counts, because both ask for a token."""
    while time.perf_counter() - start < _PATIENCE:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/api/status")
                connection.getresponse().read()
                return time.perf_counter() - start
            finally:
                connection.close()
        if process.poll() not in {None, 0}:
            raise measure.BenchmarkError(f"the server ended with {process.returncode}")
        time.sleep(0.005)
    raise measure.BenchmarkError(f"no answer within {_PATIENCE:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    measure.main(main)
