"""Where coursectl keeps its files; computed when called, never at import.

Everything lies below one *home* so that a full disk, a read-only home or a shared machine is mended by
one variable, ``COURSECTL_HOME``; downloads can move alone with ``COURSECTL_CACHE``. The home is short
because Windows stops at 260 characters and conda packages at a 255-character prefix.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coursectl.model.platform import Platform


def home() -> Path:
    """The folder of environments, servers and logs: ``COURSECTL_HOME`` or the system's data folder."""
    set_by_user = os.environ.get("COURSECTL_HOME")
    if set_by_user:
        return Path(set_by_user).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("coursectl", appauthor=False))


def cache() -> Path:
    """The folder of downloads, safe to delete: ``COURSECTL_CACHE``, else inside ``COURSECTL_HOME``, else
    the system's cache folder.
    """
    set_by_user = os.environ.get("COURSECTL_CACHE")
    if set_by_user:
        return Path(set_by_user).expanduser().absolute()
    if os.environ.get("COURSECTL_HOME"):
        return home() / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("coursectl", appauthor=False))


def environments() -> Path:
    """Where prefixes lie, one folder a build digest."""
    return home() / "envs"


def servers() -> Path:
    """Where running servers are recorded: one folder a server, private to the user."""
    return home() / "servers"


def logs() -> Path:
    """Where crash reports and install logs go."""
    return home() / "logs"


def current_platform() -> Platform | None:
    """The platform of this machine, ``None`` where no course can be frozen for it."""
    import platform

    from coursectl.model.platform import Platform

    machine = platform.machine().lower()
    arm = machine in {"aarch64", "arm64"}
    if sys.platform.startswith("linux"):
        return {"x86_64": Platform.LINUX_64, "aarch64": Platform.LINUX_AARCH64}.get(machine)
    if sys.platform == "darwin":
        return Platform.OSX_ARM64 if arm else Platform.OSX_64
    if sys.platform == "win32":
        return Platform.WIN_64  # arm64 Windows runs x86-64 programs
    return None
