"""What every test may ask for: isolation, channels and the command line. Real components only.

============================ =========================================================================
``loopback_channel``         session: the big real channel, served (`channel.served.ServedChannel`)
``tiny_channel``             function: ``tiny_channel(packages=None, python=False) -> ServedChannel``
``conda_forge_sample``       session: URL of the real conda-forge index, served; skips where it is absent
``shared_cache``             function: one download cache for the whole session, set as COURSECTL_CACHE
``cli``                      function: ``cli("up", "--json", cwd=..., env=..., timeout=...) -> Ran``
(always)                     home, cache and configuration folders below ``tmp_path``
============================ =========================================================================

Their types, for annotations: `channel.served.TinyChannel`, `channel.program.Cli` and `Ran`. The channels' own
texts say what is in them: `channel.tiny`, `channel.build`, `channel.sample`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from channel.archive import Package
from channel.program import Cli, Ran
from channel.served import ServedChannel, TinyChannel
from channel.server import ChannelServer

collect_ignore = ["notebooks"]
"""The reference course's own files: their modules need its environment, not this one."""

_ENVIRONMENT_AT_START = dict(os.environ)
"""What the person who runs the tests has: the big channel is built with it, isolation or not."""

_MOVED = (
    "HOME",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)
_DROPPED = ("COURSECTL_", "CONDA_", "JUPYTER", "MAMBA_", "RATTLER_", "VIRTUAL_ENV", "IPYTHONDIR", "NO_COLOR")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that may have to wait for the first build of the big channel gets the minutes that it takes."""
    asking = [
        item
        for item in items
        if {"loopback_channel", "tiny_channel"} & set(getattr(item, "fixturenames", ()))
    ]
    if asking:
        from channel.build import must_be_built

        if must_be_built(_ENVIRONMENT_AT_START):
            for item in asking:
                item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the files and settings of the person who runs it."""
    for name in os.environ:
        if name.startswith(_DROPPED):
            monkeypatch.delenv(name)
    user = tmp_path / "user"
    for name in _MOVED:
        # APPDATA and the like exist on Windows only, the XDG ones rule where they are set
        folder = user if name in {"HOME", "USERPROFILE"} else user / name.lower()
        monkeypatch.setenv(name, str(folder))
    user.mkdir()
    monkeypatch.setenv("COURSECTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COURSECTL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def _session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture
def shared_cache(_session_cache: Path, _isolated: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download cache kept for the whole session: for tests that do not damage or measure it."""
    monkeypatch.setenv("COURSECTL_CACHE", str(_session_cache))
    return _session_cache


@pytest.fixture(scope="session")
def _built_channel() -> Path:
    from channel.build import UnsupportedHere, cached_channel

    try:
        return cached_channel(environment=_ENVIRONMENT_AT_START)
    except UnsupportedHere as exc:
        pytest.skip(f"the big channel cannot be built here: {exc}")


@pytest.fixture(scope="session")
def loopback_channel(_built_channel: Path) -> Iterator[ServedChannel]:
    """The big real channel (see `channel.build`), served; shared: call ``server.heal()`` after faults."""
    with ChannelServer(_built_channel) as server:
        yield ServedChannel(server.url, server, _built_channel)


@pytest.fixture
def tiny_channel(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TinyChannel]:
    """A factory of small channels, each with a server of its own."""
    with ExitStack() as servers:
        made: list[Path] = []

        def make(packages: Sequence[Package] | None = None, *, python: bool = False) -> ServedChannel:
            from channel.tiny import add_real_python, write_tiny

            root = tmp_path / f"channel{len(made)}"
            made.append(root)
            write_tiny(root, packages)
            if python:
                add_real_python(root, request.getfixturevalue("_built_channel"))
            server = servers.enter_context(ChannelServer(root))
            return ServedChannel(server.url, server, root)

        yield make


@pytest.fixture(scope="session")
def conda_forge_sample() -> Iterator[str]:
    """URL of a channel with the real conda-forge index of ../shared, no packages behind it."""
    from channel.sample import SAMPLE, serve_sample

    if not SAMPLE.is_dir():
        pytest.skip(
            "the sample of conda-forge's index lies outside the repository: ../shared/conda-forge-sample"
        )
    with serve_sample() as url:
        yield url


@pytest.fixture
def cli(_isolated: None) -> Cli:
    """The installed program, started as a person starts it; a failure shows what it printed."""
    from coursectl import process

    def run(
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> Ran:
        argv = (sys.executable, "-m", "coursectl", *map(str, arguments))
        ended = process.run(argv, timeout=timeout, cwd=cwd, env=dict(os.environ) | dict(env or {}))
        if ended.timed_out:
            pytest.fail(f"{argv} ran over {timeout} s\n{ended.stdout}\n{ended.stderr}")
        return Ran(
            argv=argv, code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr, seconds=ended.seconds
        )

    return run
