"""How long a warm install takes: everything in the cache, no environment.

    python benchmarks/install.py [--rounds 5] [--no-conda] [--no-pypi] [--stages]

Conda limit: the same files hard-linked from the package cache into the same folders by a bare loop of
``os.mkdir`` and ``os.link``, with every decision made beforehand; nothing is read, written or checked. Ours
is the whole command ``coursectl up --no-launch``: Python's start, the lock read, the child process, the
links, every file checked, the swap. PyPI peer, for information: ``uv venv`` and ``uv pip sync`` from the
same cache.

``--stages`` tells where the time of one conda install goes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import measure
import stacks
from measure import Row


def main() -> None:
    parser = measure.arguments(__doc__, rounds=5)
    parser.add_argument("--no-conda", action="store_true", help="leave the conda environment out")
    parser.add_argument("--no-pypi", action="store_true", help="leave the PyPI environment out")
    parser.add_argument("--stages", action="store_true", help="say where the time of a conda install goes")
    options = parser.parse_args()
    rows: list[Row] = []
    with measure.sandbox() as folder:
        if not options.no_conda:
            with stacks.conda(folder / "conda") as stack:
                rows += _conda(stack, options)
        if not options.no_pypi:
            with stacks.pypi(folder / "pypi") as stack:
                rows += _pypi(stack, options.rounds)
    print(measure.machine())
    measure.show(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What the bare loop does: folders to make, parents first, and (source, target) pairs to link."""

    folders: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


def _conda(stack: stacks.Stack, options: argparse.Namespace) -> list[Row]:
    bare = stack.home / "envs" / "bare"
    kept = stack.home / "kept"
    links = _links(stack, bare, kept)

    def ours() -> float:
        shutil.rmtree(stack.prefix)
        return _timed(lambda: stack.up("--no-launch"))

    def loop() -> float:
        shutil.rmtree(bare, ignore_errors=True)
        return _timed(lambda: _link(links))

    rounds = options.rounds
    times = measure.alternate(
        {"ours": ours, "loop": loop, "start": lambda: stack.up("--no-launch")}, rounds=rounds
    )
    name = f"{len(links.pairs)} links, {len(links.folders)} folders"
    what = f"conda install, warm: {stack.packages} packages"
    if options.stages:
        from stages import of_install

        of_install(stack)
    return [
        Row(what=what, ours=times["ours"], peer=times["loop"], peer_name=name, aim=1.2),
        Row(what="of which the command itself (second up)", ours=times["start"]),
    ]


def _links(stack: stacks.Stack, target: Path, kept: Path) -> Links:
    """Every file of the prefix with its origin: the cache, or a copy of what was written for this prefix."""
    cached = {}
    for path in (stack.cache / "conda" / "pkgs").rglob("*"):
        info = path.lstat()
        cached[info.st_dev, info.st_ino] = str(path)
    folders = [str(target)]
    pairs: list[tuple[str, str]] = []
    kept.mkdir()
    for path in sorted(stack.prefix.rglob("*")):
        where = str(target / path.relative_to(stack.prefix))
        if path.is_dir() and not path.is_symlink():
            folders.append(where)
            continue
        info = path.lstat()
        source = cached.get((info.st_dev, info.st_ino))
        if source is None:
            source = str(kept / str(len(pairs)))
            shutil.copy2(path, source, follow_symlinks=False)
        pairs.append((source, where))
    return Links(folders=tuple(folders), pairs=tuple(pairs))


def _link(links: Links) -> None:
    for folder in links.folders:
        os.mkdir(folder)  # noqa: PTH102 - the limit is the system call
    for source, target in links.pairs:
        os.link(source, target, follow_symlinks=False)


def _timed(action: object) -> float:
    assert callable(action)
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _pypi(stack: stacks.Stack, rounds: int) -> list[Row]:
    uv, env = stacks.uv(stack)
    bare = stack.home / "envs" / "bare"

    def ours() -> float:
        shutil.rmtree(stack.prefix)
        return _timed(lambda: stack.up("--no-launch"))

    def sync(*more: str) -> float:
        shutil.rmtree(bare, ignore_errors=True)
        return _timed(lambda: _uv_sync(uv, env, bare, stack.lockfile, more))

    times = measure.alternate(
        {"ours": ours, "sync": sync, "offline": lambda: sync("--offline")}, rounds=rounds
    )
    what = f"PyPI install, warm: {stack.packages} packages"
    return [
        Row(what=what, ours=times["ours"], peer=times["sync"], peer_name="uv venv, uv pip sync"),
        Row(what=what, ours=times["ours"], peer=times["offline"], peer_name="the same --offline"),
    ]


def _uv_sync(uv: Path, env: Mapping[str, str], prefix: Path, lockfile: Path, more: tuple[str, ...]) -> None:
    python = _python_of(lockfile)
    venv: list[str | Path] = [uv, "venv", "--quiet", *more, "--python", python, prefix]
    measure.call(venv, env=env)
    sync: list[str | Path] = [
        uv,
        "pip",
        "sync",
        "--quiet",
        "--require-hashes",
        *more,
        "--python",
        prefix,
        lockfile,
    ]
    measure.call(sync, env=env)


def _python_of(lockfile: Path) -> str:
    """The minor version that the release pins."""
    for line in (lockfile.parent / "release.yaml").read_text().splitlines():
        if line.strip().startswith("python:"):
            return line.split(":")[1].strip().strip('"')
    raise measure.BenchmarkError(f"{lockfile.parent}: release.yaml names no Python")


if __name__ == "__main__":
    measure.main(main)
