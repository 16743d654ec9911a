"""Wheels of PyPI as conda packages.

A wheel becomes ``noarch: python`` where it is pure and needs the same everywhere, else one package for each
platform. Markers are evaluated for the platform; the extras that a requirement names are folded in.
"""

from __future__ import annotations

import base64
import configparser
import email
import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from channel.archive import PLACEHOLDER, File, Package
from channel.compiled import with_bytecode
from channel.interpreter import MINOR, STAMP, VERSION, here

CONDA_NAMES = {"matplotlib": "matplotlib-base"}
"""Where conda-forge calls the package otherwise; the PyPI name becomes an alias that depends on it."""

_MARKERS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "osx": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "win": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
_MACHINES = {
    "linux-64": "x86_64",
    "linux-aarch64": "aarch64",
    "osx-64": "x86_64",
    "osx-arm64": "arm64",
    "win-64": "AMD64",
}


def marker_environment(platform: str) -> dict[str, str]:
    """What PEP 508 markers see on `platform` with the python of the channel.

    >>> marker_environment("win-64")["platform_machine"]
    'AMD64'
    """
    found = {str(key): str(value) for key, value in default_environment().items()}
    found |= _MARKERS[platform.partition("-")[0]]
    return found | {
        "platform_machine": _MACHINES[platform],
        "python_version": MINOR,
        "python_full_version": VERSION,
    }


def conda_spec(name: str, specifier: SpecifierSet) -> str:
    """A match spec for a PEP 508 requirement.

    >>> conda_spec("numpy", SpecifierSet(">=1.26,!=2.0.*"))
    'numpy !=2.0.*,>=1.26'
    >>> conda_spec("matplotlib", SpecifierSet("==3.*"))
    'matplotlib-base 3.*'
    """
    parts = []
    for one in sorted(str(s) for s in specifier):
        text = one.replace("===", "==")
        parts.append(text.removeprefix("==") if text.endswith(".*") and text.startswith("==") else text)
    return f"{CONDA_NAMES.get(name, name)} {','.join(parts)}".strip()


@dataclass(frozen=True)
class Wheel:
    """One wheel on the disk."""

    path: Path

    @cached_property
    def name(self) -> str:
        """Canonical name."""
        return canonicalize_name(parse_wheel_filename(self.path.name)[0])

    @cached_property
    def version(self) -> str:
        """Version as the file name has it."""
        return str(parse_wheel_filename(self.path.name)[1])

    @cached_property
    def pure(self) -> bool:
        """Whether it runs on every platform."""
        return all(tag.platform == "any" for tag in parse_wheel_filename(self.path.name)[3])

    @cached_property
    def stable_abi(self) -> bool:
        """Whether its extension modules work with newer pythons too."""
        return any(tag.abi in {"abi3", "none"} for tag in parse_wheel_filename(self.path.name)[3])

    @cached_property
    def info(self) -> str:
        """The name of its ``.dist-info`` folder."""
        with zipfile.ZipFile(self.path) as archive:
            names = archive.namelist()
        return next(n.split("/")[0] for n in names if n.endswith(".dist-info/METADATA"))

    @cached_property
    def metadata(self) -> Message:
        """``METADATA``."""
        with zipfile.ZipFile(self.path) as archive:
            return email.message_from_bytes(archive.read(f"{self.info}/METADATA"))

    @cached_property
    def entry_points(self) -> tuple[str, ...]:
        """``name = module:function`` of console and gui scripts."""
        with zipfile.ZipFile(self.path) as archive:
            try:
                text = archive.read(f"{self.info}/entry_points.txt").decode()
            except KeyError:
                return ()
        parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
        parser.read_string(text)
        return tuple(
            f"{key} = {value.split('[')[0].strip()}"
            for section in ("console_scripts", "gui_scripts")
            if parser.has_section(section)
            for key, value in parser.items(section)
        )

    def depends(
        self, platform: str, others: Mapping[str, Wheel], extras: tuple[str, ...] = ("",)
    ) -> frozenset[str]:
        """Match specs of what it needs on `platform`, python left out."""
        environment = marker_environment(platform)
        found: set[str] = set()
        for text in self.metadata.get_all("Requires-Dist") or ():
            need = Requirement(text)
            if need.marker and not any(need.marker.evaluate(environment | {"extra": e}) for e in extras):
                continue
            name = canonicalize_name(need.name)
            if name != self.name:
                found.add(conda_spec(name, need.specifier))
            if need.extras and name in others:
                found |= others[name].depends(platform, others, tuple(need.extras))
        return frozenset(found)

    def files(self, site: str, scripts: str) -> dict[str, File]:
        """Its content with modules below `site` and scripts below `scripts`; RECORD is written anew."""
        found: dict[str, File] = {}
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                if not member.is_dir() and member.filename != f"{self.info}/RECORD":
                    target = _placed(member.filename, site, scripts)
                    found[target] = _file(archive.read(member), executable=target.startswith(f"{scripts}/"))
        found[f"{site}/{self.info}/INSTALLER"] = File(data=b"conda\n")
        inside = (
            (p.removeprefix(f"{site}/"), f) for p, f in sorted(found.items()) if p.startswith(f"{site}/")
        )
        record = "".join(f"{path},sha256={_urlsafe(file.data)},{len(file.data)}\n" for path, file in inside)
        record += f"{self.info}/RECORD,,\n"
        found[f"{site}/{self.info}/RECORD"] = File(data=record.encode())
        return found


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _placed(path: str, site: str, scripts: str) -> str:
    """Where the installer puts a wheel's member (the spec's ``.data`` schemes)."""
    first, _, rest = path.partition("/")
    if not first.endswith(".data"):
        return f"{site}/{path}"
    kind, _, inside = rest.partition("/")
    roots = {"purelib": f"{site}/", "platlib": f"{site}/", "data": "", "scripts": f"{scripts}/"}
    return roots.get(kind, f"{kind}/") + inside


