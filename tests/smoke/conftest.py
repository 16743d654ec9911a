"""One real environment for the session's notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from smoke import running


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a kernel, NumPy, matplotlib and pandas; its path has a space and an accent."""
    return running.install(tmp_path_factory.mktemp("smoke") / "préfixe de cours")
