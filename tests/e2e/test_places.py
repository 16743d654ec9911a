"""Disks that are full or read-only, and paths that are long or strange."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from coursectl import process
from e2e import desk
from e2e.desk import Desk

UP = ("up", "--no-launch")
Disk = Callable[..., Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """``disk("30m", "ro")``: a folder that is a disk of its own."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("small disks are mounted as root on Linux")
    with ExitStack() as mounted:

        def mount(size: str, mode: str = "rw") -> Path:
            folder = tmp_path / f"disk {size} {mode}"
            folder.mkdir()
            words = ("mount", "-t", "tmpfs", "-o", f"size={size},{mode}", "tmpfs", str(folder))
            done = process.run(words, timeout=20)
            if not done.ok:
                pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
            mounted.callback(process.run, ("umount", "--lazy", str(folder)), timeout=20)
            return folder

        yield mount


def test_a_disk_that_is_too_small_is_filled(small: Desk, disk: Disk) -> None:
    home = disk("8m")
    small.home = home / "home"
    ran = small(*UP)
    assert ran.code == 3
    plan = small.data("up", "--dry-run")
    assert plan["needed_bytes"] > plan["free_bytes"] > 0
    assert f"({plan['needed_bytes']} bytes)" in ran.stderr
    assert f"({plan['free_bytes']} bytes) are free" in ran.stderr
    assert "COURSECTL_HOME" in ran.stderr
    assert "`coursectl cache clean`" in ran.stderr
    assert list(home.iterdir()) == []  # not a byte
    assert not small.cache.exists()
    assert desk.envelope(small(*UP, "--json"))["messages"][-1]["code"] == "disk-full"
    small.home = home.with_name("enough")
    small.ok(*UP)


def test_a_disk_that_fills_up_midway_keeps_half(small: Desk, disk: Disk) -> None:
    """The estimate was met, but the cache lies on another disk, which is full."""
    full = disk("4m")
    small.cache = full / "cache"
    ran = small(*UP)
    assert ran.code == 3
    assert "bench cannot be installed: the disk is full" in ran.stderr
    assert f"bytes are free in {full}" in ran.stderr
    assert "COURSECTL_CACHE" in ran.stderr
    assert [n for n in small.environments() if not n.endswith(".lock")] == []
    small.cache = small.home.with_name("cache")
    small.ok(*UP)
    assert "all as locked" in small.ok("env", "verify").stdout


@pytest.mark.network
def test_a_disk_that_fills_up_midway_keeps_half_of_the_wheels(small_pypi: Desk, disk: Disk) -> None:
    full = disk("2m")
    small_pypi.cache = full / "cache"
    ran = small_pypi(*UP)
    assert ran.code == 3
    assert "bench cannot be installed: the disk is full" in ran.stderr
    assert f"bytes are free in {full}" in ran.stderr
    assert "COURSECTL_CACHE" in ran.stderr
    assert [n for n in small_pypi.environments() if not n.endswith(".lock")] == []
    small_pypi.cache = small_pypi.home.with_name("cache")
    small_pypi.ok(*UP)


