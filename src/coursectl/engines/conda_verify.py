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
from concurrent.futures import Future, ThreadPoolExecutor
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
    looked: list[_Package] = []
    with ThreadPoolExecutor(min(os.cpu_count() or 2, 8)) as pool:
        for meta in metas:
            package = _look(str(prefix), meta)  # here: 37,000 short calls only wait for each other in threads
            unsure = package.own + (package.shared if package.seal != (seals or {}).get(meta.key) else [])
            if unsure:
                package.task = pool.submit(_judge, str(prefix), meta, unsure)
            looked.append(package)
        for package in looked:
            if package.task is not None:
                package.problems += package.task.result()
    return Checked(
        problems=(*problems, *(p for package in looked for p in package.problems)),
        metas=tuple(metas),
        files=sum(p.files for p in looked),
        size=sum(p.size for p in looked),
        seals={m.key: p.seal for m, p in zip(metas, looked, strict=True) if not p.problems},
    )


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


_Seen = tuple[PathEntry, os.stat_result]


@dataclass(slots=True)
class _Package:
    """A package's files as they lie there: `own` were written for this prefix, `shared` may be linked."""

    problems: list[Problem]
    own: list[_Seen]
    shared: list[_Seen]
    files: int = 0
    size: int = 0
    seal: str = ""
    task: Future[list[Problem]] | None = None


def _look(prefix: str, meta: Meta) -> _Package:
    """Find every file and take the seal; no file is read."""
    found = _Package([], [], [])
    stamps: list[int] = []
    for entry in {e.path: e for e in meta.paths_data.paths}.values():
        found.files += 1
        try:
            info = os.lstat(f"{prefix}/{entry.path}")
        except OSError as exc:
            missing = isinstance(exc, FileNotFoundError | NotADirectoryError)
            kind = ProblemKind.MISSING if missing else ProblemKind.UNREADABLE
            found.problems.append(Problem(kind=kind, path=entry.path, package=meta.name))
            continue
        found.size += info.st_size
        if _shared(entry, info):
            stamps += (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
            found.shared.append((entry, info))
        else:
            found.own.append((entry, info))
    packed = struct.pack("=" + "QQQq" * len(found.shared), *stamps)
    found.seal = hashlib.blake2b(packed, digest_size=16).hexdigest()
    return found


def _shared(entry: PathEntry, info: os.stat_result) -> bool:
    """Whether the file may be the cache's own, linked: rattler did not write it for this prefix."""
    return entry.path_type == "hardlink" and entry.sha256_in_prefix is None and stat.S_ISREG(info.st_mode)


def _judge(prefix: str, meta: Meta, files: Sequence[_Seen]) -> list[Problem]:
    """Read files and compare."""
    problems: list[Problem] = []
    for entry, info in files:
        try:
            same = _same(f"{prefix}/{entry.path}", entry, info)
            kind = ProblemKind.CHANGED
        except OSError:
            same, kind = False, ProblemKind.UNREADABLE
        if not same:
            problems.append(Problem(kind=kind, path=entry.path, package=meta.name))
    return problems


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
