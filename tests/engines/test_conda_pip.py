"""The ``pip:`` block of a conda environment, installed into the same prefix with hashes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from channel.served import ServedChannel
from coursectl.engines.base import InstallRequest, Network
from coursectl.engines.conda import CondaEngine
from coursectl.engines.uv import lock_pip_block
from coursectl.model.installed import ProblemKind
from coursectl.model.platform import Platform
from coursectl.model.progress import Silent
from engines.conda_kit import install_request, solve

TinyChannel = Callable[..., ServedChannel]

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="the real python package is this machine's"),
]


@pytest.fixture
def request_(tiny_channel: TinyChannel, tmp_path: Path) -> InstallRequest:
    channel = tiny_channel(python=True)
    cache = tmp_path / "cache"
    solved = solve(cache, channel.url, "python", "pure")
    pins = lock_pip_block(
        requirements=["colorama==0.4.6"],
        conda_pins={"pure": "1.0"},
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        platform=Platform.LINUX_64,
        as_of=None,
        network=Network(cache=cache),
        progress=Silent(),
    )
    assert [(p.name, p.manager) for p in pins] == [("colorama", "pip")]
    request = install_request(solved, tmp_path / "envs" / "e", cache)
    return replace(request, packages=(*request.packages, *pins))


def test_pip_packages_are_installed_verified_and_repaired_with_the_rest(request_: InstallRequest) -> None:
    engine = CondaEngine()
    engine.ensure(request_, Silent())
    prefix = request_.prefix
    verdict = engine.verify(prefix)
    assert verdict.ok, verdict.problems
    assert verdict.packages == len(request_.packages)
    said = subprocess.run(
        [prefix / "bin" / "python", "-c", "import colorama, pure; print(colorama.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    module = Path(said.stdout.strip())
    assert module.is_relative_to(prefix)

    with module.open("a") as stream:
        stream.write("# a student was here\n")
    shutil.rmtree(module.parent / "tests", ignore_errors=True)
    problems = engine.verify(prefix).problems
    named = {(p.kind, p.path, p.package) for p in problems}
    path = module.relative_to(prefix).as_posix()
    assert (ProblemKind.CHANGED, path, "colorama") in named
    assert engine.repair(request_, Silent()).ok
    assert "student" not in module.read_text()


def test_a_pip_package_that_was_uninstalled_is_missed(request_: InstallRequest) -> None:
    engine = CondaEngine()
    engine.ensure(request_, Silent())
    info = next(request_.prefix.glob("lib/python3*/site-packages/colorama-*.dist-info"))
    shutil.rmtree(info)
    shutil.rmtree(info.parent / "colorama")
    assert [(p.kind, p.package) for p in engine.verify(request_.prefix).problems] == [
        (ProblemKind.NOT_INSTALLED, "colorama")
    ]
