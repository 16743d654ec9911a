"""The pip packages inside a conda prefix: judged by their RECORD files. Reads only.

Source of the format: PyPA's "Recording installed projects" (PEP 376, 627): a CSV of path, ``sha256=`` with
URL-safe base64 without padding, size; paths are relative to the folder that holds the ``.dist-info``.
"""

from __future__ import annotations

import base64
import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from coursectl.engines.conda_verify import Meta, file_hash
from coursectl.model.installed import Problem, ProblemKind


def pip_problems(
    prefix: Path, metas: Sequence[Meta], locked: Sequence[tuple[str, str]] | None
) -> tuple[tuple[Problem, ...], int, int]:
    """Problems, packages and files of what pip or uv installed; `locked` (name, version) where known.

    What conda packages brought themselves is theirs: `metas` says which.
    """
    from packaging.utils import canonicalize_name

    records = list(_records(prefix, metas))
    problems: list[Problem] = []
    files = 0
    there: set[tuple[str, str]] = set()
    for record in records:
        name, _, version = record.parent.name.removesuffix(".dist-info").rpartition("-")
        there.add((canonicalize_name(name), version))
        found, count = _check_record(prefix, record, canonicalize_name(name))
        problems += found
        files += count
    if locked is not None:
        wanted = {(str(canonicalize_name(name)), version) for name, version in locked}
        problems += [
            Problem(kind=ProblemKind.NOT_INSTALLED, path=f"{name}-{version}", package=name)
            for name, version in sorted(wanted - there)
        ]
        problems += [
            Problem(kind=ProblemKind.NOT_LOCKED, path=f"{name}-{version}.dist-info", package=name)
            for name, version in sorted(there - wanted)
        ]
    return tuple(problems), len(records), files


def _records(prefix: Path, metas: Sequence[Meta]) -> Iterator[Path]:
    sites = [*prefix.glob("lib/python3*/site-packages"), *prefix.glob("Lib/site-packages")]
    found = [record for site in dict.fromkeys(sites) for record in sorted(site.glob("*.dist-info/RECORD"))]
    if not found:
        return
    owned = {e.path for m in metas for e in m.paths_data.paths if e.path.endswith(".dist-info/RECORD")}
    for record in found:
        if record.relative_to(prefix).as_posix() not in owned:
            yield record


def _check_record(prefix: Path, record: Path, package: str) -> tuple[list[Problem], int]:
    site = record.parent.parent
    problems: list[Problem] = []
    files = 0
    try:
        rows = list(csv.reader(io.StringIO(record.read_text(encoding="utf-8"))))
    except (OSError, ValueError, csv.Error):
        path = record.relative_to(prefix).as_posix()
        return [Problem(kind=ProblemKind.UNREADABLE, path=path, package=package)], 1
    for row in rows:
        if len(row) < 2 or not row[1].startswith("sha256="):
            continue  # RECORD itself, and .pyc files, have no hash
        files += 1
        path = os.path.normpath(site / row[0])
        shown = Path(os.path.relpath(path, prefix)).as_posix()
        try:
            digest = bytes.fromhex(file_hash(path, Path(path).stat().st_size))
        except FileNotFoundError:
            problems.append(Problem(kind=ProblemKind.MISSING, path=shown, package=package))
        except OSError:
            problems.append(Problem(kind=ProblemKind.UNREADABLE, path=shown, package=package))
        else:
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != row[1].removeprefix("sha256="):
                problems.append(Problem(kind=ProblemKind.CHANGED, path=shown, package=package))
    return problems, files
