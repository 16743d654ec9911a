"""One real JupyterLab environment for the session, and one server that tests which only look share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coursectl.backends import jupyter
from coursectl.model.launch import Server
from coursectl.model.progress import Silent
from servers import lab


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix with JupyterLab; its path has a space and an accent."""
    return lab.install(tmp_path_factory.mktemp("jl") / "préfixe de cours")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course folder of an unkind name, with files that shadow modules of the standard library."""
    root = tmp_path / "cours d'été (phys) 物理"
    root.mkdir()
    for name in ("json.py", "token.py", "http.py", "asyncio.py"):
        (root / name).write_text("raise ImportError('a file of the student')\n")
    return root


@pytest.fixture(scope="session")
def _shared(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    """A server started in a hostile home, and the COURSECTL_HOME that knows it."""
    base = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        user = base / "user"
        user.mkdir()
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(user))
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            patch.delenv(name, raising=False)
        patch.setenv("COURSECTL_HOME", str(base / "home"))
        patch.setenv("PYTHONPATH", str(base / "nowhere"))
        patch.setenv("CONDA_PREFIX", "/opt/conda")
        patch.setenv("JUPYTER_TOKEN", "known-to-everyone")
        lab.hostile_home(user)
        root = base / "cours d'été (phys) 物理"
        root.mkdir()
        (root / "token.py").write_text("raise ImportError('a file of the student')\n")
        running = jupyter.start(lab.request(prefix, root), Silent())
    yield base / "home", running.server
    assert running.keeper is not None
    jupyter.end_keeper(running.keeper)


@pytest.fixture
def server(_isolated: None, _shared: tuple[Path, Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """The shared server, for tests that leave it as it is."""
    monkeypatch.setenv("COURSECTL_HOME", str(_shared[0]))
    return _shared[1]
