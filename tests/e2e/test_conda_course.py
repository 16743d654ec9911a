"""The main job on conda: five platforms frozen from one machine, JupyterLab opened on what was locked."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel.served import ServedChannel
from coursectl.lockfiles.conda_lock import read_conda_lock
from e2e import courses, desk
from e2e.desk import Desk
from servers import lab

pytestmark = pytest.mark.network  # the channel is made of wheels, and the fallback is on PyPI

CELL = """
import sys, numpy, scipy, pandas, matplotlib
print("prefix", sys.prefix)
print("inside", all(m.__file__.startswith(sys.prefix) for m in (numpy, scipy, pandas, matplotlib)))
"""


def test_a_platform_is_missing_after_freeze(conda: Desk) -> None:
    frozen = conda.frozen
    assert frozen is not None
    for platform in courses.PLATFORMS:
        assert f"    {platform} " in frozen.stdout
    lock = read_conda_lock(conda.course / "lockfiles/fall2026/lab.conda-lock.yml")
    builds = {(str(s.platform), s.variant) for s in lock.solutions}
    assert builds == {(p, "cpu") for p in courses.PLATFORMS} | {("linux-64", "cuda")}
    for solution in lock.solutions:
        assert all(p.url.startswith(desk.REAL) for p in solution.packages)
        assert all(p.sha256 and p.size for p in solution.packages)
    cuda = next(s for s in lock.solutions if s.variant == "cuda")
    torch = {p.name: p for p in cuda.packages}["pytorch"]
    assert torch.build is not None
    assert torch.build.startswith("cuda126")
    again = conda.ok("freeze")
    assert "nothing to do" in again.stdout + again.stderr
    assert conda("freeze", "--check").code == 0


def test_a_cell_runs_on_the_locked_packages_and_without_the_channel(
    conda: Desk, loopback_channel: ServedChannel
) -> None:
    assert conda.first is not None
    assert " in lab, verified" in conda.first.stderr
    loopback_channel.server.stop()
    try:
        up = conda.data("up", "--detach")
        assert (up["install_seconds"], up["found"], up["plan"]["environment"]) == (0, False, "lab")
        [server] = conda.servers()
        said = lab.execute(server, CELL)
        assert f"prefix {up['plan']['prefix']}\n" in said
        assert "inside True" in said
        assert "nothing to do" in conda.ok("up", "--detach").stdout
        assert "all as locked" in conda.ok("env", "verify").stdout
        assert conda.ok("down").stdout.startswith("stopped")
    finally:
        loopback_channel.server.start()
    assert desk.until(lambda: conda.processes() == [], 5)


def test_the_variant_is_chosen_by_the_wrong_side(conda: Desk) -> None:
    plan = conda.data("up", "--variant", "cuda", "--dry-run")
    assert (plan["variant"], plan["installed"]) == ("cuda", False)
    assert plan["download_bytes"] > 50_000_000
    assert any("cuda was asked for" in reason for reason in plan["reasons"])
    assert conda.data("up", "--dry-run")["variant"] == "cpu"  # no GPU is asked for on this machine
    wrong = conda("up", "--variant", "rocm", "--dry-run")
    assert wrong.code == 2
    assert "cuda" in wrong.stderr


def test_a_fresh_home_without_the_channel_takes_the_fallback_and_says_so(
    conda: Desk, loopback_channel: ServedChannel, tmp_path: Path
) -> None:
    fresh = conda.another(tmp_path / "home")
    loopback_channel.server.stop()
    try:
        up = fresh.ok("up", "--no-launch")
        said = [line for line in up.stderr.splitlines() if "lab-pypi, because the channel" in line]
        assert len(said) == 1
        assert "conda-forge cannot be used from here" in said[0]
        assert "connection was refused" in said[0]
        second = fresh.ok("up", "--no-launch")
        assert "lab-pypi, nothing to do" in second.stderr
    finally:
        loopback_channel.server.start()
    # the channel is back: what is installed stays, and the way to the main environment is said
    third = fresh.ok("up", "--no-launch")
    assert "lab-pypi, because it is installed; `coursectl up --env lab`" in third.stderr


def test_offline_without_a_cache_does_not_name_what_is_missing(conda: Desk, tmp_path: Path) -> None:
    fresh = conda.another(tmp_path / "home")
    fresh.cache = tmp_path / "cache"
    ran = fresh("up", "--no-launch", "--offline")
    assert ran.code == 4
    assert "lab cannot be installed offline" in ran.stderr
    assert "anyio-" in ran.stderr
    assert "more" in ran.stderr
    assert "once, with a network: `coursectl up fall2026`" in ran.stderr
    named = desk.envelope(fresh("up", "--no-launch", "--offline", "--json"))
    assert named["messages"][-1]["code"] == "offline"
    assert fresh.environments() in ([], [".install.lock"])
