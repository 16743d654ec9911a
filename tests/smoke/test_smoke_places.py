"""Each notebook runs in a copy: nothing of the course is written, nothing large is copied for each."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from coursectl.errors import CourseError
from coursectl.workflows import smoke_place
from coursectl.workflows.smoke_place import scratch


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = tmp_path / "course"
    files = {
        "week1/a.ipynb": "{}",
        "week1/helper.py": "x = 1\n",
        "week1/data/run.csv": "1,2\n",
        "week1/__pycache__/helper.pyc": "old",
        "week1/.venv/pyvenv.cfg": "home = x\n",
        "common/tools.py": "y = 2\n",
        "data/big.bin": "z" * 1000,
        "secret/exam.txt": "42",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_helpers_and_data_come_along_and_caches_do_not(course: Path, tmp_path: Path) -> None:
    with scratch(tmp_path / "runs", course) as places:
        folder = places.place("1", "week1/a.ipynb", "", ())
        assert below(folder) == {"a.ipynb", "helper.py", "data/run.csv"}
        assert below(folder.parent) == {f"week1/{n}" for n in below(folder)}


def test_what_a_notebook_writes_stays_in_its_copy(course: Path, tmp_path: Path) -> None:
    with scratch(tmp_path / "runs", course) as places:
        one = places.place("1", "week1/a.ipynb", "", ())
        two = places.place("2", "week1/a.ipynb", "", ())
        with (one / "data/run.csv").open("a") as stream:
            stream.write("9,9\n")
        (one / "helper.py").unlink()
        assert (two / "data/run.csv").read_text() == "1,2\n"
    assert (course / "week1/data/run.csv").read_text() == "1,2\n"
    assert (course / "week1/helper.py").is_file()


def test_a_read_only_original_has_a_copy_that_can_be_written(course: Path, tmp_path: Path) -> None:
    (course / "week1/data/run.csv").chmod(stat.S_IRUSR)
    with scratch(tmp_path / "runs", course) as places:
        folder = places.place("1", "week1/a.ipynb", "", ())
        assert (folder / "data/run.csv").stat().st_mode & stat.S_IWUSR


def test_paths_above_the_folder_lead_where_they_led(course: Path, tmp_path: Path) -> None:
    code = 'import sys\nsys.path.append("../common")\nnp.load("../data/big.bin")\nopen("../../outside.txt")'
    with scratch(tmp_path / "runs", course) as places:
        folder = places.place("1", "week1/a.ipynb", code, ())
        assert (folder / "../common/tools.py").read_text() == "y = 2\n"
        assert (folder / "../data/big.bin").stat().st_size == 1000
        assert not (folder / "../secret").exists()  # nobody named it


def test_a_helper_elsewhere_in_the_course_is_brought(course: Path, tmp_path: Path) -> None:
    with scratch(tmp_path / "runs", course) as places:
        folder = places.place("1", "week1/a.ipynb", "", ("common/tools.py",))
        assert (folder / "../common/tools.py").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there: large data are copied")
def test_large_data_are_copied_once_and_read_only(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke_place, "LARGE_BYTES", 500)
    (course / "week1/data/run.csv").write_text("5,5\n" * 500)
    with scratch(tmp_path / "runs", course) as places:
        one = places.place("1", "week1/a.ipynb", '"../data/big.bin"', ())
        two = places.place("2", "week1/a.ipynb", "", ())
        assert places.linked == {"week1/data", "data/big.bin"}
        common = (one / "data").resolve()
        assert common == (two / "data").resolve()
        assert not common.is_relative_to(course)  # even root cannot write through to the original
        assert not (common / "run.csv").stat().st_mode & stat.S_IWUSR
        places.leave(places.folder / "1")
        assert (two / "data/run.csv").is_file()
    assert not list((tmp_path / "runs").iterdir())
    assert (course / "week1/data/run.csv").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_a_folder_above_does_not_copy_for_ever(course: Path, tmp_path: Path) -> None:
    (course / "week1/up").symlink_to(course / "week1", target_is_directory=True)
    (course / "week1/gone").symlink_to(course / "nowhere")
    with scratch(tmp_path / "runs", course) as places:
        assert below(places.place("1", "week1/a.ipynb", "", ())) == {"a.ipynb", "helper.py", "data/run.csv"}


def test_what_a_killed_run_left_is_deleted_and_a_running_one_is_not(course: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    left = runs / "run-left"
    left.mkdir(parents=True)
    (left / "x").write_text("1")
    (runs / "run-left.lock").touch()
    with scratch(runs, course) as first:
        assert not left.exists()
        with scratch(runs, course) as second:
            assert first.folder.is_dir()
            assert first.folder != second.folder
    assert list(runs.iterdir()) == []


def test_an_interrupted_run_leaves_nothing(course: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "runs", course) as places:
        places.place("1", "week1/a.ipynb", "", ())
        raise KeyboardInterrupt
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_home_that_cannot_be_written_is_an_error_with_a_way_out(course: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError), scratch(tmp_path / "file" / "runs", course):
        pass
