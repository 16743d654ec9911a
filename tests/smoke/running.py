"""A small real environment to run notebooks in, and notebooks written as lists of cells."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from coursectl import process
from coursectl.backends.execution import Executed, Job, Mode, executor
from waiting import until as until

PACKAGES = ("ipykernel", "ipywidgets", "numpy", "matplotlib", "pandas")
PRELOAD = ("numpy", "matplotlib", "pandas", "deprecated_here", "threaded_here", "broken_here", "absent_here")
MODULES = {
    "deprecated_here": "import warnings\nwarnings.warn('use something_newer', DeprecationWarning)\n",
    "threaded_here": "from threading import *\nThread(target=Event().wait, daemon=True).start()\n",
    "broken_here": "import deprecated_here\nraise ImportError('a library is missing')\n",
}
"""Unkind packages of the environment."""


def install(prefix: Path) -> Path:
    """A virtual environment with a kernel and what courses use most, from PyPI or uv's cache."""
    import uv

    program = uv.find_uv_bin()
    for words in (
        ("venv", "-q", "--python", sys.executable, str(prefix)),
        ("pip", "install", "-q", "--compile-bytecode", "-p", str(prefix), *PACKAGES),
    ):
        done = process.run((program, *words), timeout=280)
        assert done.ok, done.stderr
    packages = next(prefix.glob("lib/python*/site-packages"))
    for name, text in MODULES.items():
        (packages / f"{name}.py").write_text(text)
    return prefix


def notebook(*cells: str, tags: Mapping[int, Sequence[str]] | None = None) -> dict[str, Any]:
    """nbformat JSON of code cells; its kernel is one that no machine has. `tags` are by number, from 1."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "gone-2019", "display_name": "Gone", "language": "python"}},
        "cells": [
            {
                "id": f"cell-{number}",
                "cell_type": "code",
                "source": source,
                "metadata": {"tags": list((tags or {}).get(number, ()))},
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells, 1)
        ],
    }


def job(root: Path, name: str, content: Mapping[str, Any], **changes: Any) -> Job:
    """A job in a folder of its own, with limits that no light notebook meets."""
    folder = root / name
    folder.mkdir(parents=True)
    wanted: dict[str, Any] = {
        "notebook": content,
        "name": name,
        "folder": folder,
        "executed": root / f"{name}.ipynb",
        "seed": 398,
        "cell_timeout": 60.0,
        "timeout": 120.0,
        "memory_bytes": 1_500_000_000,
        "output_bytes": 5_000_000,
        "network": False,
        "own": (str(folder),),
    }
    return Job(**wanted | changes)


def run(
    mode: Mode, prefix: Path, jobs: Sequence[Job], *, parallel: int = 2, preload: Sequence[str] = PRELOAD
) -> dict[str, Executed]:
    """What came of each job, by name."""
    found: dict[str, Executed] = {}
    chosen = executor(mode, prefix, preload=preload)
    try:
        chosen.run(
            jobs,
            parallel=parallel,
            on_done=lambda one, executed: found.update({one.name: executed}),
            stop=threading.Event(),
        )
    finally:
        chosen.close()
    return found


def alive(pids: Sequence[int]) -> list[int]:
    """Those that run; one that only waits for its parent to look does not."""
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found
