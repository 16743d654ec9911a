"""Hashed requirements files: the lock of an environment from PyPI. uv writes them; pip and uv install them.

The form is pip's (pip.pypa.io, "Requirements File Format", "Secure installs"), of which a lock uses little:
pins, markers and sha256 hashes; and, where the course's own spec has them, addresses (HTTPS) of where else to
look. Whatever else the format allows (an editable folder, another file, an option) would make it install
something that it does not pin, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from coursectl.errors import Hint, LockError
from coursectl.lockfiles import validate
from coursectl.model.lock import PypiLock, PypiPin
from coursectl.model.platform import Platform

MAX_BYTES = 16 * 1024 * 1024
_PYTHON = re.compile(r"#.*?\bpython(?:[ -]version)?[ =](\d+\.\d+)", re.IGNORECASE)
_SPEC = re.compile(r"^# spec ([0-9a-f]{64})$", re.MULTILINE)
_SIZES = re.compile(r"^# download bytes ([a-z0-9, -]+)$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_ADDRESSES = ("--find-links", "--index-url", "--extra-index-url")

_MARKERS: dict[Platform, dict[str, str]] = {
    Platform.LINUX_64: {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    Platform.LINUX_AARCH64: {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "aarch64",
    },
    Platform.OSX_64: {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "x86_64"},
    Platform.OSX_ARM64: {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    Platform.WIN_64: {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64"},
}


def read_requirements_lock(path: Path) -> PypiLock:
    """The lock at `path`; its `sizes` are those of the comment on top, if it has one.

    Raises:
        LockError: there is no such file, or it holds anything but pins with hashes.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise LockError(f"cannot read {path}", cause=exc.strerror) from exc
    return parse(data, str(path))


