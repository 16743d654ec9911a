"""conda-lock's unified format, version 1: write, through conda-lock's own models (extra ``staff``).

The bytes depend on the lock alone: no time, no user, no path of a machine; entries in conda-lock's order.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coursectl.errors import Hint, LockError, MissingExtraError
from coursectl.lockfiles.conda_lock import SIZES, SPEC, platform_key
from coursectl.model.course import BASE_VARIANT
from coursectl.model.lock import CondaLock, CondaPackage
from coursectl.model.platform import Platform

_HEAD = """\
# Locked by coursectl in conda-lock's unified format (version 1). Do not edit: change course.yaml or the
# environment file and freeze the semester again. Platforms named <platform>-<variant> are variants.
#     coursectl up                                        install and start it
#     conda-lock install -n NAME {name}    without coursectl
"""
_SPEC = re.compile(r"([^\s=<>!~\[;]+)\s*(.*)", re.DOTALL)


def require() -> None:
    """Find out early that conda-lock is there.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the conda inside it announces its own deprecations
            import conda_lock  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError(
            "freezing a conda environment needs conda-lock",
            cause="this coursectl was installed without the extra `staff`",
            hints=(Hint(text="install it:", command='pip install "coursectl[staff]"'),),
        ) from exc


def render(lock: CondaLock, *, file_name: str) -> bytes:
    """The file's bytes for `lock`; `file_name` is named in the comment on top.

    Raises:
        MissingExtraError: conda-lock is not installed.
        LockError: conda-lock's models refuse an entry (a channel that states no md5).
    """
    require()
    import yaml
    from pydantic import ValidationError

    try:
        content = _content(lock)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise LockError(
            "conda-lock's format cannot hold this lock",
            cause=f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}",
        ) from exc
    # libyaml's dumper writes the same YAML as conda-lock's, ten times faster
    body = yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=False)
    return (_HEAD.format(name=file_name) + body).encode()


def _content(lock: CondaLock) -> dict[str, Any]:
    from conda_lock.lockfile.v2prelim.models import LockedDependency, Lockfile, LockMeta

    packages: list[Any] = []
    sizes: dict[str, int] = {}
    for solution in lock.solutions:
        key = platform_key(solution.platform, solution.variant)
        for package in solution.packages:
            try:
                packages.append(_entry(LockedDependency, package, key))
            except ValueError as exc:
                raise LockError(
                    f"{package.name} {package.version} ({key}) cannot be written in conda-lock's format",
                    cause="the channel states no md5, which that format requires"
                    if package.md5 is None
                    else str(exc),
                ) from exc
            if package.size is not None:
                file = package.url.rpartition("/")[2]
                sizes[f"{package.subdir}/{file}" if package.subdir else file] = package.size
    metadata = LockMeta(
        content_hash=dict(sorted(lock.content_hash.items())),
        channels=list(lock.channels),
        platforms=sorted(platform_key(s.platform, s.variant) for s in lock.solutions),
        sources=list(lock.sources),
        custom_metadata=_custom(lock.spec_digest, sizes),
    )
    lockfile = Lockfile(package=packages, metadata=metadata)
    lockfile.alphasort_inplace()
    lockfile.filter_virtual_packages_inplace()
    content: dict[str, Any] = lockfile.to_v1().dict_for_output()
    return content


def _custom(spec_digest: str | None, sizes: Mapping[str, int]) -> dict[str, str] | None:
    custom = {}
    if spec_digest is not None:
        custom[SPEC] = spec_digest
    if sizes:  # json's separators have a space, where YAML folds the text into lines
        custom[SIZES] = json.dumps(sizes, sort_keys=True)
    return custom or None


def _entry(model: Any, package: CondaPackage, key: str) -> Any:
    return model(
        name=package.name,
        version=package.version,
        manager=package.manager,
        platform=key,
        dependencies=dependencies(package.depends),
        url=package.url,
        hash={k: v for k, v in (("md5", package.md5), ("sha256", package.sha256)) if v is not None},
        categories={"main"},
    )


def dependencies(depends: Sequence[str]) -> dict[str, str]:
    """Match specs as conda-lock's map of names to the rest; what is said twice of a name is joined.

    >>> dependencies(["python >=3.11", "numpy", "python <4"])
    {'python': '>=3.11,<4', 'numpy': ''}
    """
    found: dict[str, str] = {}
    for spec in depends:
        match = _SPEC.fullmatch(spec.strip())
        if match is None:
            continue
        name, rest = match[1], match[2].strip()
        before = found.get(name)
        if before and rest and rest not in before.split(","):
            # a version with a build cannot be joined; the first, as strict, stands
            rest = f"{before},{rest}" if " " not in before + rest else before
        found[name] = rest or before or ""
    return found


def content_hashes(
    source: Path,
    *,
    channels: Sequence[str],
    builds: Mapping[tuple[Platform, str], Sequence[str]],
) -> dict[str, str]:
    """conda-lock's own hash of what was asked, per platform key of the file.

    With it ``conda-lock lock --check-input-hash -f SOURCE -p PLATFORM --lockfile FILE`` finds nothing to do.
    conda-lock reads the base variant's hash only; a variant's is computed alike over the added specs.

    Args:
        source: the environment.yml.
        channels: in order of priority.
        builds: the specs that a variant adds, by (platform, variant); empty for the base variant.

    Returns:
        The hashes; empty where conda-lock cannot read `source` (its dialect is narrower than ours), so that
        no hash applies.

    Raises:
        MissingExtraError: conda-lock is not installed.
    """
    require()
    from conda_lock.content_hash import compute_content_hashes
    from conda_lock.src_parser import make_lock_spec
    from conda_lock.src_parser.conda_common import conda_spec_to_versioned_dep
    from conda_lock.virtual_package import default_virtual_package_repodata

    hashes: dict[str, str] = {}
    with _quiet(), _no_mapping() as mapping:
        try:
            repodata = default_virtual_package_repodata()
            for (platform, variant), specs in builds.items():
                spec = make_lock_spec(
                    src_files=[source],
                    channel_overrides=list(channels),
                    platform_overrides=[str(platform)],
                    mapping_url=mapping,
                )
                added = [conda_spec_to_versioned_dep(s, "main") for s in specs]
                if variant != BASE_VARIANT:
                    spec.dependencies[str(platform)].extend(added)
                key = platform_key(platform, variant)
                hashes[key] = compute_content_hashes(spec, repodata)[str(platform)]
        except Exception:  # its parser raises whatever comes: then no content hash applies
            return {}
    return hashes


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("conda_lock")
    before = logger.disabled
    logger.disabled = True
    try:
        with contextlib.redirect_stderr(None):
            yield
    finally:
        logger.disabled = before


@contextlib.contextmanager
def _no_mapping() -> Iterator[str]:
    """An empty table of PyPI to conda names: conda-lock would fetch one from the network."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="coursectl-") as folder:
        path = Path(folder, "mapping.json")
        path.write_text("{}")
        yield str(path)
