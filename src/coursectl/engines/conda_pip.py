"""The pip packages inside a conda prefix, told from those that conda packages brought. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coursectl.engines import uv_records
from coursectl.engines.conda_verify import Meta
from coursectl.model.installed import Problem, ProblemKind


def pip_problems(
    prefix: Path, metas: Sequence[Meta], locked: Sequence[tuple[str, str]] | None
) -> tuple[tuple[Problem, ...], int, int]:
    """Problems, packages and files of what pip or uv installed; `locked` (name, version) where known.

    A package belongs to conda where one of `metas` has its metadata; its files are checked by that.
    """
    site = uv_records.site_packages(prefix)
    suffix = ".dist-info/METADATA"
    owned = {e.path for m in metas for e in m.paths_data.paths if e.path.endswith(suffix)}
    found = uv_records.distributions(site) if site else ()
    ours = [d for d in found if (d.folder / "METADATA").relative_to(prefix).as_posix() not in owned]
    if not ours and not locked:
        return (), 0, 0
    checked = uv_records.check(prefix, only={d.name for d in ours})
    problems = list(checked.problems)
    if locked is not None:
        there = {(d.name, d.version) for d in ours}
        wanted = {(uv_records.normalised(name), version) for name, version in locked}
        problems += [
            Problem(kind=ProblemKind.NOT_INSTALLED, path=f"{name}-{version}", package=name)
            for name, version in sorted(wanted - there)
        ]
        problems += [
            Problem(kind=ProblemKind.NOT_LOCKED, path=f"{name}-{version}.dist-info", package=name)
            for name, version in sorted(there - wanted)
        ]
    return tuple(problems), checked.packages, checked.files
