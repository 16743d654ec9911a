"""What the conda engine needs of uv: lock the ``pip:`` block of an environment.yml, and install it.

The solve must respect what conda has chosen. Constraints are not enough: conda's versions need not be on the
index, and what conda provides must not bring its own dependencies in. So uv is offered *stand-ins*: empty
wheels that carry conda's name and version, marked ``+conda`` (a local version satisfies every requirement
that its public one does, PEP 440), depending on nothing, and the only version allowed. What of the solution
is not a stand-in is what pip has to add.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from coursectl.engines import uv_compile, uv_program, uv_records, uv_scripts, uv_wheels
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import PROVIDED, Doing
from coursectl.engines.uv_sync import PackageLines, heal
from coursectl.engines.uv_wheels import Artifact, Locked
from coursectl.errors import Hint, InstallError, SolveError
from coursectl.model.installed import Problem
from coursectl.model.lock import CondaPackage
from coursectl.model.platform import Platform
from coursectl.model.progress import Progress

_TRIPLE = {
    Platform.LINUX_64: "x86_64-manylinux_2_28",
    Platform.LINUX_AARCH64: "aarch64-manylinux_2_28",
    Platform.OSX_64: "x86_64-apple-darwin",
    Platform.OSX_ARM64: "aarch64-apple-darwin",
    Platform.WIN_64: "x86_64-pc-windows-msvc",
}


def lock_pip_block(
    *,
    requirements: Sequence[str],
    conda_pins: Mapping[str, str],
    python: str,
    platform: Platform,
    as_of: date | None,
    network: Network,
    progress: Progress,
) -> tuple[CondaPackage, ...]:
    """Solve the ``pip:`` block of a conda environment for one platform.

    Args:
        requirements: lines of a requirements file, options such as ``--find-links`` among them.
        conda_pins: what conda provides: names as the package index has them, and versions. A version that
            Python cannot read (``9e``) is left out: nothing on the index can ask for it.
        python: the version that conda chose, ``3.11`` or ``3.11.4``.
        as_of: solve with files up to the end of that day, UTC.

    Returns:
        What pip has to add to the conda packages, by name, with the file for `platform`; `depends` holds
        requirement names with their versions. A package without a fitting wheel is locked as its source, and
        `progress` is warned.

    Raises:
        SolveError: the block does not fit what conda provides, or a package cannot be locked.
        NetworkError: the index cannot be reached.
    """
    with uv_program.workplace() as folder:
        spec = folder / "requirements.in"
        spec.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        constraints = _stand_ins(folder, conda_pins)
        doing = Doing(failed=f"the pip: block cannot be solved for {platform}", solving=True, source="pip:")
        common: list[str | Path] = [
            *("--python-version", python, "--python-platform", _TRIPLE[platform]),
            *uv_compile.cutoff(as_of),
            *uv_compile.prereleases("\n".join(requirements)),
            *("--find-links", folder, "--constraints", constraints, spec),
        ]
        text = uv_compile.compile_(
            [*common, "--annotation-style", "split"],
            output=folder / "lock.txt",
            network=network,
            doing=doing,
            progress=progress,
        )
        pylock = uv_compile.compile_(
            [*common, "--format", "pylock.toml"], output=folder / "pylock.toml", network=network, doing=doing
        )
    added = [p for p in uv_wheels.read_pylock(pylock) if not p.version.endswith(PROVIDED)]
    return _packages(added, _dependencies(text), platform, python, network, progress)


def _stand_ins(folder: Path, pins: Mapping[str, str]) -> Path:
    from packaging.version import InvalidVersion, Version

    rows = []
    for name, version in sorted(pins.items()):
        try:
            readable = Version(version)
        except InvalidVersion:
            continue
        full = f"{readable.public}{PROVIDED}"
        base = f"{uv_records.normalised(name).replace('-', '_')}-{full}"
        with zipfile.ZipFile(folder / f"{base}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{base}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {full}\n"
            )
            wheel.writestr(
                f"{base}.dist-info/WHEEL",
                "Wheel-Version: 1.0\nGenerator: coursectl\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{base}.dist-info/RECORD", "")
        rows.append(f"{name}=={full}\n")
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(rows), encoding="utf-8")
    return constraints


def _dependencies(text: str) -> dict[str, tuple[str, ...]]:
    """Each package's requirements with their versions, from uv's ``# via`` notes (which say who asks)."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?(?:==([^\s;\\]+)| @ )", line):
            current = f"{pin[1]} =={(pin[2] or '*').removesuffix(PROVIDED)}".replace("==*", "*")
        elif via := re.match(r"\s+#\s+(?:via )?([A-Za-z0-9][A-Za-z0-9._-]*)(?: \(.*\))?$", line):
            found.setdefault(uv_records.normalised(via[1]), []).append(current)
    return {name: tuple(sorted(needs)) for name, needs in found.items()}


