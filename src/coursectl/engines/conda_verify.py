"""Is every file of a conda prefix what its packages say it is? Reads only.

rattler's default validation neither notices a file deleted from a prefix nor a cached file that changed, so
this is what an installation is judged by. Source of the facts: ``conda-meta/*.json`` (conda's PrefixRecord,
with the content of the package's ``paths.json``; ``sha256_in_prefix`` is the hash after the prefix was
written into the file, and for a symbolic link that of its target's text).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import stat
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from coursectl.model.installed import Problem, ProblemKind

_CHUNK = 4 << 20


class PathEntry(msgspec.Struct):
    """One file of a package as ``paths.json`` has it."""

    path: str = msgspec.field(name="_path")
    path_type: str = "hardlink"
    sha256: str | None = None
    sha256_in_prefix: str | None = None
    size_in_bytes: int | None = None
    prefix_placeholder: str | None = None


class _PathsData(msgspec.Struct):
    paths: list[PathEntry] = []


class Meta(msgspec.Struct):
    """One ``conda-meta/NAME-VERSION-BUILD.json``: an installed package."""

    name: str
    version: str
    build: str
    fn: str = ""
    sha256: str | None = None
    url: str = ""
    paths_data: _PathsData = msgspec.field(default_factory=_PathsData)

    @property
    def key(self) -> str:
        """What tells this archive from every other."""
        return f"{self.fn}:{self.sha256 or self.url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found: problems, how much was looked at, and the new seal of each package that is whole."""

    problems: tuple[Problem, ...]
    metas: tuple[Meta, ...]
    files: int
    size: int
    seals: Mapping[str, str]


def check(prefix: Path, *, seals: Mapping[str, str] | None = None) -> Checked:
    """Compare the files of `prefix` with its package records.

    Without `seals` every file is hashed. With them (an installation, never `verify`) a package whose seal
    still holds is not hashed again, except for the files that rattler wrote for this prefix.

    A *seal* is a hash over device, inode, size and time of change of content of a package's files, taken when
    they had just been hashed. Prefixes hard-link the cache's inodes, so a seal made for one prefix holds for
    the next: any write to a file, in the cache or through any prefix, gives the inode a new mtime and breaks
    it, and a copied file has another inode. It is what git's index relies on. What it cannot see is rot on
    the disk without a write, and a mtime set back on purpose; `verify`, which hashes everything, sees both.
    """
    metas, problems = _read_metas(prefix)
    files, size = 0, 0
    made: dict[str, str] = {}
    with ThreadPoolExecutor(min(os.cpu_count() or 2, 8)) as pool:
        tasks = [pool.submit(_check_package, str(prefix), m, (seals or {}).get(m.key)) for m in metas]
        for meta, task in zip(metas, tasks, strict=True):
            one = task.result()
            problems += one.problems
            files += one.files
            size += one.size
            if one.seal is not None:
                made[meta.key] = one.seal
    return Checked(problems=tuple(problems), metas=tuple(metas), files=files, size=size, seals=made)


def _read_metas(prefix: Path) -> tuple[list[Meta], list[Problem]]:
    metas: list[Meta] = []
    problems: list[Problem] = []
    decoder = msgspec.json.Decoder(Meta)
    for file in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            metas.append(decoder.decode(file.read_bytes()))
        except (OSError, msgspec.DecodeError):
            package = file.stem.rsplit("-", 2)[0]
            problems.append(
                Problem(kind=ProblemKind.UNREADABLE, path=f"conda-meta/{file.name}", package=package)
            )
    return metas, problems


@dataclass(slots=True)
class _Package:
    problems: list[Problem]
    files: int
    size: int
    seal: str | None


def _check_package(prefix: str, meta: Meta, seal: str | None) -> _Package:
    found = _Package([], 0, 0, None)
    later: list[tuple[PathEntry, os.stat_result]] = []
    stamp = hashlib.blake2b(digest_size=16)
    for entry in {e.path: e for e in meta.paths_data.paths}.values():
        found.files += 1
        path = f"{prefix}/{entry.path}"
        try:
            info = os.lstat(path)
        except OSError as exc:
            missing = isinstance(exc, FileNotFoundError | NotADirectoryError)
            kind = ProblemKind.MISSING if missing else ProblemKind.UNREADABLE
            found.problems.append(Problem(kind=kind, path=entry.path, package=meta.name))
            continue
        found.size += info.st_size
        if _shared(entry, info):
            stamp.update(struct.pack("=QQQq", info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns))
            later.append((entry, info))
        else:
            _judge(found, prefix, meta, entry, info)
    sealed = stamp.hexdigest()
    if sealed != seal:
        for entry, info in later:
            _judge(found, prefix, meta, entry, info)
    found.seal = sealed if not found.problems else None
    return found