def _file(data: bytes, *, executable: bool) -> File:
    mode = 0o755 if executable else 0o644
    if executable and data.startswith(b"#!python"):
        rest = data.split(b"\n", 1)[1]
        return File(data=_SHEBANG + rest, mode=mode, placeholder=PLACEHOLDER)
    return File(data=data, mode=mode)


_SHEBANG = f"#!{PLACEHOLDER}/bin/python\n".encode()


def packages(wheels: Mapping[str, Mapping[str, Wheel]]) -> Iterator[Package]:
    """Conda packages for `wheels` (platform -> name -> wheel), one at a time: some are large."""
    for name in sorted({name for per in wheels.values() for name in per}):
        per = {platform: named[name] for platform, named in wheels.items() if name in named}
        if name == "imageio-ffmpeg":
            yield from (_ffmpeg(platform, wheel) for platform, wheel in per.items())
            continue
        depends = {platform: wheel.depends(platform, wheels[platform]) for platform, wheel in per.items()}
        same = len(set(depends.values())) == 1 and len({wheel.path.name for wheel in per.values()}) == 1
        if same and all(wheel.pure for wheel in per.values()):
            platform, wheel = next(iter(per.items()))
            yield _noarch(wheel, depends[platform])
        else:
            for platform, wheel in per.items():
                yield _native(wheel, platform, depends[platform])
        if name in CONDA_NAMES:
            yield from (
                alias(name, w.version, p, (f"{CONDA_NAMES[name]} {w.version}",)) for p, w in per.items()
            )


def alias(name: str, version: str, platform: str, depends: Iterable[str]) -> Package:
    """A package without files that brings others."""
    return Package(
        name=name, version=version, build="meta_0", subdir=platform, depends=tuple(depends), timestamp=STAMP
    )


def _noarch(wheel: Wheel, depends: frozenset[str]) -> Package:
    python = (wheel.metadata["Requires-Python"] or ">=3").replace(" ", "")
    return Package(
        name=CONDA_NAMES.get(wheel.name, wheel.name),
        version=wheel.version,
        build="pyh_0",
        depends=tuple(sorted({*depends, f"python {python}"})),
        noarch="python",
        entry_points=wheel.entry_points,
        files=wheel.files("site-packages", "python-scripts"),
        timestamp=STAMP,
    )


def _native(wheel: Wheel, platform: str, depends: frozenset[str]) -> Package:
    windows = platform == "win-64"
    site, scripts = (
        ("Lib/site-packages", "Scripts") if windows else (f"lib/python{MINOR}/site-packages", "bin")
    )
    files = wheel.files(site, scripts)
    for line in wheel.entry_points:
        command, _, target = (part.strip() for part in line.partition("="))
        module, _, function = target.partition(":")
        text = (
            f"import sys\nfrom {module} import {function.split('.')[0]}\n"
            f"if __name__ == '__main__':\n    sys.exit({function}())\n"
        )
        path = f"{scripts}/{command}-script.py" if windows else f"{scripts}/{command}"
        files[path] = File(data=_SHEBANG + text.encode(), mode=0o755, placeholder=PLACEHOLDER)
    python = f"python >={MINOR}" if wheel.stable_abi else f"python {MINOR}.*"
    return Package(
        name=CONDA_NAMES.get(wheel.name, wheel.name),
        version=wheel.version,
        build=f"py{MINOR.replace('.', '')}_0",
        depends=tuple(sorted({*depends, python})),
        subdir=platform,
        files=with_bytecode(files, STAMP) if platform == here() else files,
        timestamp=STAMP,
    )


def _ffmpeg(platform: str, wheel: Wheel) -> Package:
    """The real ffmpeg program that the wheel imageio-ffmpeg carries, under conda-forge's name."""
    with zipfile.ZipFile(wheel.path) as archive:
        member = next(n for n in archive.namelist() if "/binaries/ffmpeg-" in n)
        program = archive.read(member)
    version = member.removesuffix(".exe").rpartition("-v")[2]
    path = "Library/bin/ffmpeg.exe" if platform == "win-64" else "bin/ffmpeg"
    return Package(
        name="ffmpeg",
        version=version,
        build="static_0",
        subdir=platform,
        files={path: File(data=program, mode=0o755)},
        timestamp=STAMP,
    )
