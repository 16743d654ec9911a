"""release.yaml: exact, strict, and refused whole where a newer coursectl wrote it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from coursectl.errors import LockError
from coursectl.lockfiles import release as release_file
from coursectl.model.course import EngineKind
from coursectl.model.platform import Platform
from coursectl.model.release import BuildRelease, EnvironmentRelease, Release
from coursectl.model.semester import Semester

BUILD = BuildRelease(
    platform=Platform.LINUX_64,
    variant="cpu",
    digest="0" * 64,
    packages=12,
    download_bytes=1_000,
    installed_bytes=None,
)
RELEASE = Release(
    semester=Semester.parse("fall2025"),
    course="phys398",
    as_of=date(2025, 8, 20),
    environments=(
        EnvironmentRelease(
            name="3.11",  # a name that every YAML reader would take for a number
            engine=EngineKind.PYPI,
            lockfile="3.11.requirements.txt",
            spec_digest="1" * 64,
            lock_digest="2" * 64,
            python="3.10",  # not 3.1
            builds=(BUILD,),
        ),
    ),
    notes=('solved from a "partial" index: é',),
)


def test_what_is_written_is_read_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "fall2025" / "release.yaml"
    release_file.write_release(path, RELEASE)
    assert release_file.read_release(path) == RELEASE
    assert release_file.render(RELEASE) == path.read_text(encoding="utf-8")


def test_other_yaml_readers_read_the_same() -> None:
    import yaml

    document = yaml.safe_load(release_file.render(RELEASE))
    (name,) = document["environments"]
    assert name == "3.11"
    assert document["environments"][name]["python"] == "3.10"
    assert document["environments"][name]["builds"][0]["digest"] == "0" * 64
    assert document["notes"] == list(RELEASE.notes)


def test_the_least_a_release_can_be_is_read() -> None:
    least = replace(RELEASE, as_of=None, notes=())
    assert release_file.parse(release_file.render(least).encode(), "x") == least


TEXT = release_file.render(RELEASE)
DAMAGED = {
    "unknown-key": TEXT.replace("course:", "curse:"),
    "bad-digest": TEXT.replace("0" * 64, "0" * 63),
    "lockfile-climbs": TEXT.replace('"3.11.requirements.txt"', '"../../x.txt"'),
    "lockfile-absolute": TEXT.replace('"3.11.requirements.txt"', '"/etc/passwd"'),
    "bad-platform": TEXT.replace("linux-64", "linux-65"),
    "negative-size": TEXT.replace("1000", "-1000"),
    "bad-semester": TEXT.replace("semester: fall2025", "semester: someday"),
    "bad-name": TEXT.replace('"3.11":', '"../x":'),
    "no-schema": TEXT.replace("schema: 1\n", ""),
    "cut-off": TEXT[: len(TEXT) // 2],
    "empty": "",
    "anchor": TEXT.replace("course: phys398", "course: &a phys398"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_release_is_refused(case: str) -> None:
    with pytest.raises(LockError):
        release_file.parse(DAMAGED[case].encode(), "release.yaml")


def test_a_release_by_a_newer_coursectl_says_so_whatever_else_it_holds() -> None:
    text = "schema: 2\nsomething: {new: true}\n"
    with pytest.raises(LockError, match="newer coursectl") as caught:
        release_file.parse(text.encode(), "release.yaml")
    assert caught.value.code == "newer-release"
    assert caught.value.hints[0].command == "pip install --upgrade coursectl"


def test_a_release_copied_into_another_semester_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fall2026" / "release.yaml"
    release_file.write_release(path, RELEASE)
    with pytest.raises(LockError, match="release of fall2025") as caught:
        release_file.read_release(path)
    assert caught.value.cause is not None and "fall2026" in caught.value.cause