def parse(data: bytes, where: str) -> PypiLock:
    """The lock in `data`; `where` is what to call it in an error.

    Raises:
        LockError: a line is not a pin with hashes, or the file does not say for which Python it is.
    """
    if len(data) > MAX_BYTES:
        raise LockError(f"{where} is too large for a requirements file", cause=f"{len(data):,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise LockError(f"{where} is not text in UTF-8", cause=str(exc)) from exc
    pins = []
    seen: set[tuple[str, str | None]] = set()
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            _option(line, number, where)
            continue
        pin = _pin(line, number, where)
        if (pin.name, pin.marker) in seen:
            _refuse(where, number, f"{pin.name} is there twice")
        seen.add((pin.name, pin.marker))
        pins.append(pin)
    return PypiLock(python=_python(text, where), pins=tuple(pins), text=text, sizes=_sizes(text))


def applicable(pins: Iterable[PypiPin], platform: Platform, python: str) -> tuple[PypiPin, ...]:
    """The pins that are installed on `platform` with Python `python` (``3.11``).

    >>> pin = PypiPin(name="pywinpty", version="3.0", marker="os_name == 'nt'", hashes=())
    >>> [len(applicable([pin], p, "3.11")) for p in (Platform.WIN_64, Platform.LINUX_64)]
    [1, 0]
    """
    from packaging.markers import Marker

    environment = marker_environment(platform, python)
    return tuple(p for p in pins if p.marker is None or Marker(p.marker).evaluate(environment))


def marker_environment(platform: Platform, python: str) -> dict[str, str]:
    """What environment markers see on `platform` under CPython `python`.

    >>> marker_environment(Platform.WIN_64, "3.11")["os_name"]
    'nt'
    """
    return _MARKERS[platform] | {
        "os_name": "nt" if platform.is_windows else "posix",
        "python_version": python,
        "python_full_version": f"{python}.99",  # a lock is for a minor version: its newest patch
        "implementation_name": "cpython",
        "implementation_version": f"{python}.99",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_version": "",
        "extra": "",
    }


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    start = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not held:
            start = number
        if line.startswith("#"):
            line = ""
        if line.endswith("\\"):
            held.append(line[:-1].strip())
            continue
        whole = " ".join([*held, line]).strip()
        held = []
        if whole:
            yield start, whole
    if any(held):
        yield start, " ".join(held)


def _pin(line: str, number: int, where: str) -> PypiPin:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    wanted, *rest = re.split(r"\s+(?=--)", line.partition(" #")[0].strip())
    hashes = []
    for option in rest:
        found = _HASH.fullmatch(option.strip())
        if found is None:
            _refuse(where, number, f"{option[:60]!r} is not a sha256 hash")
        hashes.append(found[1])
    try:
        requirement = Requirement(wanted)
    except InvalidRequirement as exc:
        raise LockError(f"{where}:{number} is not a requirement", cause=str(exc).splitlines()[0]) from exc
    if not hashes:
        _refuse(where, number, f"{requirement.name} has no hash")
    if requirement.url is not None:
        problem = validate.address_problem(requirement.url.partition("#")[0])
        if problem is not None:
            _refuse(where, number, f"{requirement.name}: {problem}")
        version = _version_in(requirement.url)
    else:
        clauses = list(requirement.specifier)
        if len(clauses) != 1 or clauses[0].operator != "==" or clauses[0].version.endswith("*"):
            _refuse(where, number, f"{requirement.name} is not pinned with ==")
        version = clauses[0].version
    return PypiPin(
        name=canonicalize_name(requirement.name),
        version=version,
        marker=str(requirement.marker) if requirement.marker is not None else None,
        hashes=tuple(hashes),
        extras=tuple(sorted(requirement.extras)),
    )


def _option(line: str, number: int, where: str) -> None:
    option, _, value = line.replace("=", " ", 1).partition(" ")
    if option not in _ADDRESSES:
        _refuse(where, number, f"the option {option[:40]} has no place in a lock")
    problem = validate.address_problem(value.strip())
    if problem is not None:
        _refuse(where, number, problem)


def _version_in(url: str) -> str:
    """The version in the name of a wheel or source archive; the address itself where it has none."""
    file = unquote(urlsplit(url).path.rpartition("/")[2])
    found = re.fullmatch(r"[^-]+-([^-]+)-.*\.whl", file) or re.fullmatch(
        r".+-([^-]+?)(\.tar\.gz|\.zip)", file
    )
    return found[1] if found else url


def with_record(text: str, spec: str, sizes: Mapping[Platform, int | None]) -> str:
    """`text` with the digest of what was asked, and the download sizes, in comments below its first line.

    >>> print(with_record("# python 3.11: x\\nsix==1\\n", "0" * 64, {Platform.WIN_64: 7}))
    # python 3.11: x
    # spec 0000000000000000000000000000000000000000000000000000000000000000
    # download bytes win-64 7
    six==1
    <BLANKLINE>
    """
    known = [f"{platform} {size}" for platform, size in sorted(sizes.items()) if size is not None]
    first, *rest = [x for x in text.splitlines() if not _SPEC.match(x) and not _SIZES.match(x)]
    lines = [first, f"# spec {spec}"]
    if known:
        lines.append(f"# download bytes {', '.join(known)}")
    return "\n".join([*lines, *rest]) + "\n"


def spec_of(text: str) -> str | None:
    """The digest of what was asked, as `with_record` wrote it; ``None`` where the lock does not say."""
    found = _SPEC.search(text[:2000])
    return found[1] if found else None


def _sizes(text: str) -> dict[Platform, int | None]:
    found = _SIZES.search(text[:2000])
    pairs = [part.split() for part in found[1].split(", ")] if found else []
    known = {str(p): p for p in Platform}
    return {known[p[0]]: int(p[1]) for p in pairs if len(p) == 2 and p[0] in known and p[1].isdigit()}


def _python(text: str, where: str) -> str:
    for line in text.splitlines()[:20]:
        if not line.startswith("#"):
            break
        found = _PYTHON.search(line)
        if found:
            return found[1]
    raise LockError(
        f"{where} does not say for which Python it was solved",
        cause="its first line should read `# python 3.11: ...`",
        hints=("freeze the semester again",),
    )


def _refuse(where: str, number: int, why: str) -> NoReturn:
    raise LockError(
        f"{where}:{number} is not safe to install: {why}",
        cause="a lock holds pins with hashes and nothing else",
        hints=(Hint(text="restore the committed file:", command=f"git checkout -- {where}"),),
        code="lock-unsafe",
    )
