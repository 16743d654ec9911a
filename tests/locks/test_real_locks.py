"""Locks that other people wrote: read, found safe, and read as conda-lock itself reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursectl.lockfiles import conda_lock, validate
from coursectl.model.platform import Platform
from locks.lock_kit import REAL_LOCKS

if not REAL_LOCKS.is_dir():
    pytest.skip("the real locks lie outside the repository: ../shared/real-locks", allow_module_level=True)

FILES = sorted(REAL_LOCKS.glob("*.yml"))
LARGEST = REAL_LOCKS / "pangeo-pangeo-notebook.conda-lock.yml"


# conda-lock takes 3 to 8 s for the largest one
@pytest.mark.parametrize("path", [f for f in FILES if f != LARGEST], ids=lambda p: p.name.split(".")[0])
def test_every_package_of_a_real_lock_is_read_as_conda_lock_reads_it(path: Path) -> None:
    from coursectl.lockfiles import conda_lock_write

    conda_lock_write.require()
    from conda_lock.lockfile import parse_conda_lock_file

    ours = conda_lock.read_conda_lock(path)
    theirs = parse_conda_lock_file(path)
    assert {
        (p.manager, p.name, str(s.platform), p.version, p.url, p.sha256, p.md5)
        for s in ours.solutions
        for p in s.packages
    } == {
        (p.manager, p.name, p.platform, p.version, p.url, p.hash.sha256, p.hash.md5) for p in theirs.package
    }
    assert list(ours.channels) == [c.url for c in theirs.metadata.channels]
    assert dict(ours.content_hash) == theirs.metadata.content_hash


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.split(".")[0])
def test_a_real_lock_is_not_refused(path: Path) -> None:
    assert validate.problems(conda_lock.parse(path.read_bytes(), path.name)) == ()


def test_builds_and_subdirs_are_taken_from_the_addresses() -> None:
    lock = conda_lock.read_conda_lock(LARGEST)
    solution = lock.solution(Platform.OSX_ARM64, "cpu")
    assert solution is not None
    packages = {p.name: p for p in solution.packages}
    assert packages["numpy"].subdir == "osx-arm64"
    assert packages["numpy"].build is not None and packages["numpy"].build.startswith("py")
    assert packages["tzdata"].subdir == "noarch"
    assert all(p.build for p in solution.packages)
