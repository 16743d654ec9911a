"""The hashed requirements file: its text from what uv wrote, and its pins from the text.

It names no index host, so that any mirror serves it; pip (``--require-hashes``) and uv both install it.
Format: pip.pypa.io, "Requirements File Format" and "Hash-checking Mode".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from coursectl.errors import LockError
from coursectl.model.lock import PypiPin

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def header(python: str, spec: str) -> str:
    """The first line of a lock: what it is for.

    >>> header("3.11", "environments/x.in").split(";")[0]
    '# python 3.11: made by coursectl from environments/x.in'
    """
    return (
        f"# python {python}: made by coursectl from {spec}; "
        "installs with pip install --require-hashes and uv pip sync"
    )


def render(compiled: str, *, python: str, spec: str, options: Sequence[str] = ()) -> str:
    """The lock's text from uv's: our first line, and no marker that only repeats `uv_compile.supported`."""
    major, minor = (int(n) for n in python.split(".")[:2])
    cap = f"python_full_version < '{major}.{minor + 1}'"
    upper = re.escape(cap)
    everywhere = re.escape(" or ".join(f"sys_platform == '{s}'" for s in ("darwin", "linux", "win32")))
    lines = []
    for line in compiled.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            line = re.sub(rf" and \({everywhere}\)(?= \\$|$)", "", line)
            line = re.sub(rf" ; {upper}(?= \\$|$)", "", line).replace(f" ; {cap} and ", " ; ")
            lines.append(line.rstrip())
    return "\n".join([header(python, spec), *options, *lines]) + "\n"


def python_of(text: str) -> str | None:
    """The minor version of Python that a lock states in its first line, ``None`` if it states none.

    >>> python_of(header("3.11", "x.in"))
    '3.11'
    """
    found = re.match(r"# python (\d+\.\d+):", text)
    return found[1] if found else None


def parse(text: str, name: str = "the lockfile") -> tuple[PypiPin, ...]:
    """The pins of a hashed requirements file, in its order.

    Raises:
        LockError: a line is no pin, or has no sha256.

    >>> pin = parse("six==1.17.0 ; sys_platform == 'win32' --hash=sha256:" + "0" * 64)[0]
    >>> pin.name, pin.version, pin.marker, len(pin.hashes)
    ('six', '1.17.0', 'sys_platform == "win32"', 1)
    """
    pins = []
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            continue  # where to look, not what
        pins.append(_pin(line, f"{name}:{number}"))
    return tuple(pins)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    rows: list[tuple[int, str]] = []
    start, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        start = start or number
        if code.endswith("\\"):
            joined += code[:-1] + " "
            continue
        if (joined + code).strip():
            rows.append((start, (joined + code).strip()))
        start, joined = 0, ""
    if joined.strip():
        rows.append((start, joined.strip()))
    return rows


def _pin(line: str, where: str) -> PypiPin:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    hashes = tuple(_HASH.findall(line))
    body = line.split(" --hash", 1)[0].strip()
    try:
        requirement = Requirement(body)
    except InvalidRequirement as exc:
        raise LockError(f"{where}: this is no pinned requirement", cause=body[:100]) from exc
    if requirement.url is not None:
        version = _version_in(requirement.url)
    else:
        exact = [s.version for s in requirement.specifier if s.operator in {"==", "==="}]
        version = exact[0] if len(exact) == 1 and len(requirement.specifier) == 1 else ""
    if not version or not hashes:
        missing = "an exact version" if not version else "a sha256 hash"
        raise LockError(
            f"{where}: {requirement.name} has no {missing.split(' ', 1)[1]}",
            cause=f"a locked requirement states {missing}",
            hints=("name a released version, or the address of a wheel (a git address has no hash)",),
        )
    return PypiPin(
        name=canonicalize_name(requirement.name),
        version=version,
        marker=str(requirement.marker) if requirement.marker else None,
        hashes=hashes,
        extras=tuple(sorted(requirement.extras)),
    )


def _version_in(url: str) -> str:
    """The version in the file name of an address, or the address itself where the name does not say."""
    file = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    found = re.match(r"[^-]+-([^-]+)(-.*)?\.whl$", file) or re.match(r".+-([^-]+?)(\.tar\.gz|\.zip)$", file)
    return found[1] if found else url
