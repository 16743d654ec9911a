"""kill -9 at random moments of ``up``: the next ``up`` converges, nothing half counts, nobody goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from channel.served import ServedChannel
from coursectl import files
from coursectl.model.installed import MARKER
from e2e import desk
from e2e.desk import Desk

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")

UP = ("up", "--no-launch")


def start(here: Desk, *words: str) -> subprocess.Popen[bytes]:
    """The program in a session of its own, as a terminal starts it; nobody reads what it says."""
    return subprocess.Popen(
        here.argv(*(words or UP)),
        cwd=here.course,
        env=here.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(program: subprocess.Popen[bytes], *, everything: bool) -> bool:
    """Kill the launcher alone, or all that it started too; ``False`` if it was done already."""
    early = program.poll() is None
    family: list[psutil.Process] = []
    if everything and early:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(program.pid).children(recursive=True)
    if early:
        os.killpg(program.pid, signal.SIGKILL)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    program.wait()
    return early


def durations(here: Desk, elsewhere: Path) -> tuple[float, float]:
    """Seconds of an undisturbed `up` here and now, with an empty cache and a full one: kills fall inside."""
    other = here.another(elsewhere / "home")
    other.cache = elsewhere / "cache"
    cold = other.ok(*UP, timeout=280).seconds
    files.remove_tree(other.home)
    return cold, other.ok(*UP, timeout=280).seconds


def check_after_kill(here: Desk) -> None:
    left = here.processes()
    assert desk.until(lambda: here.processes() == [], 6), f"still there: {left}"
    for marker in (here.home / "envs").glob(f"[!.]*/{MARKER}"):
        verified = here("env", "verify", marker.parent.name)
        assert verified.code == 0, f"a marker on half an environment\n{verified.stdout}"


def check_converged(here: Desk, packages: int) -> None:
    ran = here.ok(*UP, timeout=280)
    assert f"{packages} in " in ran.stderr
    assert f"{packages} packages" in here.ok("env", "verify").stdout
    half = [n for n in here.environments() if n.startswith((".staging", ".aside", ".old"))]
    assert half == []
    assert [n for n in here.environments() if not n.startswith(".")] == [Path(_prefix(here)).name]
    assert here.ok(*UP).stderr.count("nothing to do") == 1


def _prefix(here: Desk) -> str:
    return str(here.data("up", "--dry-run")["prefix"])


def matrix(here: Desk, tmp_path: Path, *, kills: int, packages: int, seed: int) -> int:
    """Kill cold or half-cold runs at random moments; returns how many were killed before their end."""
    chance = random.Random(seed)
    cold, warm = durations(here, tmp_path / "timed")
    early = 0
    for turn in range(kills):
        if turn % 2 == 0:
            files.remove_tree(here.cache)  # half of the kills fall into downloads, half into links
        files.remove_tree(here.home)
        for _ in range(chance.choice((1, 1, 2))):  # an impatient student kills twice
            program = start(here)
            time.sleep((warm if turn % 2 else cold) * chance.uniform(0.1, 0.95))
            early += kill(program, everything=chance.random() < 0.5)
            check_after_kill(here)
        check_converged(here, packages)
    return early


def test_a_kill_leaves_half_a_conda_environment(small: Desk, tmp_path: Path) -> None:
    assert matrix(small, tmp_path, kills=3, packages=18, seed=398) >= 2


@pytest.mark.network
def test_a_kill_leaves_half_a_virtual_environment(small_pypi: Desk, tmp_path: Path) -> None:
    assert matrix(small_pypi, tmp_path, kills=3, packages=7, seed=398) >= 2


@pytest.mark.network
@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chaos_of_kills_on_the_real_channel(conda: Desk, tmp_path: Path, seed: int) -> None:
    here = conda.another(tmp_path / "home")
    here.cache = tmp_path / "cache"
    kills = 12
    early = matrix(here, tmp_path, kills=kills, packages=_packages(here), seed=seed)
    print(f"{early} kills before the end, {kills} convergences")
    assert early >= kills * 2 // 3
    here.end()


def _packages(here: Desk) -> int:
    return int(here.data("up", "--dry-run")["packages"])


def test_a_kill_of_an_update_takes_the_environment_that_worked(
    small: Desk, small_channel: ServedChannel
) -> None:
    """A new lock of the semester is being installed when the machine dies: the old one still stands."""
    small.ok(*UP)
    old = _prefix(small)
    spec = small.course / "environments/bench.yml"
    spec.write_text(spec.read_text().replace("beta =1.0", "beta =1.0, gamma"))
    small.ok("freeze", "--force")
    stalled = small_channel.server.stall("*gamma*")
    try:
        program = start(small)
        assert desk.until(lambda: stalled.hits > 0, 30)
        assert kill(program, everything=True)
    finally:
        small_channel.server.heal()
    check_after_kill(small)
    assert "all as locked" in small.ok("env", "verify", Path(old).name).stdout
    small.ok(*UP)
    new = _prefix(small)
    assert new != old
    assert "all as locked" in small.ok("env", "verify").stdout


def test_a_killed_freeze_leaves_half_a_semester(small: Desk) -> None:
    """Old, new or none: a semester whose files belong to two freezes would be refused on every laptop."""
    spec = small.course / "environments/bench.yml"
    text = spec.read_text()
    folder = small.course / "lockfiles/fall2026"
    old = {f: (folder / f).read_bytes() for f in desk.files_below(folder)}
    spec.write_text(text.replace("beta =1.0", "beta =1.0, gamma"))
    seconds = small.ok("freeze", "--force").seconds
    new = {f: (folder / f).read_bytes() for f in desk.files_below(folder)}
    assert new != old
    chance = random.Random(398)
    for turn in range(4):
        spec.write_text(text if turn % 2 == 0 else text.replace("beta =1.0", "beta =1.0, gamma"))
        program = start(small, "freeze", "--force")
        # most of it is solving; the files change in the last moments
        time.sleep(seconds * (chance.uniform(0.2, 0.8) if turn < 2 else chance.uniform(0.8, 1.0)))
        kill(program, everything=turn % 2 == 0)
        assert desk.until(lambda: small.processes() == [], 6), small.processes()
        plan = small("up", "--dry-run", "--json")
        assert plan.code == 0 or desk.envelope(plan)["messages"][-1]["code"] == "not-frozen"
        if plan.code == 0:
            assert small("up", "--no-launch", "--offline").code in {0, 4}  # never "not the file released"
        small.ok("freeze", "--force")
        found = {f: (folder / f).read_bytes() for f in desk.files_below(folder)}
        assert found == (old if turn % 2 == 0 else new)
        assert small("freeze", "--check").code == 0
