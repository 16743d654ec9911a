"""A right course file becomes the right course; paths stay inside; the schema is the one that is shipped."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from coursectl.config import find_course_file, load_course
from coursectl.config_model import schema_text
from coursectl.errors import CourseFileError
from coursectl.model.course import EngineKind, Variant
from coursectl.model.platform import Platform, VirtualPackage
from coursectl.model.semester import Semester

REPOSITORY = Path(__file__).parents[2]
FULL = """
name: phys
title: "Physik für alle"
current: fall2026
semesters:
  fall2026: {starts: 2026-08-24, as_of: 2026-08-01, environments: [b]}
  spring2027:
platforms: [linux-64, win-64]
environment: a
environments:
  a:
    spec: ./env/a.yml
    fallback: b
    variants:
      cuda:
        __cuda: 12.6
        __archspec: x86_64_v3
        platforms: [linux-64]
        specs: [pytorch >=2, conda-forge::jax=0.4]
  b: {spec: b.txt, python: 3.10, platforms: [linux-64]}
mirrors:
  https://conda.anaconda.org/conda-forge/: http://127.0.0.1:8000/
  pypi: [https://a.example.edu/simple, https://b.example.edu/simple]
notebooks: {suite: ["tests/**/*.ipynb"], timeout: 60, rtol: 1e-3, skip: {"a/*.ipynb": needs a telescope}}
data: {groups: {week1: {datasets: [higgs], starts: 2026-09-01}}, mirrors: [https://d.example.edu]}
materials: {repository: https://git.example.edu/phys, ref: main}
image: {base: "debian:bookworm", apt: apt.txt}
cloud: {provider: ssh, cap_usd: 100, max_hours: 2.5}
"""


def course_folder(folder: Path, text: str = FULL) -> Path:
    (folder / "env").mkdir(parents=True)
    (folder / "env" / "a.yml").write_text(
        "channels: [conda-forge, nodefaults, bioconda]\ndependencies: [python]\n"
    )
    (folder / "b.txt").write_text("numpy\n")
    (folder / "course.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_key_of_the_file_does_not_reach_the_course(tmp_path: Path) -> None:
    course = load_course(course_folder(tmp_path / "c") / "course.yaml")
    linux, windows = Platform.LINUX_64, Platform.WIN_64
    assert (course.name, course.title, course.current) == (
        "phys",
        "Physik für alle",
        Semester.parse("fall2026"),
    )
    fall, spring = course.semesters
    assert (fall.starts, fall.as_of, fall.environments) == (date(2026, 8, 24), date(2026, 8, 1), ("b",))
    assert (spring.starts, spring.as_of, spring.environments) == (None, None, ("a", "b"))
    a, b = course.environments
    assert (a.engine, a.spec, a.channels) == (EngineKind.CONDA, "env/a.yml", ("conda-forge", "bioconda"))
    assert (a.fallback, a.python, a.platforms) == ("b", None, (linux, windows))
    assert a.variants[0] == Variant(name="cpu", platforms=(linux, windows))
    assert a.variants[1] == Variant(
        name="cuda",
        platforms=(linux,),
        virtual_packages=(
            VirtualPackage(name="__cuda", version="12.6"),
            VirtualPackage(name="__archspec", version="1", build="x86_64_v3"),
        ),
        specs=("pytorch >=2", "conda-forge::jax=0.4"),
    )
    assert (b.engine, b.python, b.channels, b.platforms) == (EngineKind.PYPI, "3.10", (), (linux,))
    assert course.default_environment == "a"
    assert course.mirrors == {
        "https://conda.anaconda.org/conda-forge": ("http://127.0.0.1:8000",),
        "pypi": ("https://a.example.edu/simple", "https://b.example.edu/simple"),
    }
    assert course.notebooks["rtol"] == 0.001
    assert course.data["groups"] == {"week1": {"datasets": ["higgs"], "starts": date(2026, 9, 1)}}
    assert course.cloud == {"provider": "ssh", "cap_usd": 100.0, "max_hours": 2.5}
    assert course.lines["environments.a.variants.cuda"] == 15


def test_a_link_leads_out_of_the_course_folder(tmp_path: Path) -> None:
    course = course_folder(tmp_path / "c")
    outside = course_folder(tmp_path / "outside")
    (course / "env" / "a.yml").unlink()
    (course / "env").rmdir()
    (course / "env").symlink_to(outside / "env", target_is_directory=True)
    with pytest.raises(
        CourseFileError, match=r"^course\.yaml:\d+: environments\.a\.spec is './env/a\.yml'$"
    ) as caught:
        load_course(course / "course.yaml")
    assert (
        caught.value.cause == f"a link in it leads out of the course folder, to {outside / 'env' / 'a.yml'}"
    )


def test_a_link_inside_the_course_folder_is_refused(tmp_path: Path) -> None:
    course = course_folder(tmp_path / "c")
    (course / "env").rename(course / "real")
    (course / "env").symlink_to("real", target_is_directory=True)
    assert load_course(course / "course.yaml").environment("a").spec == "env/a.yml"


def test_a_loop_of_links_is_a_traceback(tmp_path: Path) -> None:
    course = course_folder(tmp_path / "c")
    (course / "b.txt").unlink()
    (course / "b.txt").symlink_to("b.txt")
    with pytest.raises(CourseFileError, match=r"b\.txt"):
        load_course(course / "course.yaml")


def test_the_file_is_found_in_the_wrong_folder_or_not_at_all(tmp_path: Path) -> None:
    course = course_folder(tmp_path / "c")
    deep = course / "notebooks" / "week 1"
    deep.mkdir(parents=True)
    assert find_course_file(deep) == course / "course.yaml"
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "course.yml").touch()
    with pytest.raises(CourseFileError, match=r"^there is no course\.yaml here$") as caught:
        find_course_file(tmp_path / "d")
    assert [str(h) for h in caught.value.hints] == [
        "rename course.yml to course.yaml",
        "go to the course's folder, or name it: `coursectl -C DIR ...`",
        "to begin a course here: `coursectl init`",
    ]


def test_the_reference_course_is_wrong() -> None:
    course = load_course(REPOSITORY / "course.yaml")
    assert course.name == "phys398"
    assert course.environment("phys398").fallback == "phys398-pypi"
    assert {str(p.semester) for p in course.semesters} == {
        "fall2023",
        "spring2024",
        "fall2025",
        "spring2026",
        "fall2026",
    }
    for pattern in ("tests/notebooks/*.ipynb",):
        assert list(REPOSITORY.glob(pattern))


def test_the_shipped_schema_is_not_the_one_of_the_model() -> None:
    # python -c "from coursectl.config_model import schema_text; print(schema_text(), end='')"
    assert files("coursectl").joinpath("course.schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_schema_refuses_a_right_file_or_takes_a_wrong_one(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    validator.check_schema(validator.schema)
    for text in (FULL.replace("12.6", "'12.6'").replace("3.10", "'3.10'").replace("1e-3", "0.001"),
                 (REPOSITORY / "course.yaml").read_text(encoding="utf-8")):  # fmt: skip
        # an editor sees days as texts
        data = json.loads(json.dumps(yaml.safe_load(text), default=str))
        assert list(validator.iter_errors(data)) == []
    wrong = {**data, "platforms": ["linux-65"], "chanels": []}
    assert {tuple(e.absolute_path) for e in validator.iter_errors(wrong)} == {(), ("platforms",)}


def test_an_editor_shows_a_key_without_a_description() -> None:
    def fields(part: dict[str, object]) -> dict[str, dict[str, object]]:
        found = part.get("properties", {})
        assert isinstance(found, dict)
        return found

    schema = json.loads(schema_text())
    sections = {"notebooks", "data", "materials", "image", "cloud"}  # their structs are described
    for name, part in {"top": schema, **schema["$defs"]}.items():
        for key, field in fields(part).items():
            assert "description" in field or key in sections, f"{name}.{key}"
