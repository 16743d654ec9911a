"""A hashed requirements file to a virtual environment in a staging folder, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from coursectl import activation, files
from coursectl.engines import pypi_lock, uv_program, uv_python, uv_records, uv_wheels
from coursectl.engines.base import InstallRequest
from coursectl.engines.uv_errors import Doing
from coursectl.engines.uv_sync import PackageLines, growth, heal
from coursectl.errors import CourseError, DiskSpaceError, Hint, InstallError, LockError
from coursectl.model.installed import MARKER, PrefixRecord, Problem, ProblemKind, Verification
from coursectl.model.platform import Platform
from coursectl.model.progress import Progress

LOCK = "coursectl-lock.txt"
"""The copy of the lock in a prefix: what `verify` knows the packages from."""

# Packages have paths of up to some 190 characters. Windows stops at 260, macOS at 1024, Linux at 4096.
_LONGEST = 110 if sys.platform == "win32" else 800


def refuse_long(prefix: Path) -> None:
    """Stop before anything is fetched where the files of packages would have names that are too long.

    Raises:
        InstallError: the prefix is too long for this system.
    """
    if len(str(prefix)) > _LONGEST:
        raise InstallError(
            f"the path of the environment is too long: {len(str(prefix))} characters, {_LONGEST} at most",
            cause=str(prefix),
            hints=(Hint(text="set COURSECTL_HOME to a shorter folder"),),
            code="path-too-long",
        )


def build(request: InstallRequest, staging: Path, progress: Progress) -> PrefixRecord:
    """Install `request` into `staging` and verify every file; the marker is written last.

    A package whose files differ from its RECORD came damaged out of uv's cache (uv looks only at the hash
    that it noted when it fetched the wheel): it is thrown out of the cache and fetched again, once.

    Raises:
        InstallError: it cannot be installed, or is damaged after it was fetched again.
        NetworkError: packages are missing and cannot be reached.
        DiskSpaceError: the disk is full.
    """
    failed = f"{request.record.environment} cannot be installed"
    _install(request, staging, progress)
    problems = _faults(request, staging, progress)
    if problems:
        damaged = sorted({p.package for p in problems})
        progress.say(f"the download cache is damaged ({', '.join(damaged)}): fetching again")
        heal(damaged, request.network, failed=failed)
        files.remove_tree(staging)
        _install(request, staging, progress)
        problems = _faults(request, staging, progress)
    if problems:
        first = problems[0]
        raise InstallError(
            failed,
            cause=f"{len(problems)} files are not as their packages say: {first.path} of {first.package} ...",
            hints=(Hint(text="start with an empty cache:", command="coursectl cache clean"),),
            code="damaged",
        )
    record = request.record
    if record.installed_bytes is None:
        record = replace(record, installed_bytes=files.tree_bytes(staging))
    files.write_atomic(staging / MARKER, json.dumps(asdict(record), indent=1, sort_keys=True) + "\n")
    return record


def _lock(request: InstallRequest) -> tuple[str, str]:
    """The lock's text and its Python."""
    lock = request.requirements
    if lock is None:
        raise LockError(f"{request.record.environment} has no lockfile to install from")
    try:
        text = lock.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise LockError(f"{lock.name} cannot be read", cause=str(exc)) from exc
    python = request.python or pypi_lock.python_of(text)
    if python is None:
        raise LockError(f"{lock.name} does not say for which Python it is")
    return text, python


def _install(request: InstallRequest, staging: Path, progress: Progress) -> None:
    doing = Doing(failed=f"{request.record.environment} cannot be installed")
    network = request.network
    text, python = _lock(request)
    pins = _pins(text, request.requirements, Platform(request.record.platform), python)
    try:
        with uv_program.workplace() as folder:
            interpreter = uv_python.find(python, network, progress, folder)
            prompt = request.record.environment
            venv: list[str | Path] = [
                "venv",
                "--relocatable",
                "--no-project",
                "--prompt",
                prompt,
                "--python",
                interpreter,
            ]
            uv_program.run([*venv, staging], network=network, doing=doing, folder=folder)
            files.write_atomic(staging / LOCK, text)
            sync = ["pip", "sync", "--require-hashes", "--allow-empty-requirements", "--python"]
            with (
                growth(network.cache / "uv", request.record.installed_bytes, progress),
                progress.task("fetching packages", total=len(pins), unit="packages") as task,
            ):
                uv_program.run(
                    [*sync, activation.python_of(staging), staging / LOCK],
                    network=network,
                    doing=doing,
                    folder=folder,
                    timeout=uv_program.LONG,
                    leash=True,
                    on_line=PackageLines(task, len(pins)),
                )
    except DiskSpaceError as exc:
        raise files.fuller(exc, staging.parent, network.cache) from exc  # uv unpacks into the cache


def _pins(text: str, lock: Path | None, platform: Platform, python: str) -> dict[str, str]:
    """Names and versions that a lock installs on `platform`."""
    pins = pypi_lock.parse(text, lock.name if lock else LOCK)
    return {p.name: p.version for p in pins if uv_wheels.applies(p.marker, platform, python)}


def _faults(request: InstallRequest, staging: Path, progress: Progress) -> tuple[Problem, ...]:
    """Damaged files of a fresh installation.

    Raises:
        InstallError: a package is not there at all.
    """
    wrong = _package_problems(staging, Platform(request.record.platform))
    if wrong:
        raise InstallError(
            f"{request.record.environment} cannot be installed",
            cause="uv did not install what the lock says: "
            + ", ".join(f"{p.package} {p.kind}" for p in wrong),
        )
    with progress.task("checking files", unit="files") as task:
        return uv_records.check(staging, tick=task.advance).problems


