"""Refuse a lock that is hostile or broken, naming the entry, before anything is fetched.

Pure checks over a read lock, in one pass: 3,091 entries take about 10 ms. No name is resolved here: the
HTTP session refuses addresses, this refuses what can be seen in the text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from coursectl.errors import Hint, LockError
from coursectl.model.lock import CondaLock, CondaPackage, CondaSolution

MAX_PACKAGE_BYTES = 16 * 1024**3
"""No package of conda-forge is near: the largest CUDA libraries have about 2 GiB."""
ARCHIVES = (".conda", ".tar.bz2")
_SHOWN = 5

# conda's charset for names (CEP 26); two underscores in front are virtual packages, never in a lock
_CONDA_NAME = re.compile(r"(?!__)[a-z0-9_][a-z0-9_.-]{0,127}")
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9_.!+-]{1,128}")
_BUILD = re.compile(r"[A-Za-z0-9_.+]{1,128}")
_FILE = re.compile(r"[A-Za-z0-9_.!+-]{1,255}")
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "md5": re.compile(r"[0-9a-f]{32}")}
_SEPARATORS = re.compile(r"[-_.]+")


def refuse_unsafe(
    lock: CondaLock, where: str, *, mirrors: Mapping[str, tuple[str, ...]] | None = None
) -> None:
    """Raise where `lock` must not be installed.

    Args:
        lock: what was read.
        where: what to call the file in the error.
        mirrors: addresses that the person configured; they may be plain HTTP or private.

    Raises:
        LockError: code ``lock-unsafe``; the cause names the first entries at fault.
    """
    found = problems(lock, mirrors=mirrors)
    if not found:
        return
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise LockError(
        f"{where} is not safe to install: {found[0]}"
        if len(found) == 1
        else f"{where} is not safe to install: {len(found)} entries are refused",
        cause=None if len(found) == 1 else "; ".join(found[:_SHOWN]) + more,
        hints=(
            Hint(text="restore the committed file:", command=f"git checkout -- {where}"),
            Hint(text="or, for an address of your own, name it under `mirrors:` in course.yaml"),
        ),
        code="lock-unsafe",
    )


def problems(lock: CondaLock, *, mirrors: Mapping[str, tuple[str, ...]] | None = None) -> tuple[str, ...]:
    """What is wrong with each entry, as ``linux-64 numpy: why``; nothing for a sound lock."""
    trusted = _trusted(mirrors or {})
    bases: dict[str, str | None] = {}
    found: list[str] = []
    for solution in lock.solutions:
        label = solution.platform if solution.variant == "cpu" else f"{solution.platform} {solution.variant}"
        for package in solution.packages:
            why = _entry(package, solution, bases, trusted)
            if why is not None:
                found.append(f"{label} {_shown(package.name)}: {why}")
        found += [f"{label} {_shown(name)}: {why}" for name, why in _collisions(solution.packages)]
    return tuple(found)


def _entry(
    package: CondaPackage, solution: CondaSolution, bases: dict[str, str | None], trusted: tuple[str, ...]
) -> str | None:
    if package.manager == "pip":
        return _pip_entry(package, bases, trusted)
    if not _CONDA_NAME.fullmatch(package.name):
        return "the name has characters that conda does not allow"
    base, _, rest = package.url.rpartition("/")
    base, _, subdir = base.rpartition("/")
    return (
        _common(package)
        or _base_problem(base, bases, trusted)
        or _place(package, solution, subdir)
        or _file_name(package, rest)
    )


def _pip_entry(package: CondaPackage, bases: dict[str, str | None], trusted: tuple[str, ...]) -> str | None:
    if not _PYPI_NAME.fullmatch(package.name):
        return "the name has characters that PyPI does not allow"
    if package.sha256 is None:
        return "no sha256: a file from PyPI cannot be checked"
    base, _, name = package.url.partition("#")[0].rpartition("/")
    if not _FILE.fullmatch(unquote(name)):
        return f"the file name {_shown(name)} is not one"
    return _common(package) or _base_problem(base, bases, trusted)


def _common(package: CondaPackage) -> str | None:
    if not _VERSION.fullmatch(package.version):
        return f"the version {_shown(package.version)} is not one"
    if package.sha256 is None and package.md5 is None:
        return "no hash"
    for kind, value in (("sha256", package.sha256), ("md5", package.md5)):
        if value is not None and not _HEX[kind].fullmatch(value):
            return f"the {kind} {_shown(value)} is not one"
    if package.size is not None and not 0 < package.size <= MAX_PACKAGE_BYTES:
        return f"a size of {package.size:,} bytes cannot be"
    return None


def _place(package: CondaPackage, solution: CondaSolution, subdir: str) -> str | None:
    if subdir not in (solution.platform, "noarch"):
        return f"the address is for {_shown(subdir)}, the entry for {solution.platform}"
    if package.subdir != subdir:
        return f"subdir {_shown(package.subdir)} differs from the address ({_shown(subdir)})"
    return None


def _file_name(package: CondaPackage, written: str) -> str | None:
    name = unquote(written)
    stem = next((name.removesuffix(end) for end in ARCHIVES if name.endswith(end)), None)
    if not _FILE.fullmatch(name) or ".." in name or stem is None:
        return f"the file name {_shown(name)} is not that of a conda package"
    head = f"{package.name}-{package.version}-"
    if not stem.startswith(head) or not _BUILD.fullmatch(stem[len(head) :]):
        return f"the file name {_shown(name)} is not {head}BUILD"
    if package.build is not None and package.build != stem[len(head) :]:
        return f"build {_shown(package.build)} differs from the file name"
    return None


def _collisions(packages: Iterable[CondaPackage]) -> list[tuple[str, str]]:
    seen: dict[tuple[str, str], str] = {}
    found = []
    for package in packages:
        # on a case-insensitive disk two such packages overwrite each other; PyPI joins - _ . as well
        folded = package.name.casefold()
        key = (package.manager, _SEPARATORS.sub("-", folded) if package.manager == "pip" else folded)
        other = seen.get(key)
        if other is None:
            seen[key] = package.name
        else:
            same = other == package.name
            found.append((package.name, "is there twice" if same else f"collides with {_shown(other)}"))
    return found


def _base_problem(base: str, bases: dict[str, str | None], trusted: tuple[str, ...]) -> str | None:
    if base not in bases:
        bases[base] = address_problem(base, trusted=trusted)
    return bases[base]


def address_problem(url: str, *, trusted: tuple[str, ...] = ()) -> str | None:
    """Why nothing may be fetched from `url`; ``None`` where it may.

    HTTPS to a public name or address is fine, as is loopback, and whatever starts with one of `trusted`.

    >>> address_problem("https://conda.anaconda.org/conda-forge")
    >>> address_problem("http://conda.anaconda.org/conda-forge")
    'the address http://conda.anaconda.org is not https'
    >>> address_problem("https://169.254.169.254/latest")
    'the address 169.254.169.254 is private or link-local'
    """
    if any(url == t or url.startswith(f"{t}/") for t in trusted):
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError:
        return f"the address {_shown(url)} is not one"
    if not host or "@" in parts.netloc or re.search(r"[\x00-\x20\\]", url) or parts.query:
        return f"the address {_shown(url)} is not one that a channel has"
    if ".." in unquote(parts.path).split("/"):
        return f"the address {_shown(url)} climbs out with .."
    loopback, why = _host_problem(host)
    if why is not None:
        return why
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        return f"the address {_shown(parts.scheme + '://' + host)} is not https"
    return None


def _host_problem(host: str) -> tuple[bool, str | None]:
    """Whether `host` is this machine, and why it must not be asked."""
    if host == "localhost":
        return True, None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # 2130706433, 0x7f.1 and 0177.0.0.1 are addresses to a resolver, and hidden ones to a reader
        if re.fullmatch(r"(0x[0-9a-f]*|\d+)", host.rpartition(".")[2]):
            return False, f"the address {_shown(host)} is not written as one"
        return False, None
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if address.is_loopback:
        return True, None
    if not address.is_global:
        return False, f"the address {host} is private or link-local"
    return False, None


def _trusted(mirrors: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(a.rstrip("/") for key, values in mirrors.items() for a in (key, *values))


def _shown(text: str) -> str:
    """`text` fit for a terminal: a hostile file must not send escape codes."""
    clean = text.encode("ascii", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f]", "?", clean)[:100]
