"""A conda environment's ``pip:`` block: solved around what conda provides, installed with hashes, movable."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path

import pytest

from coursectl import activation, process
from coursectl.engines import uv_program, uv_records
from coursectl.engines.base import Network
from coursectl.engines.uv import install_hashed, lock_pip_block
from coursectl.engines.uv_records import site_packages
from coursectl.engines.uv_wheels import Artifact, choose
from coursectl.errors import InstallError, SolveError
from coursectl.model.lock import CondaPackage
from coursectl.model.platform import Platform
from coursectl.model.progress import Silent
from engines import pypi_kit as kit

AS_OF = date(2025, 1, 15)
# versions that conda-forge had that day; numpy 1.99 is on no index, so a constraint alone would not solve
CONDA = {
    "numpy": "1.99.0",
    "python-dateutil": "2.9.0.post0",
    "jpeg": "9e",
    "six": "1.16.0",
    "pyzmq": "26.2.0",
}


def lock(
    cache: Path, *requirements: str, platform: Platform = Platform.LINUX_64, told: kit.Told | None = None
) -> tuple[CondaPackage, ...]:
    return lock_pip_block(
        requirements=requirements,
        conda_pins=CONDA,
        python="3.11",
        platform=platform,
        as_of=AS_OF,
        network=Network(cache=cache),
        progress=told or Silent(),
    )


@pytest.mark.network
def test_pip_brings_what_conda_has(shared_cache: Path) -> None:
    added = {p.name: p for p in lock(shared_cache, "emcee", "jupyter-client<9", "python-dateutil>=2.8")}
    assert set(added) == {"emcee", "jupyter-client", "jupyter-core", "platformdirs", "tornado", "traitlets"}
    emcee = added["emcee"]
    assert (emcee.manager, emcee.version, emcee.build, emcee.subdir) == ("pip", "3.1.6", None, "")
    assert emcee.url.endswith("/emcee-3.1.6-py2.py3-none-any.whl")
    assert emcee.sha256 is not None
    assert len(emcee.sha256) == 64
    assert emcee.size == 47351
    assert emcee.depends == ("numpy ==1.99.0",)
    assert "pyzmq ==26.2.0" in added["jupyter-client"].depends


@pytest.mark.network
def test_another_platform_gets_this_ones_wheel(shared_cache: Path) -> None:
    ends = {
        platform: lock(shared_cache, "tornado", platform=platform)[0].url.rsplit("-", 1)[-1]
        for platform in Platform
    }
    assert "x86_64" in ends[Platform.LINUX_64]
    assert "manylinux" in ends[Platform.LINUX_64]
    assert "aarch64" in ends[Platform.LINUX_AARCH64]
    assert ends[Platform.OSX_64].startswith("macosx")
    assert ends[Platform.WIN_64] == "win_amd64.whl"


@pytest.mark.network
def test_a_windows_package_is_wanted_everywhere(shared_cache: Path) -> None:
    requirements = ("colorama; sys_platform == 'win32'",)
    assert lock(shared_cache, *requirements) == ()
    assert [p.name for p in lock(shared_cache, *requirements, platform=Platform.WIN_64)] == ["colorama"]


@pytest.mark.network
def test_pip_overrules_conda_silently(shared_cache: Path) -> None:
    with pytest.raises(SolveError) as caught:
        lock(shared_cache, "numpy>=2")
    assert caught.value.message == "the pip: block cannot be solved for linux-64"
    assert caught.value.cause == "you require numpy>=2 and numpy==1.99.0 (conda has it)"


@pytest.mark.network
def test_a_package_without_wheels_is_locked_in_silence(shared_cache: Path) -> None:
    told = kit.Told()
    (only,) = lock(shared_cache, "docopt", told=told)
    assert only.url.endswith(".tar.gz")
    assert told.warned == [
        "no-wheel: docopt 0.6.2 has no wheel for linux-64: it is built when installed",
    ]


def prefix_like(folder: Path, cache: Path) -> Path:
    """A venv in the place of a conda prefix: not relocatable, as a conda prefix is not to uv."""
    network = Network(cache=cache)
    env = uv_program.variables(network, os.environ)
    made = process.run(
        [uv_program.program(), "venv", "--no-project", "-p", sys.executable, folder], timeout=60, env=env
    )
    assert made.ok, made.stderr
    return folder


def pins(cache: Path, *requirements: str) -> list[tuple[str, str, str]]:
    from coursectl import paths

    platform = paths.current_platform()
    assert platform is not None
    found = lock_pip_block(
        requirements=requirements,
        conda_pins={},
        python=kit.PYTHON,
        platform=platform,
        as_of=AS_OF,
        network=Network(cache=cache),
        progress=Silent(),
    )
    return [(p.name, p.version, p.sha256 or "") for p in found]


@pytest.mark.network
@pytest.mark.skipif(os.name == "nt", reason="Windows gets .bat launchers, which find Python by themselves")
@pytest.mark.parametrize("name", ["short", "with blank", "é" + "x" * 230])
def test_scripts_start_the_python_of_the_staging_folder(
    tmp_path: Path, shared_cache: Path, name: str
) -> None:
    staging, final = tmp_path / ".staging", tmp_path / name
    prefix_like(staging, shared_cache)
    install_hashed(
        python=activation.python_of(staging),
        staging=staging,
        final=final,
        pins=pins(shared_cache, "pygments", "six"),
        network=Network(cache=shared_cache),
        progress=Silent(),
    )
    checked = uv_records.check(staging)
    assert (checked.packages, checked.problems) == (2, ())
    script = (staging / "bin" / "pygmentize").read_bytes()
    assert str(staging).encode() not in script
    staging.rename(final)
    ended = process.run([final / "bin" / "pygmentize", "-V"], timeout=60)
    assert ended.ok, ended.stderr
    assert uv_records.check(final).problems == ()


@pytest.mark.network
def test_a_damaged_cache_damages_the_pip_packages(tmp_path: Path, shared_cache: Path) -> None:
    cache = tmp_path / "own-cache"
    wanted = pins(shared_cache, "six")
    for turn in ("first", "second"):
        staging = prefix_like(tmp_path / turn, cache)
        told = kit.Told()
        install_hashed(
            python=activation.python_of(staging),
            staging=staging,
            final=tmp_path / "final",
            pins=wanted,
            network=Network(cache=cache),
            progress=told,
        )
        site = site_packages(staging)
        assert site is not None
        assert "1.17.0" in (site / "six.py").read_text()
        for file in (cache / "uv").rglob("six.py"):
            file.write_text("raise SystemExit\n")
    assert told.said == ["the download cache is damaged (six): fetching again"]


@pytest.mark.network
def test_another_file_than_the_locked_one_is_installed(tmp_path: Path, shared_cache: Path) -> None:
    staging = prefix_like(tmp_path / "s", shared_cache)
    with pytest.raises(InstallError) as caught:
        install_hashed(
            python=activation.python_of(staging),
            staging=staging,
            final=tmp_path / "f",
            pins=[("six", "1.17.0", "0" * 64)],
            network=Network(cache=shared_cache),
            progress=Silent(),
        )
    assert caught.value.code == "hash-mismatch"


def wheel(name: str) -> Artifact:
    return Artifact(name=name, url=f"https://files.example/{name}", sha256="0" * 64, size=1)


@pytest.mark.parametrize(
    ("platform", "names", "expected"),
    [
        # the machine's own beats the general one
        (Platform.LINUX_64, ["x-1-py3-none-any.whl", "x-1-cp311-cp311-manylinux_2_17_x86_64.whl"], 1),
        # glibc 2.28 is our floor ...
        (
            Platform.LINUX_64,
            ["x-1-cp311-cp311-manylinux_2_34_x86_64.whl", "x-1-cp311-cp311-manylinux2014_x86_64.whl"],
            1,
        ),
        # ... and what is newer is better than nothing
        (Platform.LINUX_64, ["x-1-cp311-cp311-manylinux_2_34_x86_64.whl"], 0),
        (
            Platform.LINUX_64,
            ["x-1-cp311-cp311-musllinux_1_2_x86_64.whl", "x-1-cp310-cp310-linux_x86_64.whl"],
            None,
        ),
        (Platform.LINUX_AARCH64, ["x-1-cp38-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"], 0),
        (
            Platform.OSX_ARM64,
            ["x-1-cp311-cp311-macosx_14_0_arm64.whl", "x-1-cp311-cp311-macosx_11_0_arm64.whl"],
            1,
        ),
        (Platform.OSX_64, ["x-1-cp311-cp311-macosx_10_9_universal2.whl"], 0),
        (Platform.WIN_64, ["x-1-cp311-cp311-win32.whl", "x-1-cp311-cp311-win_amd64.whl"], 1),
        (Platform.WIN_64, ["not a wheel name.whl"], None),
    ],
)
def test_the_wrong_wheel_is_chosen(platform: Platform, names: list[str], expected: int | None) -> None:
    chosen = choose([wheel(n) for n in names], platform, "3.11")
    assert chosen == (None if expected is None else wheel(names[expected]))
