"""Are installed Python packages what their wheels said? Each carries a RECORD of sha256 hashes.

Format: packaging.python.org/specifications/recording-installed-packages. uv writes the scripts that it
makes into RECORD with their hashes, so everything but ``.pyc`` files and RECORD itself can be checked.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from coursectl.model.installed import Problem, ProblemKind

_MOST_THREADS = 8  # hashing leaves the interpreter's lock; more only queue for the disk
_PART = 64  # files that one task takes: a task for each of 25,000 files costs as much as hashing it
_SMALL = 4 << 20  # bytes: read in one go, which is twice as fast as in pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """An installed package: its ``.dist-info`` folder; `name` is normalised (PEP 503)."""

    name: str
    version: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was compared: how many packages and files, and what differs, by path."""

    packages: int
    files: int
    problems: tuple[Problem, ...]


def site_packages(prefix: Path) -> Path | None:
    """Where a virtual environment or a conda prefix keeps its packages; ``None`` where there is no such."""
    windows = prefix / "Lib" / "site-packages"
    if os.name == "nt":
        return windows if windows.is_dir() else None
    found = sorted(p for p in (prefix / "lib").glob("python3*/site-packages") if p.is_dir())
    return found[0] if found else None


def distributions(site: Path) -> tuple[Distribution, ...]:
    """The packages in a site-packages folder, by name."""
    found = []
    for folder in site.glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        found.append(Distribution(name=normalised(name), version=version, folder=folder))
    return tuple(sorted(found, key=lambda d: d.name))


def normalised(name: str) -> str:
    """A package's name as indexes compare it (PEP 503).

    >>> normalised("Jupyter_Core")
    'jupyter-core'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def check(
    prefix: Path, *, only: Collection[str] | None = None, tick: Callable[[int], None] | None = None
) -> Checked:
    """Compare the files of every package in `prefix` with RECORD, in threads.

    Args:
        only: normalised names to look at; all by default.
        tick: told how many more files are done.
    """
    site = site_packages(prefix)
    chosen = [d for d in distributions(site) if only is None or d.name in only] if site else []
    problems: list[Problem] = []
    wanted: dict[str, list[tuple[str, str]]] = {}  # file -> (package, hash): two packages may own one file
    for distribution in chosen:
        try:
            for path, digest in _record(distribution.folder):
                wanted.setdefault(path, []).append((distribution.name, digest))
        except (OSError, ValueError, csv.Error) as exc:
            kind = ProblemKind.MISSING if isinstance(exc, FileNotFoundError) else ProblemKind.CHANGED
            record = distribution.folder / "RECORD"
            problems.append(
                Problem(kind=kind, path=_relative(prefix, str(record)), package=distribution.name)
            )
    paths = list(wanted)
    parts = [paths[n : n + _PART] for n in range(0, len(paths), _PART)]

    def compare(part: list[str]) -> list[tuple[str, ProblemKind | None]]:
        return [(path, _compare(path, wanted[path])) for path in part]

    with ThreadPoolExecutor(min(os.cpu_count() or 2, _MOST_THREADS)) as pool:
        for verdicts in pool.map(compare, parts):
            problems += [
                Problem(kind=verdict, path=_relative(prefix, path), package=wanted[path][0][0])
                for path, verdict in verdicts
                if verdict is not None
            ]
            if tick is not None:
                tick(len(verdicts))
    return Checked(
        packages=len(chosen),
        files=len(wanted),
        problems=tuple(sorted(problems, key=lambda p: (p.path, p.kind))),
    )


def _record(folder: Path) -> Iterator[tuple[str, str]]:
    """The files of a package and their hashes ("" where it states none).

    Raises:
        ValueError: it was cut short: a whole one lists itself.
    """
    itself = f"{folder.name}/RECORD"
    whole = False
    with (folder / "RECORD").open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            if not row:
                continue
            path, digest = row[0], row[1] if len(row) > 1 else ""
            if path == itself:
                whole = True
            elif not path.endswith((".pyc", ".dist-info/RECORD")):
                yield os.path.normpath(folder.parent / path), digest
    if not whole:
        raise ValueError(f"{itself} does not list itself")


def _compare(path: str, owners: list[tuple[str, str]]) -> ProblemKind | None:
    try:
        found = _sha256(path)
    except FileNotFoundError:
        return ProblemKind.MISSING
    except OSError:
        return ProblemKind.UNREADABLE
    stated = [digest for _, digest in owners if digest.startswith("sha256=")]
    # where two packages bring the same file, the one installed last has it: either is as it should be
    return None if not stated or encoded(found) in stated else ProblemKind.CHANGED


def _sha256(path: str) -> bytes:
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123  33,000 Path objects cost more than hashing
        if os.fstat(stream.fileno()).st_size <= _SMALL:
            return hashlib.sha256(stream.read()).digest()
        return hashlib.file_digest(stream, "sha256").digest()


def encoded(digest: bytes) -> str:
    """A sha256 as RECORD states it.

    >>> encoded(hashlib.sha256(b"").digest())
    'sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'
    """
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _relative(prefix: Path, path: str) -> str:
    return Path(os.path.relpath(path, prefix)).as_posix()
