"""What a program needs in its environment variables to run inside a prefix: activation without a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

# Each of these lets a person's own Python leak into the course's: another stack, which we promised away.
_LEAKS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_LEAKING_FAMILIES = ("CONDA_", "_CE_", "MAMBA_", "PIXI_")


def activated(environ: Mapping[str, str], prefix: Path, *, windows: bool = os.name == "nt") -> dict[str, str]:
    """The variables of a program inside `prefix`, made from `environ`; pure.

    Conda prefixes (with a ``conda-meta`` folder) get ``CONDA_PREFIX``, virtual environments ``VIRTUAL_ENV``,
    as their own activation scripts do. Source of the folder lists: conda's ``activate.py``.

    >>> activated({"PATH": "/usr/bin", "PYTHONPATH": "/home/me"}, Path("/e"), windows=False)["PATH"]
    '/e/bin:/usr/bin'
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _LEAKS and not name.startswith(_LEAKING_FAMILIES)
    }
    kept["PATH"] = (";" if windows else ":").join(
        [*(str(f) for f in program_folders(prefix, windows=windows)), kept.get("PATH", os.defpath)]
    )
    kept["PYTHONNOUSERSITE"] = "1"
    kept["CONDA_PREFIX" if (prefix / "conda-meta").is_dir() else "VIRTUAL_ENV"] = str(prefix)
    return kept


def program_folders(prefix: Path, *, windows: bool = os.name == "nt") -> tuple[Path, ...]:
    """Where a prefix keeps its programs, in the order in which they are found."""
    if not windows:
        return (prefix / "bin",)
    if not (prefix / "conda-meta").is_dir():
        return (prefix / "Scripts",)
    inner = ("Library/mingw-w64/bin", "Library/usr/bin", "Library/bin", "Scripts", "bin")
    return (prefix, *(prefix / name for name in inner))


def python_of(prefix: Path, *, windows: bool = os.name == "nt") -> Path:
    """The prefix's Python."""
    if not windows:
        return prefix / "bin" / "python"
    conda = prefix / "python.exe"
    return conda if (prefix / "conda-meta").is_dir() else prefix / "Scripts" / "python.exe"