def _shared(entry: PathEntry, info: os.stat_result) -> bool:
    """Whether the file may be the cache's own, linked: rattler did not write it for this prefix."""
    return entry.path_type == "hardlink" and entry.sha256_in_prefix is None and stat.S_ISREG(info.st_mode)


def _judge(found: _Package, prefix: str, meta: Meta, entry: PathEntry, info: os.stat_result) -> None:
    try:
        same = _same(f"{prefix}/{entry.path}", entry, info)
        kind = ProblemKind.CHANGED
    except OSError:
        same, kind = False, ProblemKind.UNREADABLE
    if not same:
        found.problems.append(Problem(kind=kind, path=entry.path, package=meta.name))


def _same(path: str, entry: PathEntry, info: os.stat_result) -> bool:
    if entry.path_type == "directory":
        return stat.S_ISDIR(info.st_mode)
    expected = entry.sha256_in_prefix or entry.sha256
    if stat.S_ISLNK(info.st_mode):
        if entry.path_type != "softlink":
            return False
        return entry.sha256_in_prefix is None or _link_hash(path) == expected
    if not stat.S_ISREG(info.st_mode):
        return False
    if entry.path_type == "softlink" and os.name == "nt":
        return True  # rattler copies the target where the user may not make links; the target is checked
    if entry.path_type == "softlink":
        return False
    if entry.sha256_in_prefix is None and entry.size_in_bytes not in (None, info.st_size):
        return _rewritten_by_python(path, entry)
    if expected is None:  # packages of 2015 have no hashes: the size above is all there is to compare
        return True
    return file_hash(path, info.st_size) == expected or _rewritten_by_python(path, entry)


def _link_hash(path: str) -> str:
    return hashlib.sha256(os.fsencode(Path(path).readlink())).hexdigest()


def file_hash(path: str, size: int) -> str:
    """SHA-256 of a file of `size` bytes; small ones in one read, which is twice as fast as in pieces."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - 20,000 times
        if size <= _CHUNK:
            return hashlib.sha256(stream.read()).hexdigest()
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _rewritten_by_python(path: str, entry: PathEntry) -> bool:
    """Whether a packaged ``.pyc`` differs because Python itself compiled its source again.

    Python does so when the source's mtime is not the one in the ``.pyc``. The new one is sound where its
    header (PEP 552: flags 0, then mtime and size of the source) fits the source, which is checked itself.
    """
    if not entry.path.endswith(".pyc"):
        return False
    try:
        source = Path(importlib.util.source_from_cache(path)).stat()
        with open(path, "rb") as stream:  # noqa: PTH123
            _, flags, mtime, size = struct.unpack("<4sIII", stream.read(16))
    except (OSError, ValueError, struct.error):
        return False
    return bool(
        flags == 0 and mtime == int(source.st_mtime) & 0xFFFFFFFF and size == source.st_size & 0xFFFFFFFF
    )


def package_problems(metas: Sequence[Meta], locked: Sequence[tuple[str, str, str]]) -> tuple[Problem, ...]:
    """Packages that the lock (name, version, build) has and the prefix has not, and the other way round.

    >>> package_problems((), [("numpy", "1.26.4", "py311_0")])[0].kind
    <ProblemKind.NOT_INSTALLED: 'not-installed'>
    """
    there = {(m.name, m.version, m.build): m for m in metas}
    wanted = set(locked)
    gone = [
        Problem(kind=ProblemKind.NOT_INSTALLED, path=f"{name}-{version}-{build}", package=name)
        for name, version, build in sorted(wanted - there.keys())
    ]
    extra = [
        Problem(kind=ProblemKind.NOT_LOCKED, path=f"conda-meta/{n}-{v}-{b}.json", package=n)
        for n, v, b in sorted(there.keys() - wanted)
    ]
    return (*gone, *extra)
