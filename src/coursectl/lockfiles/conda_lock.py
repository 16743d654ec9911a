"""conda-lock's unified format, version 1: read.

The format is described by conda-lock's own ``conda_lock/lockfile/v1/models.py`` and by
https://schemas.conda.org/conda-lock-v1.schema.json. It keys a package by (manager, name, platform), so two
variants of one platform cannot stand side by side in it: a variant other than the base one is stored under
the platform key ``<platform>-<variant>`` (``linux-64-cuda``), which conda-lock's parser and ``conda-lock
render -p linux-64-cuda`` take as one more platform. What the format has no field for is JSON text under
``metadata.custom_metadata``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from coursectl.errors import Hint, LockError
from coursectl.lockfiles import plain_yaml, validate
from coursectl.lockfiles.plain_yaml import Value
from coursectl.model.course import BASE_VARIANT
from coursectl.model.lock import CondaLock, CondaPackage, CondaSolution
from coursectl.model.platform import Platform

VERSION = "1"
SIZES = "coursectl.sizes"
"""Key in ``custom_metadata``: JSON text, ``{"linux-64/name-version-build.conda": bytes}``."""
SPEC = "coursectl.spec"
"""Key in ``custom_metadata``: the digest of what was asked (`model.digest.spec_digest`)."""
_INSTALLED_BY_DEFAULT = frozenset({"main", "dev"})  # what `conda-lock install` takes without --extras


def platform_key(platform: Platform, variant: str) -> str:
    """Under which platform of the file a solution is stored.

    >>> platform_key(Platform.LINUX_64, "cpu"), platform_key(Platform.LINUX_64, "cuda")
    ('linux-64', 'linux-64-cuda')
    """
    return str(platform) if variant == BASE_VARIANT else f"{platform}-{variant}"


def split_platform_key(key: str) -> tuple[Platform, str] | None:
    """Platform and variant of a key; ``None`` for a platform that no course can be frozen for.

    >>> split_platform_key("linux-64-cuda")
    (<Platform.LINUX_64: 'linux-64'>, 'cuda')
    >>> split_platform_key("linux-ppc64le")
    """
    for platform in Platform:
        if key == platform:
            return platform, BASE_VARIANT
        if key.startswith(f"{platform}-"):
            return platform, key[len(platform) + 1 :]
    return None


def read_conda_lock(path: Path, *, mirrors: Mapping[str, tuple[str, ...]] | None = None) -> CondaLock:
    """The lock at `path`, read and found safe (`validate.refuse_unsafe`).

    Raises:
        LockError: there is no such file, or it is damaged or unsafe.
    """
    lock = parse(read_bytes(path), str(path))
    validate.refuse_unsafe(lock, str(path), mirrors=mirrors)
    return lock


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        LockError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise LockError(f"cannot read {path}", cause=exc.strerror) from exc


def parse(data: bytes, where: str) -> CondaLock:
    """The lock in `data`, unchecked but for its form.

    Packages of categories that ``conda-lock install`` leaves out by default and of platforms that coursectl
    does not know are skipped; an entry repeated for a second category counts once.

    Raises:
        LockError: it is not a conda-lock file of version 1; the message names the entry.
    """
    document = plain_yaml.read(data, where)
    if not isinstance(document, dict) or "package" not in document or "metadata" not in document:
        raise LockError(
            f"{where} is not a conda-lock file",
            cause="it has no `package:` and `metadata:` at its top level",
        )
    if document.get("version") != VERSION:
        raise LockError(
            f"{where} has version {document.get('version')} of conda-lock's format, not {VERSION}",
            hints=(Hint(text="if a newer coursectl wrote it:", command="pip install -U coursectl"),),
        )
    metadata = _map(document["metadata"], where, "metadata")
    custom = _map(metadata.get("custom_metadata") or {}, where, "metadata.custom_metadata")
    sizes = _sizes(custom, where)
    solutions: dict[str, dict[tuple[str, str], CondaPackage]] = {
        str(key): {} for key in _list(metadata.get("platforms"), where, "metadata.platforms")
    }
    extra: list[tuple[str, CondaPackage]] = []
    for number, entry in enumerate(_list(document["package"], where, "package"), 1):
        if not isinstance(entry, dict):
            _broken(where, f"package {number}", "it is not a map")
        if entry.get("category", "main") not in _INSTALLED_BY_DEFAULT:
            continue
        package = _package(entry, number, where, sizes)
        key = str(entry["platform"])
        if key not in solutions:
            _broken(where, f"package {package.name}", f"platform {key} is not in metadata.platforms")
        first = solutions[key].setdefault((package.manager, package.name), package)
        if first is not package and first != package:
            extra.append((key, package))  # validate names it
    return CondaLock(
        channels=_channels(metadata, where),
        solutions=_solutions(solutions, extra),
        sources=tuple(str(s) for s in _list(metadata.get("sources") or [], where, "metadata.sources")),
        content_hash={
            k: str(v) for k, v in _map(metadata.get("content_hash") or {}, where, "content_hash").items()
        },
        spec_digest=_text(custom.get(SPEC), where, "metadata.custom_metadata"),
    )


def _solutions(
    found: dict[str, dict[tuple[str, str], CondaPackage]], extra: list[tuple[str, CondaPackage]]
) -> tuple[CondaSolution, ...]:
    solutions = []
    for key, packages in found.items():
        place = split_platform_key(key)
        if place is None:
            continue
        every = [*packages.values(), *(p for k, p in extra if k == key)]
        every.sort(key=lambda p: (p.manager, p.name))
        solutions.append(CondaSolution(platform=place[0], variant=place[1], packages=tuple(every)))
    return tuple(solutions)


def _package(entry: dict[str, Value], number: int, where: str, sizes: Mapping[str, int]) -> CondaPackage:
    label = f"package {entry.get('name') or number}"
    texts = {}
    for key in ("name", "version", "manager", "platform", "url"):
        value = entry.get(key)
        if not isinstance(value, str):
            _broken(where, label, f"it has no {key}")
        texts[key] = value
    hashes = _map(entry.get("hash") or {}, where, f"{label}: hash")
    depends = _map(entry.get("dependencies") or {}, where, f"{label}: dependencies")
    conda = texts["manager"] == "conda"
    if not conda and texts["manager"] != "pip":
        _broken(where, label, f"its manager {texts['manager']!r} is neither conda nor pip")
    base, _, file = texts["url"].rpartition("/")
    subdir = base.rpartition("/")[2] if conda else ""
    build = _build(file) if conda else None
    return CondaPackage(
        name=texts["name"],
        version=texts["version"],
        build=build,
        manager=texts["manager"],
        url=texts["url"],
        sha256=_text(hashes.get("sha256"), where, label),
        md5=_text(hashes.get("md5"), where, label),
        size=sizes.get(f"{subdir}/{file}") if conda else sizes.get(file),
        subdir=subdir,
        depends=tuple(f"{name} {spec}" if spec else name for name, spec in depends.items()),
    )


def _build(file: str) -> str | None:
    # version 1 has no field for it; the file name is name-version-build, and only names have further dashes
    for end in validate.ARCHIVES:
        if file.endswith(end):
            parts = file[: -len(end)].rsplit("-", 2)
            return parts[2] if len(parts) == 3 else None
    return None


def _sizes(custom: dict[str, Value], where: str) -> dict[str, int]:
    text = custom.get(SIZES)
    if text is None:
        return {}
    try:
        sizes = json.loads(str(text))
        return {str(k): int(v) for k, v in sizes.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise LockError(f"{where}: custom_metadata {SIZES} is damaged", cause=str(exc)) from exc


def _channels(metadata: dict[str, Value], where: str) -> tuple[str, ...]:
    found = []
    for channel in _list(metadata.get("channels") or [], where, "metadata.channels"):
        url = channel.get("url") if isinstance(channel, dict) else channel
        if not isinstance(url, str):
            _broken(where, "metadata.channels", "a channel has no url")
        found.append(url)
    return tuple(found)


def _map(value: Value, where: str, what: str) -> dict[str, Value]:
    if not isinstance(value, dict):
        _broken(where, what, "it is not a map")
    return value


def _list(value: Value, where: str, what: str) -> list[Value]:
    if not isinstance(value, list):
        _broken(where, what, "it is not a list")
    return value


def _text(value: Value, where: str, label: str) -> str | None:
    if value is not None and not isinstance(value, str):
        _broken(where, label, "it holds a map or list where text belongs")
    return value


def _broken(where: str, what: str, why: str) -> NoReturn:
    raise LockError(f"{where} is damaged: {what}", cause=why, code="lock-damaged")
