"""What a program needs in its environment variables to run inside a prefix: activation without a shell."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

# Each of these lets a person's own Python leak into the course's: another stack, which we promised away. The
# bytecode ones would make every start as slow as the first.
_LEAKS = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONSAFEPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "__PYVENV_LAUNCHER__",
)
_LEAKING_FAMILIES = ("CONDA_", "_CE_", "MAMBA_", "PIXI_")


def activated(environ: Mapping[str, str], prefix: Path, *, windows: bool = os.name == "nt") -> dict[str, str]:
    """The variables of a program inside `prefix`, made from `environ`.

    A conda prefix (with a ``conda-meta`` folder) gets ``CONDA_PREFIX`` and what its packages declare; a
    virtual environment gets ``VIRTUAL_ENV``. Activation *scripts* are not run, because that needs a shell.
    Source of the folders and declarations: conda's ``activate.py``.

    >>> activated({"PATH": "/usr/bin", "PYTHONPATH": "/home/me"}, Path("/e"), windows=False)["PATH"]
    '/e/bin:/usr/bin'
    """
    env = {k: v for k, v in environ.items() if k not in _LEAKS and not k.startswith(_LEAKING_FAMILIES)}
    folders = (str(f) for f in program_folders(prefix, windows=windows))
    env["PATH"] = (";" if windows else ":").join([*folders, env.get("PATH", os.defpath)])
    env["PYTHONNOUSERSITE"] = "1"
    if (prefix / "conda-meta").is_dir():
        env |= {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": prefix.name, "CONDA_SHLVL": "1"}
        env |= _declared(prefix)
    else:
        env["VIRTUAL_ENV"] = str(prefix)
    return env


def _declared(prefix: Path) -> dict[str, str]:
    """The variables that conda packages (``env_vars.d``) and the environment (``state``) declare."""
    found: dict[str, str] = {}
    sources = [*sorted((prefix / "etc/conda/env_vars.d").glob("*.json")), prefix / "conda-meta/state"]
    for source in sources:
        try:
            content = json.loads(source.read_bytes())
        except (OSError, ValueError):
            continue  # absent in most prefixes; a damaged one is for `verify` to name
        values = content.get("env_vars", {}) if source.name == "state" else content
        found |= {str(k): str(v) for k, v in values.items() if v != "***unset***"}
    return found


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
