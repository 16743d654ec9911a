"""However a server, its keeper or its launcher ends, nothing of them stays."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from coursectl import paths, process
from coursectl.backends import jupyter, jupyter_state
from coursectl.errors import ServerError
from coursectl.model.launch import Server
from coursectl.model.progress import Silent
from coursectl.workflows import servers
from servers import lab

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells of a parent's death"
)

BUSY = (
    "import subprocess, time\nsubprocess.Popen(['sleep', '600'])\nprint('on', flush=True)\nwhile True: pass"
)
"""A cell that never ends, deaf to a polite request, with a program of its own."""


@pytest.fixture
def launched(prefix: Path, course: Path) -> Iterator[tuple[process.Spawned, Server, list[psutil.Process]]]:
    """An attached server with a busy kernel, started by a launcher that may be killed."""
    launcher, server = lab.launch(lab.request(prefix, course))
    lab.execute(server, BUSY, wait=False)
    family = lab.family(server)
    assert len(family) >= 4, family  # keeper, server, kernel, sleep
    yield launcher, server, family
    lab.clean(server)
    process.kill_tree(launcher.pid)
    lab.ended(launcher)


@posix
@pytest.mark.parametrize("name", ["SIGKILL", "SIGHUP"])
def test_a_launcher_that_is_killed_leaves_no_server_and_no_kernel(
    launched: tuple[process.Spawned, Server, list[psutil.Process]], name: str
) -> None:
    launcher, server, family = launched
    os.kill(launcher.pid, getattr(signal, name))
    assert lab.until(lambda: lab.all_gone(family), 8), family
    assert lab.until(lambda: not (jupyter_state.folder(server.key) / "token").exists(), 2)
    assert jupyter.find(server.key) is None
    assert "coursectl: ending JupyterLab" in servers.logs().lines[-1] or servers.logs().lines


@linux
def test_a_keeper_that_is_killed_takes_the_server_and_its_kernels_along(
    launched: tuple[process.Spawned, Server, list[psutil.Process]],
) -> None:
    launcher, server, family = launched
    os.kill(server.pid, signal.SIGKILL)
    assert lab.until(lambda: lab.all_gone(family), 10), family
    assert lab.ended(launcher) == 0  # it was told, and said so
    assert jupyter.find(server.key) is None
    assert servers.status().servers == ()


@linux
def test_a_server_that_is_killed_leaves_no_kernel_and_is_reported(
    launched: tuple[process.Spawned, Server, list[psutil.Process]], tmp_path: Path
) -> None:
    launcher, server, family = launched
    os.kill(next(p.pid for p in family if "jupyterlab" in p.cmdline()), signal.SIGKILL)
    assert lab.until(lambda: lab.all_gone(family), 8), family
    assert lab.ended(launcher) == 0
    assert "crashed" in next(tmp_path.glob("*.log")).read_text()
    assert jupyter.find(server.key) is None


@posix
def test_down_in_another_terminal_ends_an_attached_server(
    launched: tuple[process.Spawned, Server, list[psutil.Process]], tmp_path: Path
) -> None:
    launcher, server, family = launched
    start = time.monotonic()
    assert servers.down().stopped == (server,)
    assert time.monotonic() - start < 8
    assert lab.all_gone(family), family
    assert lab.ended(launcher) == 0
    assert "stopped" in next(tmp_path.glob("*.log")).read_text()
    assert servers.down().stopped == ()


@posix
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_the_terminal_ends_everything(prefix: Path, course: Path, times: int) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", _ATTACHED, str(prefix), str(course)])
    try:
        said = _read_until(terminal, b"running")
        assert b"running" in said, said
        [server] = jupyter.find_all()
        lab.execute(server, BUSY, wait=False)
        family = lab.family(server)
        start = time.monotonic()
        os.write(terminal, b"\x03")
        if times == 2:
            time.sleep(0.3)
            os.write(terminal, b"\x03")
        assert b"interrupted" in _read_until(terminal, b"interrupted")
        seconds = time.monotonic() - start
        assert seconds < (7 if times == 1 else 2.5), seconds
        assert lab.until(lambda: lab.all_gone(family), 1), family
        assert jupyter.find_all() == ()
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


_ATTACHED = """
import sys
from pathlib import Path
from coursectl.backends import jupyter
from coursectl.model.progress import Silent
request = jupyter.StartRequest(prefix=Path(sys.argv[1]), course_root=Path(sys.argv[2]), semester="fall2026",
    environment="e", variant="cpu", digest="d", port=9320)
