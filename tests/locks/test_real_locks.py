"""Locks that other people wrote: read, found safe, and read as conda-lock itself reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel.program import Cli
from coursectl import config, paths
from coursectl.lockfiles import conda_lock, validate
from coursectl.lockfiles import release as release_file
from coursectl.model.course import EngineKind
from coursectl.model.digest import bytes_digest
from coursectl.model.lock import CondaLock
from coursectl.model.platform import Platform
from coursectl.model.release import EnvironmentRelease, Release
from coursectl.workflows.freeze_write import builds_of
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


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.split(".")[0])
def test_up_plans_from_a_real_lock_without_a_network(path: Path, tmp_path: Path, cli: Cli) -> None:
    """A course that adopts somebody else's lock: `up --dry-run` says what it would install."""
    platform = paths.current_platform()
    lock = conda_lock.read_conda_lock(path)
    platforms = tuple(s.platform for s in lock.solutions)
    if platform not in platforms:
        pytest.skip(f"{path.name} is not for {platform}")
    environment = adopt(tmp_path, path, lock, platforms)
    ran = cli("up", "--dry-run", "--json", cwd=tmp_path, env={"https_proxy": "http://127.0.0.1:9"})
    assert ran.code == 0, ran.stderr
    build = environment.build(platform, "cpu")
    assert build is not None
    plan = ran.json()["data"]
    assert plan["packages"] == build.packages
    assert plan["digest"] == build.digest
    assert plan["download_bytes"] is None  # version 1 of the format has no sizes, and none are invented
    assert not plan["installed"]


def adopt(root: Path, path: Path, lock: CondaLock, platforms: tuple[Platform, ...]) -> EnvironmentRelease:
    (root / "x.yml").write_text("channels: [conda-forge]\ndependencies: [python]\n", encoding="utf-8")
    course_file = root / "course.yaml"
    course_file.write_text(
        "name: adopted\ncurrent: fall2025\nsemesters:\n  fall2025: {}\n"
        f"platforms: [{', '.join(platforms)}]\nenvironments:\n  theirs:\n    spec: x.yml\n",
        encoding="utf-8",
    )
    course = config.load_course(course_file)
    folder = course.lock_folder(course.current)
    folder.mkdir(parents=True)
    name = "theirs.conda-lock.yml"
    (folder / name).write_bytes(path.read_bytes())
    environment = EnvironmentRelease(
        name="theirs",
        engine=EngineKind.CONDA,
        lockfile=name,
        spec_digest="0" * 64,
        lock_digest=bytes_digest(path.read_bytes()),
        python=None,
        builds=builds_of(course.environment("theirs"), lock),
    )
    release = Release(semester=course.current, course=course.name, as_of=None, environments=(environment,))
    release_file.write_release(folder / release_file.FILE_NAME, release)
    return environment
