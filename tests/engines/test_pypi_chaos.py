"""kill -9 at random moments: the next ensure converges, and no uv goes on behind it."""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from coursectl import files, process
from coursectl.engines import pypi
from coursectl.engines.base import Network
from coursectl.engines.pypi import PypiEngine
from coursectl.model.installed import MARKER
from coursectl.model.progress import Silent
from engines import pypi_kit as kit

pytestmark = pytest.mark.network
ENGINE = PypiEngine()
_CHILD = """
import sys
from pathlib import Path
from coursectl.engines import pypi
from coursectl.engines.base import Network
from coursectl.engines.pypi import PypiEngine
from coursectl.model.progress import Silent
from engines import pypi_kit as kit
lock, prefix, cache, repair = sys.argv[1:]
request = kit.request(Path(lock), Path(prefix), Network(cache=Path(cache)))
(PypiEngine().repair if repair == "repair" else PypiEngine().ensure)(request, Silent())
"""


def start(lock: Path, prefix: Path, cache: Path, what: str = "ensure") -> process.Spawned:
    env = dict(os.environ) | {"PYTHONPATH": str(Path(kit.__file__).parent.parent)}
    words = [sys.executable, "-c", _CHILD, str(lock), str(prefix), str(cache), what]
    return process.spawn(words, log=prefix.parent.parent / "child.log", env=env, leash=False)


def of_uv(cache: Path) -> list[psutil.Process]:
    """uv processes that work for this test: they have its cache in their environment."""
    found = []
    for candidate in psutil.process_iter(["name"]):
        try:
            if "uv" in (candidate.info["name"] or "") and candidate.environ().get("UV_CACHE_DIR") == str(
                cache / "uv"
            ):
                found.append(candidate)
        except psutil.Error:
            continue
    return found


def wait_until_gone(cache: Path, seconds: float = 5.0) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (left := of_uv(cache)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def killed_after(seconds: float, child: process.Spawned) -> bool:
    """Kill the child alone, as the system's memory killer does; ``False`` if it was done before."""
    time.sleep(seconds)
    early = child.popen.poll() is None
    child.popen.kill()
    child.popen.wait()
    return early


def check(prefix: Path, cache: Path) -> None:
    marked = (prefix / MARKER).is_file()
    assert not marked or ENGINE.verify(prefix).ok, "a marker on half an environment"
    assert wait_until_gone(cache) == [], "a uv that nobody waits for"


def converge(lock: Path, prefix: Path, cache: Path) -> None:
    ENGINE.ensure(kit.request(lock, prefix, Network(cache=cache)), Silent())
    verdict = ENGINE.verify(prefix)
    assert verdict.ok, verdict.problems
    assert [p.name for p in prefix.parent.iterdir() if p.name.startswith((".staging", ".aside"))] == []


def _kill_and_converge(tmp_path: Path, shared_cache: Path, times: int, seed: int) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    cache, prefix = tmp_path / "own-cache", tmp_path / "e" / "small"
    prefix.parent.mkdir()
    began = time.monotonic()
    child = start(lock, prefix, cache)
    child.popen.wait()
    whole = time.monotonic() - began
    assert ENGINE.verify(prefix).ok, (tmp_path / "child.log").read_text()
    chance = random.Random(seed)
    early = 0
    for turn in range(times):
        files.remove_tree(prefix)
        if turn % 2:
            files.remove_tree(cache)  # half of the kills hit the downloads, half the links
        early += killed_after(chance.uniform(0.1, 1.0) * whole, start(lock, prefix, cache))
        check(prefix, cache)
        converge(lock, prefix, cache)
    assert early > times // 3, "too few kills came before the end to say anything"


def test_a_kill_leaves_half_an_environment(tmp_path: Path, shared_cache: Path) -> None:
    _kill_and_converge(tmp_path, shared_cache, times=8, seed=398)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10))
def test_many_kills_leave_half_an_environment(
    tmp_path: Path, shared_cache: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    if "chaos" not in request.config.option.markexpr:
        pytest.skip("minutes of kills: opt in with -m chaos")
    _kill_and_converge(tmp_path, shared_cache, times=20, seed=seed)


def test_a_kill_between_the_two_renames_of_a_repair_loses_the_environment(
    tmp_path: Path, shared_cache: Path
) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    request = kit.request(lock, tmp_path / "e" / "small", Network(cache=shared_cache))
    ENGINE.ensure(request, Silent())
    with pypi._held(request.prefix, Silent()) as place:
        aside = place.aside
    request.prefix.rename(aside)  # what the kill leaves
    told = kit.Told()
    began = (aside / MARKER).stat().st_mtime_ns
    ENGINE.ensure(request, told)
    assert (request.prefix / MARKER).stat().st_mtime_ns == began  # put back, not built again
    assert ENGINE.verify(request.prefix).ok


def test_a_killed_launcher_leaves_uv_running(tmp_path: Path) -> None:
    """The leash: a uv that waits for an index which never answers ends with the process that started it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lock = tmp_path / "lock.txt"
        lock.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
        cache, prefix = tmp_path / "cache", tmp_path / "e" / "small"
        prefix.parent.mkdir()
        os.environ["UV_DEFAULT_INDEX"] = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        try:
            child = start(lock, prefix, cache)
        finally:
            del os.environ["UV_DEFAULT_INDEX"]
        silent.settimeout(30)
        connection, _ = silent.accept()  # uv is there and waits
        with connection:
            assert of_uv(cache) != []
            child.popen.kill()
            child.popen.wait()
            assert wait_until_gone(cache) == []
