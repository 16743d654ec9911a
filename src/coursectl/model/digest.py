"""Digests of what was asked and of what was built.

Each is the SHA-256 of an explicit canonical JSON document with its own version number, never of a dump of a
class: renaming a field of ours changes no digest. Raise the version only when a meaning changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date

from coursectl.model.course import EngineKind, Environment
from coursectl.model.lock import CondaPackage, PypiPin
from coursectl.model.platform import Platform

SPEC_VERSION = 1
BUILD_VERSION = 1


def spec_digest(environment: Environment, *, sources: Mapping[str, bytes], as_of: date | None) -> str:
    """What was asked of an environment: equal digests need no new solve.

    Args:
        environment: as course.yaml has it, with its channels, platforms and variants.
        sources: the spec file and every file that it includes, by path relative to the course. Line ends
            count as ``\\n``, since git changes them on Windows.
        as_of: the day up to which packages count.

    Returns:
        64 hexadecimal digits.
    """
    return _digest(
        {
            "document": "coursectl/spec",
            "version": SPEC_VERSION,
            "engine": str(environment.engine),
            "sources": [[p, _text_digest(data)] for p, data in sorted(sources.items())],
            "channels": list(environment.channels),
            "platforms": sorted(str(p) for p in environment.platforms),
            "variants": [
                {
                    "name": variant.name,
                    "platforms": sorted(str(p) for p in variant.platforms),
                    "virtual_packages": sorted(
                        [v.name, v.version, v.build] for v in variant.virtual_packages
                    ),
                    "specs": sorted(variant.specs),
                }
                for variant in sorted(environment.variants, key=lambda v: v.name)
            ],
            "python": environment.python,
            "as_of": as_of.isoformat() if as_of is not None else None,
        }
    )


def conda_build_digest(platform: Platform, packages: Iterable[CondaPackage]) -> str:
    """What a conda prefix contains: equal digests install equal prefixes, whatever channel serves them.

    >>> conda_build_digest(Platform.LINUX_64, ())[:12]
    '4316e814396f'
    """
    return _digest(
        {
            "document": "coursectl/build",
            "version": BUILD_VERSION,
            "engine": str(EngineKind.CONDA),
            "platform": str(platform),
            "packages": sorted(
                [p.manager, p.name, p.version, p.build or "", p.sha256 or f"md5:{p.md5}"] for p in packages
            ),
        }
    )


def pypi_build_digest(platform: Platform, python: str, pins: Iterable[PypiPin]) -> str:
    """What a virtual environment contains: `python` is its minor version.

    >>> pypi_build_digest(Platform.LINUX_64, "3.11", ()) == pypi_build_digest(Platform.WIN_64, "3.11", ())
    False
    """
    return _digest(
        {
            "document": "coursectl/build",
            "version": BUILD_VERSION,
            "engine": str(EngineKind.PYPI),
            "platform": str(platform),
            "python": python,
            "pins": sorted(
                [p.name, sorted(p.extras), p.version, p.marker or "", sorted(p.hashes)] for p in pins
            ),
        }
    )


def bytes_digest(data: bytes) -> str:
    """SHA-256 of a lockfile's bytes, in hexadecimal.

    >>> bytes_digest(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def _text_digest(data: bytes) -> str:
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def _digest(document: Mapping[str, object]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
