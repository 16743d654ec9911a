"""Desks: courses with what is installed for them. The large ones are installed once for the session.

=============== ======================================================================================
``reference``   the reference course on PyPI (fall2026), in a folder with spaces and accents, installed
``conda``       a course on the real channel, frozen for five platforms with a fallback, installed
``small``       a course of small conda packages (seconds), frozen, not installed; a home of its own
``small_pypi``  the same from PyPI
``desk_of``     makes a desk of a course folder, with a home and cache of its own
=============== ======================================================================================

The program is started as a person starts it (the ``cli`` fixture), or on a terminal (`e2e.terminal`).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from channel.archive import File, Package
from channel.program import Cli, Ran
from channel.served import ServedChannel
from channel.server import ChannelServer
from channel.tiny import day, write_tiny
from e2e import courses, desk
from e2e.desk import Desk

DeskOf = Callable[..., Desk]


@pytest.fixture
def desk_of(cli: Cli, tmp_path: Path) -> Iterator[DeskOf]:
    """``desk_of(course, home=..., cache=..., **variables)``; whatever still runs there ends with the test."""
    made: list[Desk] = []

    def make(course: Path, home: Path | None = None, cache: Path | None = None, **env: str) -> Desk:
        made.append(
            Desk(
                cli=cli,
                course=course,
                home=home or tmp_path / "home",
                cache=cache or tmp_path / "cache",
                env=env,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.end()


class Kept:
    """What the session has made already: folders, and what the program said when it made them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: dict[str, Ran] = {}
        self.homes: list[Path] = []

    def once(self, name: str, make: Callable[[], Ran]) -> Ran:
        """Run `make` if it has not been run in this session."""
        if name not in self.said:
            self.said[name] = make()
        return self.said[name]


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    kept = Kept(tmp_path_factory.mktemp("kept"))
    yield kept
    for home in kept.homes:
        for process in desk.of_home(home):
            process.kill()
    shutil.rmtree(kept.folder, ignore_errors=True)  # gigabytes, which pytest would keep for three runs


@pytest.fixture
def reference(cli: Cli, _kept: Kept, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The reference course as a student has it after ``up --no-launch``; no server runs."""
    course = _kept.folder / "cours d'été (phys) 物理"
    home = _kept.folder / "ma maison"
    monkeypatch.setenv("COURSECTL_HOME", str(home))
    here = Desk(cli=cli, course=course, home=home, cache=shared_cache)
    if not course.is_dir():
        desk.copy_reference(course, "fall2026")
        _kept.homes.append(home)

    here.first = _kept.once("reference", lambda: here("up", "--no-launch", timeout=280))
    assert here.first.code == 0, here.first.stderr
    yield here
    here.end()


@pytest.fixture
def conda(
    cli: Cli,
    _kept: Kept,
    loopback_channel: ServedChannel,
    shared_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """The course of `courses.LAB`, frozen, its conda environment installed; the channel is up."""
    course, home = _kept.folder / "lab", _kept.folder / "lab home"
    monkeypatch.setenv("COURSECTL_HOME", str(home))
    mirrors = f"{desk.REAL}={loopback_channel.url}"
    here = Desk(cli=cli, course=course, home=home, cache=shared_cache, env={"COURSECTL_MIRRORS": mirrors})
    if not course.is_dir():
        courses.lab(course)
        _kept.homes.append(home)
    here.frozen = _kept.once("lab frozen", lambda: here("freeze", timeout=280))
    assert here.frozen.code == 0, here.frozen.stderr
    here.first = _kept.once("lab installed", lambda: here("up", "--no-launch", timeout=280))
    assert here.first.code == 0, here.first.stderr
    yield here
    here.end()


@pytest.fixture(scope="session")
def small_channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChannel]:
    """A channel of small packages with a few thousand files, so that an installation takes its time."""
    root = write_tiny(tmp_path_factory.mktemp("small-channel"))
    noise = random.Random(398)
    many = [
        Package(
            name=f"many{n}",
            version="1.0",
            noarch="generic",
            timestamp=day("2023-03-01"),
            files={f"share/many{n}/{i}.bin": File(data=noise.randbytes(3000)) for i in range(150)},
        )
        for n in range(12)
    ]
    write_tiny(root, many)
    with ChannelServer(root) as server:
        yield ServedChannel(server.url, server, root)


@pytest.fixture
def small(
    desk_of: DeskOf, _kept: Kept, small_channel: ServedChannel, tmp_path: Path, _isolated: None
) -> Iterator[Desk]:
    """The course of `courses.SMALL`, frozen; nothing installed, nothing cached."""
    mirrors = f"{desk.REAL}={small_channel.url}"
    here = desk_of(tmp_path / "small", COURSECTL_MIRRORS=mirrors)
    _frozen_once(here, _kept, "small", courses.small)
    yield here
    small_channel.server.heal()


@pytest.fixture
def small_pypi(desk_of: DeskOf, _kept: Kept, tmp_path: Path, _isolated: None) -> Desk:
    """The course of `courses.SMALL_PYPI`, frozen from the package index; nothing installed."""
    here = desk_of(tmp_path / "small pypi")
    _frozen_once(here, _kept, "small-pypi", courses.small_pypi)
    return here


def _frozen_once(here: Desk, kept: Kept, name: str, write: Callable[[Path], Path]) -> None:
    frozen = kept.folder / name
    write(here.course)
    if name not in kept.said:
        ran = kept.once(name, lambda: here("freeze", timeout=240))
        assert ran.code == 0, ran.stderr
        shutil.copytree(here.course / "lockfiles", frozen)
        shutil.rmtree(here.cache)
    assert frozen.is_dir(), kept.said[name].stderr
    shutil.copytree(frozen, here.course / "lockfiles", dirs_exist_ok=True)
