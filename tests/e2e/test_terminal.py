"""A person at a terminal: Ctrl-C at every stage, a window that is closed, a launcher that is killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

import coursectl
from channel.served import ServedChannel
from e2e import desk
from e2e.desk import Desk
from e2e.terminal import Terminal
from servers import lab

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")

CTRL_C = "\x03"
PACKAGE = Path(coursectl.__file__).parent
BUSY = "import subprocess\nsubprocess.Popen(['sleep', '600'])\nprint('on', flush=True)\nwhile True: pass"
"""A cell that never ends, with a program of its own."""


def terminal(here: Desk, *words: str) -> Terminal:
    return Terminal(
        here.argv(*words), cwd=here.course, env=here.environment(TERM="xterm-256color", LINES="40")
    )


def nothing_half(here: Desk) -> None:
    """No process goes on, and no folder of half an installation is left."""
    assert desk.until(lambda: here.processes() == [], 6), here.processes()
    assert [n for n in here.environments() if not n.endswith(".lock")] == []


def test_ctrl_c_during_a_conda_download_leaves_something(small: Desk, small_channel: ServedChannel) -> None:
    stalled = small_channel.server.stall("*/big-*", after=100_000)
    with terminal(small, "up", "--no-launch") as window:
        assert window.read_until("downloading", 30), window.shown
        assert desk.until(lambda: stalled.hits > 0, 10)
        window.type(CTRL_C)
        assert window.wait(15) == 130, window.shown
    assert "interrupted" in window.shown
    assert "`coursectl up`" in window.shown
    assert "Traceback" not in window.shown
    assert window.shown.rstrip().endswith("`coursectl up`")  # nothing is printed over it
    nothing_half(small)
    small_channel.server.heal()
    assert "verified" in small.ok("up", "--no-launch").stderr
    assert "all as locked" in small.ok("env", "verify").stdout


@pytest.mark.network
def test_ctrl_c_during_a_pypi_download_leaves_something(small_pypi: Desk) -> None:
    with terminal(small_pypi, "up", "--no-launch") as window:
        assert window.read_until("fetching packages", 30), window.shown
        window.type(CTRL_C)
        code = window.wait(15)
    assert code == 130, window.shown
    assert "interrupted" in window.shown
    assert "Traceback" not in window.shown
    nothing_half(small_pypi)
    assert "verified" in small_pypi.ok("up", "--no-launch").stderr
    assert "all as locked" in small_pypi.ok("env", "verify").stdout


def test_ctrl_c_at_any_moment_of_a_start_shows_a_traceback(small: Desk) -> None:
    """From the first hundredths of a second, when modules are imported, to the installation."""
    lost: list[int] = []
    for hundredths in (6, 9, 12, 15, 18, 22, 27, 35, 50, 80):
        with terminal(small, "up", "--no-launch") as window:
            time.sleep(hundredths / 100)
            if window.ended():
                break  # a fast machine has installed it all by now
            window.type(CTRL_C)
            typed = time.monotonic()
            code = window.wait(20)
            if code == 0 and time.monotonic() - typed < 0.2:
                break  # it had given its answer and was leaving
        if code == 0:
            # CPython drops an interrupt that meets a callback of its import locks; people press again
            lost.append(hundredths)
            break
        # Python ends by the signal where it met it in code that it compiles; a shell calls both 130
        early = "import runpy" in window.shown  # Python was not even up
        assert code in {130, -signal.SIGINT} or early, (hundredths, code, window.shown)
        ours = f"{PACKAGE}{os.sep}"
        assert ours not in window.shown, window.shown  # no line of a traceback
    assert not lost or lost[0] < 35, lost  # only while modules are imported, never while it installs
    small.ok("up", "--no-launch")
    assert "all as locked" in small.ok("env", "verify").stdout


@pytest.mark.network
def test_an_attached_server_outlives_its_terminal(reference: Desk) -> None:
    """Ctrl-C, a window that closes, a launcher that is killed: each takes server and kernels along."""
    endings = {"ctrl-c": 0, "window": None, "kill": -signal.SIGKILL}
    for ending, expected in endings.items():
        with terminal(reference, "up") as window:
            assert window.read_until("JupyterLab: ", 60), window.shown
            [server] = reference.servers()
            lab.execute(server, BUSY, wait=False)
            family = lab.family(server)
            assert len(family) >= 4, family  # keeper, server, kernel, sleep
            if ending == "ctrl-c":
                window.type(CTRL_C)
            elif ending == "window":
                window.close_window()
            else:
                window.kill()
            code = window.wait(15)
        assert expected is None or code == expected, (ending, code, window.shown)
        assert desk.until(lambda: lab.all_gone(family), 10), (ending, family)  # noqa: B023
        assert desk.until(lambda: reference.processes() == [], 5), (ending, reference.processes())
        assert reference.servers() == []
        if ending == "ctrl-c":
            assert "Ctrl-C, or `coursectl down`" in window.shown
            assert "JupyterLab has ended (interrupted)" in window.shown
            assert "Traceback" not in window.shown


@pytest.mark.network
def test_a_detached_server_ends_with_its_terminal(reference: Desk) -> None:
    with terminal(reference, "up", "--detach") as window:
        assert window.wait(60) == 0, window.shown
        window.close_window()
    [server] = reference.servers()
    assert server.detached
    time.sleep(0.5)
    assert psutil.pid_exists(server.pid)
    assert lab.api(server, "/api/status")["kernels"] == 0
    # `down` elsewhere ends what an attached terminal would wait for
    assert reference.ok("down").stdout.startswith("stopped")
    assert desk.until(lambda: reference.processes() == [], 5)


def test_deleting_is_asked_for_on_a_terminal(small: Desk) -> None:
    small.ok("up", "--no-launch")
    [name] = [n for n in small.environments() if not n.startswith(".")]
    with terminal(small, "env", "remove", name) as window:
        assert window.read_until("[y/N]", 20), window.shown
        window.type("\r")
        assert window.wait(10) == 0
    assert "nothing was removed" in window.shown
    with terminal(small, "env", "remove", name) as window:
        assert window.read_until("[y/N]", 20), window.shown
        window.type(CTRL_C)
        assert window.wait(30) == 130
    assert name in small.environments()
    with terminal(small, "env", "remove", name) as window:
        assert window.read_until("[y/N]", 20), window.shown
        window.type("y\r")
        assert window.wait(20) == 0
    assert f"removed {name}" in window.shown
    assert [n for n in small.environments() if not n.endswith(".lock")] == []


def test_a_terminal_shows_bars_and_a_log_shows_lines(small: Desk) -> None:
    with terminal(small, "up", "--no-launch") as window:
        assert window.wait(60) == 0, window.shown
    assert "\x1b[" in window.shown
    assert "[ok]" in window.shown
    small.home = small.home.with_name("other home")
    plain = small.ok("up", "--no-launch", "--no-color")
    assert "\x1b" not in plain.stdout + plain.stderr
    assert "\r" not in plain.stdout + plain.stderr
