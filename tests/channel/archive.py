"""Write conda packages and their index: the format, and nothing about what is in them.

Source of the format: conda enhancement proposals CEP 20 (``.conda`` files: a zip of two zstd tars) and
CEP 16/36 (``repodata.json``), the ``info/`` files as conda-build writes them.

Same input, same bytes: every time in an archive is the package's own timestamp, members are sorted, owners
are zero. The index carries no ``indexed_timestamp`` (``rattler.index.index_fs`` writes one, the moment of
indexing, and a solve "as of" a date would prefer it to the package's own) and no shards.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

PLACEHOLDER = ("/" + "conda_prefix_placeholder_" * 20)[:255]
"""What a build tool leaves where the prefix will stand; no prefix may be longer than its 255 characters."""

SUBDIRS = ("linux-64", "linux-aarch64", "noarch", "osx-64", "osx-arm64", "win-64")
"""Folders of a channel; each gets a ``repodata.json``, an empty one where it has no package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a package.

    `placeholder` is the prefix in `data` that the installer replaces, ``None`` where there is none; `binary`
    says how (padded with zero bytes, or as text). With `target` it is a symbolic link and `data` is empty.
    """

    data: bytes = b""
    mode: int = 0o644
    placeholder: str | None = None
    binary: bool = False
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package, declared.

    `subdir` is the channel folder; `noarch` is ``"python"`` (files below ``site-packages/`` and
    ``python-scripts/``), ``"generic"`` or ``None``. `entry_points` are ``"name = module:function"`` lines of
    a noarch python package. `timestamp` is the moment of the build, as a solve "as of" a date sees it.
    `extra` fields are added to the index record.
    """

    name: str
    version: str
    build: str = "0"
    build_number: int = 0
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    subdir: str = "noarch"
    noarch: str | None = None
    files: Mapping[str, File] = field(default_factory=dict)
    entry_points: tuple[str, ...] = ()
    timestamp: datetime = datetime(2023, 1, 1, tzinfo=UTC)
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        """``name-version-build.conda``."""
        return f"{self.name}-{self.version}-{self.build}.conda"


def index_json(package: Package) -> dict[str, object]:
    """What ``info/index.json`` says, and the index record repeats.

    >>> index_json(Package(name="a", version="1", noarch="python"))["noarch"]
    'python'
    """
    record: dict[str, object] = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": package.build_number,
        "depends": list(package.depends),
        "constrains": list(package.constrains),
        "subdir": package.subdir,
        "timestamp": int(package.timestamp.timestamp() * 1000),
        "license": "see the package",
    }
    if package.noarch is not None:
        record["noarch"] = package.noarch
    if package.subdir != "noarch":
        system, _, machine = package.subdir.partition("-")
        record |= {"platform": system, "arch": {"64": "x86_64"}.get(machine, machine)}
    return record | dict(package.extra)


def conda_bytes(package: Package, *, level: int = 3) -> bytes:
    """The ``.conda`` archive; `level` is zstd's."""
    stem = package.filename.removesuffix(".conda")
    stamp = package.timestamp
    content = _tar_zst(package.files, stamp, level)
    info = _tar_zst({k: File(data=v.encode()) for k, v in _info_files(package).items()}, stamp, level)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for member, data in (
            ("metadata.json", b'{"conda_pkg_format_version": 2}'),
            (f"pkg-{stem}.tar.zst", content),
            (f"info-{stem}.tar.zst", info),
        ):
            archive.writestr(zipfile.ZipInfo(member), data)  # ZipInfo's own date is 1980: always the same
    return out.getvalue()


def _info_files(package: Package) -> dict[str, str]:
    paths = []
    for path, file in sorted(package.files.items()):
        entry: dict[str, object] = {
            "_path": path,
            "path_type": "softlink" if file.target is not None else "hardlink",
            "sha256": hashlib.sha256(file.data).hexdigest(),
            "size_in_bytes": len(file.data),
        }
        if file.placeholder is not None:
            entry |= {
                "prefix_placeholder": file.placeholder,
                "file_mode": "binary" if file.binary else "text",
            }
        paths.append(entry)
    info = {
        "info/index.json": json.dumps(index_json(package), indent=1),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
        "info/files": "".join(f"{path}\n" for path in sorted(package.files)),
        "info/about.json": "{}",
    }
    if package.noarch == "python":
        noarch: dict[str, object] = {"type": "python"}
        if package.entry_points:
            noarch["entry_points"] = list(package.entry_points)
        info["info/link.json"] = json.dumps({"noarch": noarch, "package_metadata_version": 1})
    return info


def _tar_zst(files: Mapping[str, File], stamp: datetime, level: int) -> bytes:
    import zstandard

    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, file in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.mtime, member.mode = int(stamp.timestamp()), file.mode
            if file.target is not None:
                member.type, member.linkname = tarfile.SYMTYPE, file.target
                tar.addfile(member)
            else:
                member.size = len(file.data)
                tar.addfile(member, io.BytesIO(file.data))
    return zstandard.ZstdCompressor(level=level).compress(raw.getvalue())


def record_of(package: Package, archive: bytes) -> dict[str, object]:
    """The package's record in ``repodata.json``: what it declares, with the archive's hashes and size."""
    return index_json(package) | {
        "md5": hashlib.md5(archive, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "size": len(archive),
    }


def write_package(root: Path, package: Package, *, level: int = 3) -> dict[str, object]:
    """Write the package into the channel at `root` and return its record; the index is not touched."""
    folder = root / package.subdir
    folder.mkdir(parents=True, exist_ok=True)
    archive = conda_bytes(package, level=level)
    (folder / package.filename).write_bytes(archive)
    return record_of(package, archive)


def write_index(root: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write ``repodata.json`` and ``repodata.json.zst`` of every folder, replacing what was."""
    by_subdir: dict[str, dict[str, Mapping[str, object]]] = {subdir: {} for subdir in SUBDIRS}
    for record in records:
        filename = f"{record['name']}-{record['version']}-{record['build']}.conda"
        by_subdir[str(record["subdir"])][filename] = record
    for subdir, packages in by_subdir.items():
        write_repodata(root / subdir, packages)


def write_repodata(folder: Path, packages: Mapping[str, Mapping[str, object]]) -> None:
    """Write one folder's index, plain and compressed."""
    import zstandard

    text = json.dumps(
        {
            "info": {"subdir": folder.name},
            "packages": {},
            "packages.conda": dict(sorted(packages.items())),
            "removed": [],
            "repodata_version": 1,
        },
        indent=1,
        sort_keys=True,
    ).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "repodata.json").write_bytes(text)
    (folder / "repodata.json.zst").write_bytes(zstandard.ZstdCompressor(level=3).compress(text))


def read_index(root: Path) -> list[dict[str, object]]:
    """Every record of the channel at `root`, as written; none where there is no index."""
    records: list[dict[str, object]] = []
    for subdir in SUBDIRS:
        index = root / subdir / "repodata.json"
        if index.exists():
            records += json.loads(index.read_bytes())["packages.conda"].values()
    return records
