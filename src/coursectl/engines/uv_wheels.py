"""Which wheel a platform installs: the files of a lock (PEP 751) against the tags of a platform (PEP 425).

The oldest machine that a course supports decides (see `model.platform`): glibc 2.28, macOS 11. Where a
package has nothing for it, the next newer system is tried, because its students have that one.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from coursectl.errors import LockError
from coursectl.model.platform import Platform

_GLIBC = (28, 31, 35, 39)  # minor versions: our floor, then Debian 11, Ubuntu 22.04, Ubuntu 24.04
_MACOS = (11, 12, 13, 14, 15, 26)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MACHINE = {
    Platform.LINUX_64: ("linux", "x86_64", "Linux", "posix"),
    Platform.LINUX_AARCH64: ("linux", "aarch64", "Linux", "posix"),
    Platform.OSX_64: ("darwin", "x86_64", "Darwin", "posix"),
    Platform.OSX_ARM64: ("darwin", "arm64", "Darwin", "posix"),
    Platform.WIN_64: ("win32", "AMD64", "Windows", "nt"),
}
_PATCH = 99  # no python is that far: markers such as python_full_version >= '3.11.5' hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the index; `size` in bytes, ``None`` where the index does not say."""

    name: str
    url: str
    sha256: str
    size: int | None

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.name.endswith(".whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One package of a pylock.toml. `files` are its wheels and then its source, if it has them."""

    name: str
    version: str
    marker: str | None
    files: tuple[Artifact, ...]


def read_pylock(text: str) -> tuple[Locked, ...]:
    """The packages of a pylock.toml as uv writes it (PEP 751).

    Raises:
        LockError: it is not TOML, or a file has no sha256.
    """
    try:
        return tuple(_package(entry) for entry in tomllib.loads(text).get("packages", ()))
    except tomllib.TOMLDecodeError as exc:
        raise LockError("uv wrote a pylock.toml that cannot be read", cause=str(exc)) from exc


def _package(entry: Mapping[str, Any]) -> Locked:
    sources = [*entry.get("wheels", ()), *(entry[k] for k in ("archive", "sdist") if k in entry)]
    if not sources:
        where = entry.get("vcs", entry.get("directory", {})).get("url", "a local folder")
        raise LockError(
            f"{entry['name']} cannot be locked",
            cause=f"it comes from {where}, which has no hash",
            hints=("name a released version, or the address of a wheel",),
        )
    return Locked(
        name=entry["name"],
        version=entry.get("version", ""),
        marker=entry.get("marker"),
        files=tuple(_file(entry["name"], source) for source in sources),
    )


def _file(package: str, source: Mapping[str, Any]) -> Artifact:
    digest = source.get("hashes", {}).get("sha256")
    if digest is None:
        raise LockError(f"{package} cannot be locked", cause="the index states no sha256 for it")
    url = source.get("url", "")
    name = source.get("name") or unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    return Artifact(name=name, url=url, sha256=digest, size=source.get("size"))


def marker_environment(platform: Platform, python: str) -> dict[str, str]:
    """What requirement markers (PEP 508) see on `platform` with Python `python` (``3.11``).

    >>> marker_environment(Platform.WIN_64, "3.11")["sys_platform"]
    'win32'
    """
    sys_platform, machine, system, os_name = _MACHINE[platform]
    full = python if python.count(".") > 1 else f"{python}.{_PATCH}"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": os_name,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": sys_platform,
        "extra": "",
    }


def applies(marker: str | None, platform: Platform, python: str) -> bool:
    """Whether a requirement with this marker is installed on `platform`.

    >>> applies("sys_platform == 'win32'", Platform.LINUX_64, "3.11")
    False
    """
    if marker is None:
        return True
    from packaging.markers import Marker

    return Marker(marker).evaluate(marker_environment(platform, python))


def choose(files: Sequence[Artifact], platform: Platform, python: str) -> Artifact | None:
    """The wheel that is installed on `platform`; ``None`` where none fits."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    tagged = []
    for file in files:
        if file.is_wheel:
            try:
                tagged.append((file, parse_wheel_filename(file.name)[3]))
            except InvalidWheelFilename:
                continue  # old uploads have names that no installer accepts
    for ranks in _ladder(platform, python):
        fitting = [
            (min(ranks[t] for t in map(str, tags) if t in ranks), file.name, file)
            for file, tags in tagged
            if any(str(t) in ranks for t in tags)
        ]
        if fitting:
            return min(fitting, key=lambda f: f[:2])[2]
    return None


@functools.cache
def _ladder(platform: Platform, python: str) -> tuple[dict[str, int], ...]:
    """Supported tags with their rank (0 is best), for the oldest system first."""
    from packaging.tags import compatible_tags, cpython_tags

    major, minor = (int(n) for n in python.split(".")[:2])
    interpreter = f"cp{major}{minor}"
    ladder = []
    for platforms in _platform_tags(platform):
        tags = [
            *cpython_tags((major, minor), abis=[interpreter], platforms=platforms),
            *compatible_tags((major, minor), interpreter=interpreter, platforms=platforms),
        ]
        ladder.append({str(tag): rank for rank, tag in reversed(list(enumerate(tags)))})
    return tuple(ladder)


def _platform_tags(platform: Platform) -> Iterator[list[str]]:
    """The platform tags of ever newer systems (PEP 600; macOS: the tags that packaging knows)."""
    machine = _MACHINE[platform][1]
    if platform.is_windows:
        yield ["win_amd64"]
    elif platform in {Platform.LINUX_64, Platform.LINUX_AARCH64}:
        lowest = 5 if machine == "x86_64" else 17
        for newest in _GLIBC:
            tags = []
            for minor in range(newest, lowest - 1, -1):
                tags.append(f"manylinux_2_{minor}_{machine}")
                if minor in _LEGACY and (minor == 17 or machine == "x86_64"):
                    tags.append(f"{_LEGACY[minor]}_{machine}")
            yield [*tags, f"linux_{machine}"]
    else:
        from packaging.tags import mac_platforms

        for major in _MACOS:
            yield list(mac_platforms((major, 0), machine))