def test_a_read_only_home_is_not_explained(small: Desk, disk: Disk) -> None:
    read_only = disk("1g", "ro")
    small.home = read_only / "home"
    ran = small(*UP)
    assert ran.code == 3
    assert "Read-only file system" in ran.stderr
    assert "set COURSECTL_HOME to a folder that you can write" in ran.stderr
    # what only looks works there
    assert small("status").code == 0
    assert small("env", "list").code == 0
    assert small("env", "verify").code == 0
    assert small("up", "--dry-run").code == 0
    # the person's whole home is read-only, as in a lab after the quota is used up
    place = {"HOME": str(read_only), "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    ran = small(*UP, env=place | {"COURSECTL_HOME": "", "COURSECTL_CACHE": ""})
    assert ran.code == 3
    assert "set COURSECTL_HOME to a folder that you can write" in ran.stderr
    assert list(read_only.iterdir()) == []


def test_a_read_only_course_cannot_be_opened(small: Desk, disk: Disk) -> None:
    """A course on a shared disk: students only read it; staff are told what to change (not our home)."""
    place = disk("1g")
    shutil.copytree(small.course, place / "course")
    assert process.run(("mount", "-o", "remount,ro", str(place)), timeout=20).ok
    small.course = place / "course"
    small.ok(*UP)
    ran = small("freeze", "fall2025")
    assert ran.code == 3
    assert "Read-only file system" in ran.stderr
    assert "COURSECTL_" not in ran.stderr
    assert "make " in ran.stderr


def folder_of(length: int, below: Path) -> Path:
    """A folder whose whole path has `length` characters, with a space and an accent."""
    path = below / "é x"
    while len(os.fsencode(path)) < length - 60:
        path = path / ("a" * 50)
    path = path / ("b" * (length - len(os.fsencode(path)) - 1))
    path.mkdir(parents=True)
    assert len(os.fsencode(path)) == length
    return path


def test_a_path_of_200_characters_breaks_conda(small: Desk, tmp_path: Path) -> None:
    course = folder_of(200, tmp_path) / "course"
    shutil.copytree(small.course, course)
    small.course = course
    small.home = folder_of(190, tmp_path / "h")  # and the name of the environment behind it
    prefix = Path(small.data(*UP)["plan"]["prefix"])
    assert len(str(prefix)) > 200
    ran = small.ok("run", "prefixed")  # a script that prints the prefix that was written into it
    assert ran.stdout == f"{prefix}\n"
    assert "all as locked" in small.ok("env", "verify").stdout


@pytest.mark.network
def test_a_path_of_200_characters_breaks_a_virtual_environment(small_pypi: Desk, tmp_path: Path) -> None:
    course = folder_of(200, tmp_path) / "course"
    shutil.copytree(small_pypi.course, course)
    small_pypi.course = course
    small_pypi.home = folder_of(200, tmp_path / "h")
    prefix = Path(small_pypi.data(*UP)["plan"]["prefix"])
    assert small_pypi.ok("run", "python", "-c", "import sys; print(sys.prefix)").stdout == f"{prefix}\n"
    assert small_pypi.ok("run", "pygmentize", "-V").stdout.startswith("Pygments version")
    assert "all as locked" in small_pypi.ok("env", "verify").stdout


def test_a_path_that_is_too_long_fails_late(small: Desk, tmp_path: Path) -> None:
    small.home = folder_of(240, tmp_path)
    ran = small(*UP)
    assert ran.code == 3
    assert "packages leave room for 255" in ran.stderr
    assert "COURSECTL_HOME" in ran.stderr
    assert desk.files_below(small.home) == []
    assert not small.cache.exists()  # before the first download


@pytest.mark.network
def test_a_cell_runs_at_a_path_of_200_characters(reference: Desk, tmp_path: Path) -> None:
    """Runtime files, kernels' connection files, notebooks: everything of Jupyter at its longest."""
    from servers import lab

    course = folder_of(200, tmp_path) / "course"
    shutil.copytree(reference.course, course)
    long = reference.another(folder_of(200, tmp_path / "h"))
    long.course = course
    try:
        plan = long.data("up", "--detach")["plan"]
        [server] = long.servers()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COURSECTL_HOME", str(long.home))
            assert plan["prefix"] in lab.execute(server, "import sys, numpy; print(numpy.__file__)")
        long.ok("down")
    finally:
        long.end()


def test_files_of_a_student_in_the_course_shadow_ours(small: Desk) -> None:
    for name in ("json.py", "typer.py", "rattler.py", "psutil.py", "token.py", "coursectl.py"):
        (small.course / name).write_text("raise SystemExit('a file of the student was imported')\n")
    ran = process.run(
        (Path(sys.executable).with_name("coursectl"), *UP),
        timeout=120,
        cwd=small.course,
        env=small.environment(),
    )
    assert ran.ok, ran.stderr
    assert "verified" in ran.stderr
