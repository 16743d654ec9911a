"""Two real environments to measure with: the reference course's, from a conda channel and from PyPI.

The conda one comes from the channel of the tests (tests/channel: this interpreter and real wheels as real
``.conda`` packages, served on loopback; the first build fetches 0.7 GB of wheels and is kept). The PyPI one
is the lock of fall2026 that is committed in this repository; the package index is asked while the cache is
filled, before anything is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure

sys.path.insert(0, str(measure.ROOT / "tests"))

SEMESTER = "fall2026"
_CONDA_FORGE = "https://conda.anaconda.org/conda-forge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A course whose environment `prefix` is installed once, so that the cache holds all of it."""

    course: Path
    env: Mapping[str, str]
    prefix: Path
    lockfile: Path
    packages: int

    def up(self, *words: str) -> None:
        """Run ``coursectl up`` in the course."""
        measure.call([measure.our_program(), "up", *words], env=self.env, cwd=self.course)

    def down(self) -> None:
        """Run ``coursectl down`` in the course."""
        measure.call([measure.our_program(), "down"], env=self.env, cwd=self.course)

    @property
    def home(self) -> Path:
        """coursectl's home."""
        return Path(self.env["COURSECTL_HOME"])

    @property
    def cache(self) -> Path:
        """coursectl's cache of downloads."""
        return Path(self.env["COURSECTL_CACHE"])


@contextlib.contextmanager
def conda(folder: Path) -> Iterator[Stack]:
    """The conda environment of the reference course, frozen for this machine's platform and installed.

    Raises:
        measure.BenchmarkError: the channel cannot be built here.
    """
    from channel.build import BuildError, cached_channel
    from channel.interpreter import here
    from channel.server import ChannelServer

    try:
        channel, platform = cached_channel(), here()
    except BuildError as exc:
        raise measure.BenchmarkError(str(exc)) from exc
    course = folder / "conda-course"
    (course / "environments").mkdir(parents=True)
    spec = measure.ROOT / "environments" / "phys398.yml"
    text = spec.read_text()
    version = ".".join(map(str, sys.version_info[:2]))
    lines = [f"  - python ={version}" if s.strip().startswith("- python ") else s for s in text.splitlines()]
    (course / "environments" / "phys398.yml").write_text("\n".join(lines) + "\n")
    (course / "course.yaml").write_text(
        f"name: phys398\ncurrent: {SEMESTER}\nsemesters:\n  {SEMESTER}: {{}}\n"
        f"platforms: [{platform}]\nenvironments:\n  phys398: {{spec: environments/phys398.yml}}\n"
    )
    with ChannelServer(channel) as server:
        env = measure.isolated(folder) | {"COURSECTL_MIRRORS": f"{_CONDA_FORGE}={server.url}"}
        _say(f"freezing and installing the conda environment from {channel}")
        measure.call([measure.our_program(), "freeze", SEMESTER], env=env, cwd=course)
        yield _installed(course, env, "phys398.conda-lock.yml")


@contextlib.contextmanager
def pypi(folder: Path) -> Iterator[Stack]:
    """The PyPI environment of the reference course as fall2026 has it, installed."""
    course = folder / "pypi-course"
    course.mkdir(parents=True)
    shutil.copy(measure.ROOT / "course.yaml", course)
    for name in ("environments", f"lockfiles/{SEMESTER}"):
        shutil.copytree(measure.ROOT / name, course / name)
    _say("installing the PyPI environment of the reference course")
    yield _installed(course, measure.isolated(folder), "phys398-pypi.requirements.txt")


def _installed(course: Path, env: Mapping[str, str], lockfile: str) -> Stack:
    argv: list[str | Path] = [measure.our_program(), "up", "--no-launch", "--json"]
    plan: dict[str, Any] = json.loads(measure.call(argv, env=env, cwd=course).stdout)["data"]["plan"]
    return Stack(
        course=course,
        env=env,
        prefix=Path(plan["prefix"]),
        lockfile=course / "lockfiles" / SEMESTER / lockfile,
        packages=plan["packages"],
    )


def uv(stack: Stack) -> tuple[Path, dict[str, str]]:
    """The uv that coursectl calls, and an environment in which it has coursectl's cache of wheels."""
    import uv as package

    found = [path for path in (stack.cache / "uv", stack.cache / "pypi") if path.is_dir()]
    cache = found[0] if found else stack.cache
    return Path(package.find_uv_bin()), {**stack.env, "UV_CACHE_DIR": str(cache), "UV_NO_CONFIG": "1"}


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def megabytes(folder: Path) -> float:
    """The size of all files below `folder`, each inode once, in MB."""
    seen: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        info = path.lstat()
        if not path.is_dir() or path.is_symlink():
            seen[info.st_dev, info.st_ino] = info.st_size
    return sum(seen.values()) / 1e6


def remove(prefix: Path) -> None:
    """Delete an environment and leave what removing costs the file system behind us."""
    shutil.rmtree(prefix)
    if hasattr(os, "sync"):
        os.sync()