running = jupyter.start(request, Silent())
print("running", flush=True)
print(jupyter.watch(running).value, flush=True)
"""


def _read_until(terminal: int, word: bytes) -> bytes:
    said = b""
    while word not in said:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other side has closed
            break
    return said


@posix
def test_a_terminal_that_closes_ends_everything(prefix: Path, course: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", _ATTACHED, str(prefix), str(course)])
    assert b"running" in _read_until(terminal, b"running")
    family = lab.family(jupyter.find_all()[0])
    os.close(terminal)
    os.waitpid(pid, 0)
    assert lab.until(lambda: lab.all_gone(family), 8), family


@posix
def test_two_detached_semesters_outlive_their_launchers_until_down(prefix: Path, course: Path) -> None:
    first, one = lab.launch(lab.request(prefix, course, detached=True))
    second, two = lab.launch(lab.request(prefix, course, semester="spring2027", detached=True))
    try:
        assert lab.ended(first) == lab.ended(second) == 0
        assert one.port != two.port
        assert {s.semester for s in servers.status().servers} == {"fall2026", "spring2027"}
        assert "2" in lab.execute(one, "print(1 + 1)")
        assert "4" in lab.execute(two, "print(2 + 2)")
        assert servers.down(servers.Selection(semester="fall2026")).stopped == (one,)
        assert servers.status().servers == (two,)
        assert servers.down().stopped == (two,)
        assert servers.status().servers == ()
    finally:
        lab.clean(one)
        lab.clean(two)


@posix
def test_two_starts_at_once_make_one_server(prefix: Path, course: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    asked = lab.request(prefix, course, detached=True)
    with ThreadPoolExecutor(2) as pool:
        (one, first), (two, second) = pool.map(lab.launch, [asked, asked])
    try:
        assert first == second
        assert lab.ended(one) == lab.ended(two) == 0
        api = lab.api(first, "/api/shutdown", method="POST")  # what "Shut Down" in JupyterLab's menu does
        assert api is None
        assert lab.until(lambda: jupyter.find_all() == (), 8)
    finally:
        lab.clean(first)


def test_a_start_that_fails_says_the_end_of_the_log_and_leaves_nothing(tmp_path: Path, course: Path) -> None:
    done = process.run((sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")), timeout=60)
    assert done.ok
    with pytest.raises(ServerError) as caught:
        jupyter.start(lab.request(tmp_path / "bare", course), Silent())
    assert "No module named jupyterlab" in (caught.value.cause or "")
    assert jupyter.find_all() == ()
    assert not list(paths.servers().glob("*/token"))
    report = servers.logs()
    assert not report.running
    assert any("No module named jupyterlab" in line for line in report.lines)


def test_no_python_in_the_prefix_is_said_before_anything_is_started(tmp_path: Path, course: Path) -> None:
    with pytest.raises(ServerError, match="no Python"):
        jupyter.start(lab.request(tmp_path / "gone", course), Silent())


@posix
def test_a_server_that_does_not_answer_in_time_is_ended(prefix: Path, course: Path) -> None:
    before = {p.pid for p in psutil.process_iter()}
    with pytest.raises(ServerError, match="did not answer within 0 s"):
        jupyter.start(lab.request(prefix, course, timeout=0.3), Silent())
    left = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    assert not [p for p in left if str(prefix) in " ".join(p.info["cmdline"] or ())]
