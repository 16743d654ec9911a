"""freeze with packages from the real Python package index: a `fallback` environment and a ``pip:`` list."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from coursectl.lockfiles import conda_lock, conda_lock_write, requirements
from coursectl.model.frozen import FreezeState
from coursectl.model.lock import CondaPackage
from coursectl.model.platform import Platform
from coursectl.workflows.freeze_pip import conda_pins
from freeze.freeze_kit import COURSE, Kit

pytestmark = pytest.mark.network

BOTH = (
    COURSE.replace("platforms: [linux-64, osx-arm64]", "platforms: [linux-64, win-64]").replace(
        "    spec: environments/main.yml\n", "    spec: environments/main.yml\n    fallback: light\n"
    )
    + '  light:\n    spec: environments/light.in\n    python: "3.11"\n'
)
LIGHT = "six\ncolorama; sys_platform == 'win32'\n"


def test_an_environment_of_each_engine_makes_one_release(kit: Kit, shared_cache: Path) -> None:
    kit.write("course.yaml", BOTH)
    kit.write("environments/light.in", LIGHT)
    report = kit.freeze()
    assert report.state is FreezeState.FROZEN
    light = kit.release().environment("light")
    assert light is not None and light.python == "3.11"
    assert [(b.platform, b.packages) for b in light.builds] == [
        (Platform.LINUX_64, 1),
        (Platform.WIN_64, 2),
    ]
    assert all(b.download_bytes for b in light.builds)
    text = kit.files()["fall2025/light.requirements.txt"].decode()
    assert "six==1.16.0" in text  # of 2024-06-01
    assert "://" not in text  # any mirror serves it
    assert kit.freeze().state is FreezeState.UNCHANGED
    before = kit.files()
    kit.freeze(force=True, notes=("again",))
    assert kit.files()["fall2025/light.requirements.txt"] == before["fall2025/light.requirements.txt"]


def test_update_moves_one_pin(kit: Kit, shared_cache: Path) -> None:
    kit.write("course.yaml", BOTH)
    kit.write("environments/light.in", "six\nidna\n")
    kit.freeze(as_of=date(2023, 6, 1))
    report = kit.freeze(as_of=date(2024, 6, 1), update=("idna",), force=True)
    text = kit.files()["fall2025/light.requirements.txt"].decode()
    lock = requirements.parse(text.encode(), "x")
    assert {p.name: p.version for p in lock.pins} == {"six": "1.16.0", "idna": "3.7"}
    assert kit.versions() == "alpha 1.0, beta 1.0, gamma 1.0"  # no lock of theirs has idna
    assert {c.environment for c in report.comparisons if c.diffs[0].changes} == {"light"}
    assert not kit.freeze(check=True).stale


def test_a_pip_list_is_locked_around_what_conda_has(kit: Kit, shared_cache: Path, tmp_path: Path) -> None:
    spec = "channels: [conda-forge]\ndependencies:\n  - python\n  - alpha\n  - pip:\n    - idna\n"
    kit.write("environments/main.yml", spec)
    kit.freeze()
    path = kit.root / "lockfiles" / "fall2025" / "main.conda-lock.yml"
    for platform, variant in (
        (Platform.LINUX_64, "cpu"),
        (Platform.LINUX_64, "cuda"),
        (Platform.OSX_ARM64, "cpu"),
    ):
        solution = conda_lock.read_conda_lock(path).solution(platform, variant)
        assert solution is not None
        (pip,) = [p for p in solution.packages if p.manager == "pip"]
        assert (pip.name, pip.version) == ("idna", "3.7")
        assert pip.sha256 is not None and pip.url.endswith(".whl")
    conda_lock_write.require()
    from conda_lock.lockfile import parse_conda_lock_file

    theirs = parse_conda_lock_file(path)
    assert {(p.manager, p.platform) for p in theirs.package if p.name == "idna"} == {
        ("pip", "linux-64"),
        ("pip", "linux-64-cuda"),
        ("pip", "osx-arm64"),
    }
    assert set(theirs.metadata.content_hash) == {"linux-64", "linux-64-cuda", "osx-arm64"}


def test_a_c_library_is_not_taken_for_the_python_package_of_its_name() -> None:
    def package(name: str, *depends: str) -> CondaPackage:
        return CondaPackage(
            name=name,
            version="1",
            build="0",
            manager="conda",
            url="",
            sha256=None,
            md5=None,
            depends=depends,
        )

    found = conda_pins(
        [
            package("graphviz", "cairo >=1"),
            package("matplotlib-base", "python >=3.11,<3.12.0a0"),
            package("Typing_Extensions", "python"),
            package("pythonnet-native", "python-native 1"),
        ]
    )
    assert found == {"matplotlib": "1", "typing-extensions": "1"}