def _packages(
    added: Sequence[Locked],
    depends: Mapping[str, tuple[str, ...]],
    platform: Platform,
    python: str,
    network: Network,
    progress: Progress,
) -> tuple[CondaPackage, ...]:
    files = {p.name: uv_compile.chosen(p, platform, python) for p in added}
    sized = uv_compile.with_sizes(added, [f for f in files.values() if f is not None], network)
    made = []
    for package in sorted(sized, key=lambda p: p.name):
        file = uv_compile.chosen(package, platform, python)
        if file is None:
            raise SolveError(
                f"the pip: block cannot be locked for {platform}",
                cause=f"{package.name} {package.version} has neither a wheel for it nor its source",
                hints=(Hint(text=f"pin a version of {package.name} that has a wheel"),),
                code="no-wheel",
            )
        if not file.is_wheel:
            progress.warn(
                f"{package.name} {package.version} has no wheel for {platform}: it is built when installed",
                code="no-wheel",
                hint=f"pin a version of {package.name} that has one",
            )
        made.append(_package(package, file, depends.get(package.name, ())))
    return tuple(made)


def _package(package: Locked, file: Artifact, depends: tuple[str, ...]) -> CondaPackage:
    return CondaPackage(
        name=package.name,
        version=package.version,
        build=None,
        manager="pip",
        url=file.url,
        sha256=file.sha256,
        md5=None,
        size=file.size,
        depends=depends,
    )


def install_hashed(
    *,
    python: Path,
    staging: Path,
    final: Path,
    pins: Sequence[tuple[str, str, str]],
    network: Network,
    progress: Progress,
    urls: Mapping[str, str] | None = None,
) -> None:
    """Install the ``pip:`` packages of a conda environment into its staging folder, verified.

    Scripts start the Python of `staging` when uv has written them; they are rewritten to start that of
    `final`, and RECORD with them. Files that came damaged out of uv's cache are fetched again, once.

    Args:
        python: the interpreter in `staging`.
        staging: the conda prefix as it lies now.
        final: where it will be renamed to.
        pins: name, version and sha256 of each package; they are all that is installed.
        urls: where the lock found the files, by name. Only files from outside a package index are fetched
            there; the rest comes from the index or its mirror.

    Raises:
        InstallError: a hash differs, or a package cannot be installed.
        NetworkError: a package is not cached and the index cannot be reached.
        DiskSpaceError: the disk is full.
    """
    if not pins:
        return
    failed = "the pip: packages cannot be installed"
    names = {uv_records.normalised(name) for name, _, _ in pins}
    _install(python, pins, network, progress, urls or {}, failed)
    problems = _damage(staging, names)
    if problems:
        damaged = sorted({p.package for p in problems})
        progress.say(f"the download cache is damaged ({', '.join(damaged)}): fetching again")
        heal(damaged, network, failed=failed)
        _install(python, pins, network, progress, urls or {}, failed, again=damaged)
        problems = _damage(staging, names)
    if problems:
        raise InstallError(
            failed,
            cause=f"{problems[0].path} of {problems[0].package} is not as its package says",
            hints=(Hint(text="start with an empty cache:", command="coursectl cache clean"),),
            code="damaged",
        )
    uv_scripts.move(staging, final, names)


def _damage(staging: Path, names: set[str]) -> tuple[Problem, ...]:
    return uv_records.check(staging, only=names).problems


def _install(
    python: Path,
    pins: Sequence[tuple[str, str, str]],
    network: Network,
    progress: Progress,
    urls: Mapping[str, str],
    failed: str,
    again: Sequence[str] = (),
) -> None:
    with uv_program.workplace() as folder:
        lines = folder / "requirements.txt"
        lines.write_text("".join(_line(*pin, urls.get(pin[0])) for pin in pins), encoding="utf-8")
        with progress.task("fetching pip packages", total=len(pins), unit="packages") as task:
            uv_program.run(
                ["pip", "install", "--no-deps", "--require-hashes", "--break-system-packages"]
                + [word for name in again for word in ("--reinstall-package", name)]
                + ["--python", str(python), "--requirements", str(lines)],
                network=network,
                doing=Doing(failed=failed),
                folder=folder,
                timeout=uv_program.LONG,
                leash=True,
                on_line=PackageLines(task, len(pins)),
            )


def _line(name: str, version: str, sha256: str, url: str | None) -> str:
    """A pin as a requirement.

    >>> _line("six", "1.17.0", "ab", "https://files.example/packages/b7/ce/" + "0" * 60 + "/six.whl")
    'six==1.17.0 --hash=sha256:ab\\n'
    >>> _line("x", "1", "ab", "https://example.org/x-1-py3-none-any.whl")
    'x @ https://example.org/x-1-py3-none-any.whl --hash=sha256:ab\\n'
    """
    # the layout of every index that runs Warehouse, and of its mirrors: any of them has the same file
    indexed = url is None or re.search(r"/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+$", url)
    what = f"{name}=={version}" if indexed else f"{name} @ {url}"
    return f"{what} --hash=sha256:{sha256}\n"