def _distributions(prefix: Path) -> tuple[uv_records.Distribution, ...]:
    site = uv_records.site_packages(prefix)
    return uv_records.distributions(site) if site else ()


def verify(prefix: Path) -> Verification:
    """Compare every file of `prefix` with RECORD, and its packages with the lock's; changes nothing.

    Raises:
        LockError: there is no environment at `prefix`.
    """
    try:
        record = json.loads((prefix / MARKER).read_bytes())
        platform = Platform(record["platform"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise LockError(
            f"there is no environment at {prefix}",
            cause=f"{MARKER} is missing or cannot be read",
            hints=(Hint(text="install it:", command="coursectl up"),),
        ) from exc
    checked = uv_records.check(prefix)
    problems = [*checked.problems, *_interpreter_problems(prefix), *_package_problems(prefix, platform)]
    return Verification(
        prefix=str(prefix),
        packages=checked.packages,
        files=checked.files,
        problems=tuple(sorted(problems, key=lambda p: (p.package, p.path))),
    )


def _interpreter_problems(prefix: Path) -> list[Problem]:
    """The venv's own: its interpreter may be a link to a Python that was removed since."""
    wanted = (activation.python_of(prefix), prefix / "pyvenv.cfg")
    return [
        Problem(kind=ProblemKind.MISSING, path=path.relative_to(prefix).as_posix(), package="python")
        for path in wanted
        if not path.exists()
    ]


def _package_problems(prefix: Path, platform: Platform) -> list[Problem]:
    try:
        text = (prefix / LOCK).read_text(encoding="utf-8")
    except OSError:
        return [Problem(kind=ProblemKind.MISSING, path=LOCK, package="coursectl")]
    python = _python_version(prefix) or pypi_lock.python_of(text) or "3.11"
    pins = _pins(text, None, platform, python)
    installed = {d.name: d for d in _distributions(prefix)}
    missing = [
        Problem(kind=ProblemKind.NOT_INSTALLED, path="", package=name)
        for name, version in pins.items()
        if name not in installed or not _same(installed[name].version, version)
    ]
    more = [
        Problem(
            kind=ProblemKind.NOT_LOCKED,
            path=d.folder.relative_to(prefix).as_posix(),
            package=f"{d.name} {d.version}",
        )
        for d in installed.values()
        if d.name not in pins
    ]
    return missing + more


def _same(installed: str, locked: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return "://" in locked or Version(installed.replace("_", "+")) == Version(locked)
    except InvalidVersion:
        return installed == locked


def _python_version(prefix: Path) -> str | None:
    """The full version of the venv's Python, from its ``pyvenv.cfg``."""
    with suppress(OSError):
        for line in (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in {"version_info", "version"}:
                return ".".join(value.strip().split(".")[:3])
    return None


def swap(staging: Path, prefix: Path, aside: Path) -> None:
    """Put `staging` in the place of `prefix`; what stood there comes back if that fails.

    Raises:
        CourseError: the system refuses; the old environment stands.
    """
    try:
        moved = os.path.lexists(prefix)
        if moved:
            _refuse_strange(prefix)
            files.replace(prefix, aside)
        try:
            files.replace(staging, prefix)
        except OSError:
            if moved:
                files.replace(aside, prefix)
            raise
    except OSError as exc:
        raise InstallError(
            f"{prefix} cannot be replaced",
            cause=str(exc),
            hints=(Hint(text="stop what runs in it:", command="coursectl down"),),
        ) from exc
    shutil.rmtree(aside, ignore_errors=True)  # a file in use stays for the next run to collect


def _refuse_strange(prefix: Path) -> None:
    """Leave alone what is no environment: a person's own folder of that name would be deleted.

    Raises:
        InstallError: there is something in `prefix`, and it is not ours.
    """
    inside = {p.name for p in prefix.iterdir()} if prefix.is_dir() else {"a file"}
    if inside and not inside & {MARKER, LOCK, "pyvenv.cfg"}:
        raise InstallError(
            f"cannot install into {prefix}",
            cause="there is something in it that is not an environment of coursectl",
            hints=("move it away, or set COURSECTL_HOME to another folder",),
        )


def recover(staging: Path, prefix: Path, aside: Path) -> None:
    """Clear away what a run that was killed left behind. Call it under the prefix's lock.

    Raises:
        CourseError: a leftover cannot be deleted.
    """
    if aside.exists() and not os.path.lexists(prefix):
        files.replace(aside, prefix)  # it died between the two renames
    for leftover in (staging, aside):
        with suppress(FileNotFoundError):
            files.remove_tree(leftover)


def recorded(prefix: Path) -> PrefixRecord | None:
    """What the marker of `prefix` says, ``None`` where no marker can be read."""
    from coursectl.model.course import EngineKind

    try:
        content = json.loads((prefix / MARKER).read_bytes())
        return PrefixRecord(**{**content, "engine": EngineKind(content["engine"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(prefix: Path) -> None:
    """Remove what `build` left in a staging folder that is not wanted.

    Raises:
        CourseError: a file is in use or protected.
    """
    with suppress(CourseError):
        files.remove_tree(prefix)
