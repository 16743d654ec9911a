"""kill -9 at any moment of an installation: the next one ends well, and no orphan goes on writing."""

from __future__ import annotations

import contextlib
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from channel.archive import File, Package
from channel.served import ServedChannel
from coursectl.engines.base import InstallRequest
from coursectl.engines.conda import CondaEngine
from coursectl.engines.conda_stage import read_marker
from coursectl.model.progress import Silent
from engines.conda_kit import install_request, solve

TinyChannel = Callable[..., ServedChannel]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the tiny channel is solved for linux-64; there is no SIGKILL on Windows"
)

_PROGRAM = """
import pickle, sys
from coursectl.engines.conda import CondaEngine
from coursectl.model.progress import Silent
request, repair = pickle.load(open(sys.argv[1], "rb"))
engine = CondaEngine()
print("ready", flush=True)
engine.repair(request, Silent()) if repair else engine.ensure(request, Silent())
print("done", flush=True)
"""


@pytest.fixture
def request_(tiny_channel: TinyChannel, tmp_path: Path) -> InstallRequest:
    noise = random.Random(1)
    many = [
        Package(
            name=f"many{n}",
            version="1.0",
            noarch="generic",
            files={f"share/many{n}/{i}.bin": File(data=noise.randbytes(3000)) for i in range(150)},
        )
        for n in range(12)
    ]
    channel = tiny_channel()
    channel.add(many)
    solved = solve(tmp_path / "cache", channel.url, "pure", "prefixed", "big", *(p.name for p in many))
    return install_request(solved, tmp_path / "envs" / "e", tmp_path / "cache")


def start(request: InstallRequest, tmp_path: Path, *, repair: bool = False) -> subprocess.Popen[str]:
    pickled = tmp_path / "request.pickle"
    pickled.write_bytes(pickle.dumps((request, repair)))
    program = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(pickled)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


def seconds_of_one(request: InstallRequest, tmp_path: Path) -> float:
    """How long one whole cold installation takes here, so that the kills fall inside it."""
    elsewhere = replace(
        request,
        prefix=tmp_path / "timed" / "e",
        network=replace(request.network, cache=tmp_path / "timed" / "cache"),
    )
    began = time.monotonic()
    program = start(elsewhere, tmp_path)
    program.communicate(timeout=60)
    assert program.returncode == 0
    return time.monotonic() - began


def kill_after(program: subprocess.Popen[str], seconds: float) -> list[psutil.Process]:
    """Kill it as a crash or an impatient student does, and give the children that it had."""
    time.sleep(seconds)
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(program.pid).children(recursive=True)
    program.kill()
    program.communicate(timeout=30)
    return children


def matrix(request: InstallRequest, tmp_path: Path, kills: int, seed: int) -> None:
    whole = seconds_of_one(request, tmp_path)
    chance = random.Random(seed)
    caught = 0
    for n in range(kills):
        if chance.random() < 0.5:  # a new cache: kills in downloads and unpacking, not only in linking
            request = replace(request, network=replace(request.network, cache=tmp_path / f"cache{n}"))
        fresh = replace(request, record=replace(request.record, digest=f"{n:040d}"))
        old = read_marker(fresh.prefix)
        children = kill_after(start(fresh, tmp_path), whole * 0.9 * (n + chance.random()) / kills)
        _, orphans = psutil.wait_procs(children, timeout=5)
        assert not orphans, "a child outlived its killed launcher"
        marker = read_marker(fresh.prefix)
        assert marker is None or marker.digest in {fresh.record.digest, old.digest if old else ""}
        if marker is not None:  # old or new, never half
            assert CondaEngine().verify(fresh.prefix).ok
        caught += marker is None or marker.digest != fresh.record.digest
        CondaEngine().ensure(fresh, Silent())
        assert CondaEngine().verify(fresh.prefix).ok
        assert {p.name for p in fresh.prefix.parent.iterdir()} == {"e", ".install.lock"}
        pkgs = fresh.network.cache / "conda" / "pkgs"
        assert not [p.name for p in pkgs.iterdir() if p.name.startswith(".") and p.is_dir()]
    assert caught > kills // 6, "hardly any kill fell into an installation"


def test_a_killed_installation_leaves_old_or_new_and_the_next_one_converges(
    request_: InstallRequest, tmp_path: Path
) -> None:
    matrix(request_, tmp_path, kills=8, seed=398)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chaos_of_kills(
    seed: int, request_: InstallRequest, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "chaos" not in request.config.getoption("markexpr"):
        pytest.skip("a long matrix: opt in with -m chaos")
    matrix(request_, tmp_path, kills=25, seed=seed)


def test_a_killed_repair_leaves_an_environment_and_the_next_one_mends_it(
    request_: InstallRequest, tmp_path: Path
) -> None:
    CondaEngine().ensure(request_, Silent())
    module = request_.prefix / "lib/python3.11/site-packages/pure/__init__.py"
    for n in range(5):
        with module.open("a") as stream:
            stream.write("# a student was here\n")
        kill_after(start(request_, tmp_path, repair=True), 0.1 * n)
        assert CondaEngine().repair(request_, Silent()).ok
        assert "student" not in module.read_text()


def test_two_programs_at_once_install_one_environment(request_: InstallRequest, tmp_path: Path) -> None:
    programs = [start(request_, tmp_path) for _ in range(3)]
    for program in programs:
        out, _ = program.communicate(timeout=120)
        assert (program.returncode, out) == (0, "done\n")
    assert CondaEngine().verify(request_.prefix).ok
    assert {p.name for p in request_.prefix.parent.iterdir()} == {"e", ".install.lock"}


def test_a_child_ends_when_its_input_closes() -> None:
    argv = [sys.executable, "-P", "-m", "coursectl.engines.conda_child"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(timeout=20) == 3


def test_a_course_folder_with_a_rattler_py_is_not_imported(
    request_: InstallRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = tmp_path / "course"
    course.mkdir()
    for name in ("rattler", "json", "asyncio"):
        (course / f"{name}.py").write_text("raise SystemExit('a student file was imported')\n")
    monkeypatch.chdir(course)
    CondaEngine().ensure(request_, Silent())
    assert CondaEngine().verify(request_.prefix).ok
