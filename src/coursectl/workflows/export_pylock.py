"""PEP 751: a ``pylock.toml`` made by uv from the hashed requirements."""

from __future__ import annotations

import tomllib
from datetime import date

from coursectl.engines import uv_compile, uv_program
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import Doing
from coursectl.errors import LockError
from coursectl.model.lock import PypiLock


def pylock(lock: PypiLock, as_of: date | None, network: Network) -> str:
    """The text of a pylock.toml with exactly the pins of `lock` and the addresses of their files.

    Raises:
        NetworkError: the index, which knows the addresses, cannot be reached.
        LockError: the index no longer has the files that were locked.
    """
    with uv_program.workplace() as folder:
        source = folder / "requirements.txt"
        source.write_text(lock.text, encoding="utf-8")
        text = uv_compile.compile_(
            [
                *("--universal", "--no-deps", "--python-version", lock.python),
                *uv_compile.cutoff(as_of),
                *("--format", "pylock.toml", source),
            ],
            output=folder / "pylock.toml",
            network=network,
            doing=Doing(failed="the lock cannot be written as pylock.toml", source="the lockfile"),
        )
    _same_pins(text, lock)
    return text


def _same_pins(text: str, lock: PypiLock) -> None:
    locked: dict[str, set[str]] = {}
    for pin in lock.pins:
        locked.setdefault(pin.name, set()).update(pin.hashes)
    for package in tomllib.loads(text)["packages"]:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        foreign = [f["url"] for f in files if f["hashes"]["sha256"] not in locked.get(package["name"], set())]
        if foreign:
            raise LockError(
                f"the index has other files of {package['name']} than were locked",
                cause=foreign[0],
                hints=("if a file was added to a release since, the hashed requirements still hold",),
                code="lock-changed",
            )
