"""A setting comes from the strongest place that has it, and says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursectl.config import load_course
from coursectl.errors import UsageError
from coursectl.model.course import Course
from coursectl.model.semester import Semester
from coursectl.settings import Source, course_folder, resolve
from coursectl.workflows.info import info

TEXT = """name: c
current: fall2026
semesters:
  fall2025:
    environments: [b]
  fall2026:
environments:
  a: {spec: a.yml, variants: {cuda: {__cuda: "12.6"}}}
  b: {spec: b.txt, python: "3.11"}
mirrors: {https://x.example.edu/c: https://y.example.edu/c}
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    (tmp_path / "a.yml").write_text("channels: [conda-forge]\ndependencies: [python]\n")
    (tmp_path / "b.txt").write_text("numpy\n")
    (tmp_path / "course.yaml").write_text(TEXT)
    return load_course(tmp_path / "course.yaml")


def test_a_weaker_place_wins(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def semester(**flags: object) -> tuple[object, Source, str]:
        row = resolve(course, flags).row("semester")
        return str(row.value), row.source, row.origin

    assert semester() == ("fall2026", Source.FILE, "course.yaml:2")
    monkeypatch.setenv("COURSECTL_SEMESTER", "fall2025")
    assert semester() == ("fall2025", Source.VARIABLE, "COURSECTL_SEMESTER")
    assert semester(semester=None) == ("fall2025", Source.VARIABLE, "COURSECTL_SEMESTER")
    assert semester(semester="spring2024") == ("spring2024", Source.FLAG, "SEMESTER")
    monkeypatch.setenv("COURSECTL_SEMESTER", "")
    assert semester() == ("fall2026", Source.FILE, "course.yaml:2")


def test_the_default_environment_is_one_that_the_semester_does_not_pin(course: Course) -> None:
    old, new = resolve(course, {"semester": "fall2025"}), resolve(course, {})
    assert (old.environment, old.row("environment").origin) == ("b", "course.yaml:5")
    assert (new.environment, new.row("environment").origin) == ("a", "course.yaml:8")


def test_the_typed_values_are_not_what_was_set(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSECTL_OFFLINE", "yes")
    monkeypatch.setenv("COURSECTL_PORT", "9000")
    monkeypatch.setenv("COURSECTL_VARIANT", "cuda")
    monkeypatch.setenv(
        "COURSECTL_MIRRORS",
        "pypi=https://p.example.edu/simple https://x.example.edu/c=file:///m/ https://x.example.edu/c=http://q",
    )
    settings = resolve(course, {"browser": False, "port": 9100})
    assert (settings.offline, settings.port, settings.variant, settings.browser) == (
        True,
        9100,
        "cuda",
        False,
    )
    assert settings.mirrors == {
        "https://x.example.edu/c": ("file:///m", "http://q"),
        "pypi": ("https://p.example.edu/simple",),
    }
    assert settings.row("mirrors").origin == "COURSECTL_MIRRORS, course.yaml:10"
    assert settings.semester == Semester.parse("fall2026")
    assert settings.row("home").origin == "COURSECTL_HOME"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SEMESTER", "fal2026", "COURSECTL_SEMESTER: 'fal2026' is not a semester"),
        ("ENVIRONMENT", "c", "COURSECTL_ENVIRONMENT: 'c' is not one of a, b"),
        ("VARIANT", "cudo", "COURSECTL_VARIANT: 'cudo' is not one of auto, cpu, cuda"),
        ("OFFLINE", "maybe", "COURSECTL_OFFLINE: 'maybe' is neither 1 nor 0"),
        ("PORT", "0", "COURSECTL_PORT: '0' is not a port"),
        ("PORT", "٨٨٨٨", "COURSECTL_PORT: '٨٨٨٨' is not a port"),
        ("MIRRORS", "pypi", "COURSECTL_MIRRORS: 'pypi' is not a mirror"),
        ("MIRRORS", "a=https://b", "COURSECTL_MIRRORS: 'a=https://b' is not a mirror"),
        (
            "MIRRORS",
            "pypi=https://me:hunter2@b.example.edu",
            "COURSECTL_MIRRORS: 'pypi=https://***@b.example.edu' is not a mirror",
        ),
    ],
)
def test_a_wrong_variable_is_not_named(
    course: Course, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"COURSECTL_{name}", value)
    with pytest.raises(UsageError) as caught:
        resolve(course, {})
    assert caught.value.message == message


def test_a_wrong_flag_is_not_named(course: Course) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(course, {"semester": "fall2206"})
    assert caught.value.message == "SEMESTER: 'fall2206' is not a semester"
    assert [str(h) for h in caught.value.hints] == ["did you mean fall2026?"]


def test_no_course_is_a_traceback() -> None:
    settings = resolve(None, {})
    assert (settings.course, settings.semester, settings.environment) == (None, None, None)
    assert info(None, settings).course is None


def test_the_course_folder_of_a_weaker_place_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert course_folder() == tmp_path
    monkeypatch.setenv("COURSECTL_COURSE", str(tmp_path / "here"))
    assert course_folder() == tmp_path / "here"
    assert course_folder(tmp_path) == tmp_path
    monkeypatch.setenv("COURSECTL_COURSE", "none")
    with pytest.raises(UsageError, match=r"^COURSECTL_COURSE: there is no folder none$"):
        course_folder()


def test_info_leaves_a_value_or_its_origin_out(course: Course) -> None:
    report = info(course, resolve(course, {"offline": True}))
    assert {(r.name, r.origin) for r in report.settings} >= {
        ("semester", "course.yaml:2"),
        ("offline", "--offline"),
        ("mirrors", "course.yaml:10"),
        ("cache", "COURSECTL_CACHE"),
    }
    assert [(s.name, s.frozen, s.current) for s in report.semesters] == [
        ("fall2025", False, False),
        ("fall2026", False, True),
    ]
    assert report.environments[0].variants == ("cpu", "cuda")
    assert report.versions["py-rattler"] is not None
