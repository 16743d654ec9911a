"""The semesters of the reference course that are committed: sound, current, and made again byte by byte."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from coursectl import config
from coursectl.engines.base import Network
from coursectl.lockfiles import conda_lock, requirements
from coursectl.model.course import EngineKind
from coursectl.model.digest import bytes_digest
from coursectl.model.frozen import FreezeState
from coursectl.model.platform import Platform
from coursectl.model.progress import Silent
from coursectl.model.semester import Semester
from coursectl.workflows import semesters
from coursectl.workflows.freeze import FreezeOptions, freeze
from coursectl.workflows.freeze_write import builds_of

ROOT = Path(__file__).resolve().parents[2]
SEMESTERS = ("fall2023", "spring2024", "fall2025", "spring2026", "fall2026")
FROM_CONDA_FORGE = ("spring2024", "fall2025", "spring2026")
NOTE = "phys398 was solved from a partial index of conda-forge, which states no sizes"


def test_every_semester_of_the_course_is_frozen() -> None:
    course = config.load_course(ROOT / "course.yaml")
    assert {str(s) for s in semesters.frozen(course)} == set(SEMESTERS)
    assert {str(p.semester) for p in course.semesters} == set(SEMESTERS)


@pytest.mark.parametrize("name", SEMESTERS)
def test_a_committed_release_is_what_the_course_asks_for(name: str, tmp_path: Path) -> None:
    course = config.load_course(ROOT / "course.yaml")
    report = freeze(
        course,
        Semester.parse(name),
        FreezeOptions(check=True),
        network=Network(cache=tmp_path, offline=True),
        progress=Silent(),
    )
    assert not report.stale, report


@pytest.mark.parametrize("name", SEMESTERS)
def test_a_committed_lock_is_sound_and_is_the_released_one(name: str) -> None:
    course = config.load_course(ROOT / "course.yaml")
    release = semesters.load(course, Semester.parse(name))
    for environment in release.environments:
        path = course.lock_folder(release.semester) / environment.lockfile
        assert bytes_digest(path.read_bytes()) == environment.lock_digest
        lock = (
            conda_lock.read_conda_lock(path)
            if environment.engine is EngineKind.CONDA
            else requirements.read_requirements_lock(path)
        )
        assert builds_of(course.environment(environment.name), lock) == environment.builds
        assert {b.platform for b in environment.builds} == set(course.environment(environment.name).platforms)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "lockfiles").glob("*/*.*")), ids=lambda p: f"{p.parent.name}-{p.name}"
)
def test_no_index_host_and_no_machine_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    hosts = set(re.findall(r"https?://([^/\s\"']+/[^/\s\"']+)", text))
    assert hosts <= {"conda.anaconda.org/conda-forge"}
    assert not re.search(r"127\.0\.0\.1|localhost|index-url|find-links|/(home|root|tmp|Users)/", text)


@pytest.mark.parametrize("name", FROM_CONDA_FORGE)
def test_a_semester_from_the_partial_index_says_so(name: str) -> None:
    course = config.load_course(ROOT / "course.yaml")
    assert NOTE in semesters.load(course, Semester.parse(name)).notes


def test_pytorch_is_for_cuda_in_the_variant_and_nowhere_else() -> None:
    for name in FROM_CONDA_FORGE:
        lock = conda_lock.read_conda_lock(ROOT / "lockfiles" / name / "phys398.conda-lock.yml")
        for solution in lock.solutions:
            torch = [p for p in solution.packages if p.name == "pytorch"]
            if solution.variant == "cuda":
                assert solution.platform is Platform.LINUX_64
                assert len(torch) == 1 and torch[0].build is not None and "cuda" in torch[0].build
            else:
                assert torch == []


def test_a_freeze_of_today_makes_the_committed_bytes(tmp_path: Path, conda_forge_sample: str) -> None:
    """Another machine, another port, another day: the index at hand gives the same file."""
    shutil.copy(ROOT / "course.yaml", tmp_path)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    course = config.load_course(tmp_path / "course.yaml")
    report = freeze(
        course,
        Semester.parse("spring2024"),
        FreezeOptions(environments=("phys398",)),
        network=Network(
            cache=tmp_path / "cache",
            mirrors={"https://conda.anaconda.org/conda-forge": (conda_forge_sample,)},
        ),
        progress=Silent(),
    )
    assert report.state is FreezeState.LOCKED  # its fallback was not asked for
    name = "lockfiles/spring2024/phys398.conda-lock.yml"
    assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
