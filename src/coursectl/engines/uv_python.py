"""A Python of the right minor version: the one that runs us, one on the machine, or one that uv fetches."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from coursectl import paths
from coursectl.engines import uv_program
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import Doing
from coursectl.errors import CourseError, Hint, InstallError
from coursectl.model.progress import Progress

_FOLDER = "UV_PYTHON_INSTALL_DIR"


def find(version: str, network: Network, progress: Progress, folder: Path) -> Path:
    """The interpreter of Python `version` (``3.11``), fetched if it has to be. uv runs in `folder`.

    Raises:
        InstallError: there is none, and none can be fetched.
    """
    if (ours := _running(version)) is not None:
        return ours
    own = {_FOLDER: os.environ.get(_FOLDER, str(paths.home() / "python"))}
    for extra in ({}, own):  # the person's own first, then what an earlier run fetched
        if (found := _ask(version, network, folder, extra)) is not None:
            return found
    if network.offline:
        raise _none(version, "and --offline fetches none")
    progress.say(f"fetching Python {version}, which this machine does not have")
    try:
        uv_program.run(
            ["python", "install", "--no-bin", version],
            network=network,
            doing=Doing(failed=f"Python {version} cannot be fetched"),
            folder=folder,
            leash=True,
            extra=own,
        )
    except CourseError as exc:
        raise _none(version, f"and it cannot be fetched: {exc.cause or exc.message}") from exc
    fetched = _ask(version, network, folder, own)
    if fetched is None:
        raise _none(version, "and the one that was fetched does not start")
    return fetched


def _running(version: str) -> Path | None:
    """The interpreter that runs us, without the virtual environment around it; ``None`` if it does not fit.

    A conda interpreter is left alone: an environment on top of it breaks when that one is updated.
    """
    if ".".join(map(str, sys.version_info[:2])) != version or sys.implementation.name != "cpython":
        return None
    if (Path(sys.base_prefix) / "conda-meta").is_dir():
        return None
    base = Path(getattr(sys, "_base_executable", "") or sys.executable)
    return base if base.is_file() else None


def _ask(version: str, network: Network, folder: Path, extra: dict[str, str]) -> Path | None:
    try:
        said = uv_program.run(
            ["python", "find", "--system", "--no-project", "--no-python-downloads", version],
            network=network,
            doing=Doing(failed=f"there is no Python {version}"),
            folder=folder,
            extra=extra,
        )
    except CourseError as exc:
        if exc.code == "no-program":  # uv itself
            raise
        return None
    return Path(said.stdout.strip())


def _none(version: str, why: str) -> InstallError:
    return InstallError(
        f"there is no Python {version} to install into",
        cause=f"this machine has none, {why}",
        hints=(
            Hint(text=f"install Python {version} from python.org, or with your system's package tool"),
            Hint(text="or name a mirror of uv's Pythons in UV_PYTHON_INSTALL_MIRROR"),
        ),
        code="no-python",
    )
