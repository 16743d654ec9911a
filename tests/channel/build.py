"""The big real conda channel: this interpreter and real PyPI wheels as real ``.conda`` packages.

By hand, from ``tests/``::

    python -m channel.build OUT                  # build into OUT (wheels are kept in the cache)
    python -m channel.build                      # build into the cache if needed, print where it is
    python -m channel.server "$(python -m channel.build)" --port 8000

What is in it: `REQUIREMENTS` and all they need (about 135 packages), as of `AS_OF`, for five platforms. On
this machine's platform every package works; on the others the wheels are real and ``python`` is a stub,
enough to solve and to know sizes. Beside them: ``matplotlib-base`` and its alias ``matplotlib``;
``jupyterhub-singleuser`` (brings jupyterhub and jupyterlab); ``ffmpeg`` (the real program); and ``pytorch``,
a stub of a few bytes with a ``cpu`` build everywhere and a ``cuda126`` build that needs ``__cuda >=12.6``.

Kept between runs in ``COURSECTL_TEST_CACHE``, else in ``coursectl-tests`` of the user's cache folder, under a
key of all that decides the content; a lock lets parallel test workers build once. The first build fetches
about 0.7 GB of wheels.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from packaging.utils import canonicalize_name

from channel.archive import File, Package, write_index, write_package
from channel.interpreter import MINOR, STAMP, VERSION, BuildError, UnsupportedHere, here, python_package
from channel.tiny import PLATFORMS
from channel.wheels import Wheel, alias, packages

__all__ = ["REQUIREMENTS", "BuildError", "UnsupportedHere", "build", "cached_channel", "must_be_built"]

AS_OF = "2026-06-01"
"""Wheels are those of that day, so that the channel is the same whenever it is built."""

REQUIREMENTS = (
    "jupyterlab",
    "ipykernel",
    "ipympl",
    "ipywidgets",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "scikit-learn",
    "seaborn",
    "statsmodels",
    "h5py",
    "astropy",
    "xarray",
    "sympy",
    "networkx",
    "jupyterhub",
    "imageio-ffmpeg",
    "pip",
    "setuptools",
    "wheel",
)

_UV_PLATFORMS = {
    "linux-64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "osx-64": "x86_64-apple-darwin",
    "osx-arm64": "aarch64-apple-darwin",
    "win-64": "x86_64-pc-windows-msvc",
}
_PATIENCE = 900.0  # seconds for one download step
_UNUSED_AFTER = 3 * 24 * 3600.0  # seconds


def _pip_tags(platform: str) -> list[str]:
    if platform.startswith("linux"):
        machine = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}[platform]
        return [*(f"manylinux_2_{n}_{machine}" for n in range(28, 4, -1)), f"manylinux2014_{machine}"]
    return {"osx-64": ["macosx_14_0_x86_64"], "osx-arm64": ["macosx_14_0_arm64"], "win-64": ["win_amd64"]}[
        platform
    ]


def _call(argv: list[str | Path], environment: Mapping[str, str], stdin: str = "") -> str:
    done = subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        env=dict(environment),
        check=False,
        timeout=_PATIENCE,
    )
    if done.returncode != 0:
        raise BuildError(f"{Path(argv[0]).name} {argv[1]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _pins(platform: str, environment: Mapping[str, str]) -> list[str]:
    import uv

    argv: list[str | Path] = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    argv += ["--only-binary", ":all:", "--python-version", MINOR, "--exclude-newer", AS_OF]
    argv += ["--python-platform", _UV_PLATFORMS[platform], "-"]
    return _call(argv, environment, "\n".join(REQUIREMENTS)).split()


def _pip() -> list[str | Path]:
    """pip itself: uv has no command to download wheels, and an environment made by uv has no pip."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    import uv

    tool: list[str | Path] = [uv.find_uv_bin(), "tool", "run", "--python", sys.executable, "pip"]
    return tool


def fetch(platform: str, store: Path, environment: Mapping[str, str]) -> dict[str, Wheel]:
    """The wheels of `platform` by name, downloaded into `store` where they are not there yet.

    Raises:
        BuildError: the index cannot be reached, or a package has no wheel for the platform.
    """
    shared, own = store / "any", store / platform
    for folder in (shared, own):
        folder.mkdir(parents=True, exist_ok=True)
    pinned: dict[str, str] = {}
    for line in _pins(platform, environment):
        name, _, version = line.partition("==")
        pinned[canonicalize_name(name)] = version

    def present() -> dict[str, Wheel]:
        wheels = (Wheel(path) for folder in (shared, own) for path in sorted(folder.glob("*.whl")))
        return {w.name: w for w in wheels if pinned.get(w.name) == w.version}

    have = present()
    missing = [f"{name}=={version}" for name, version in pinned.items() if name not in have]
    if missing:
        argv = [*_pip(), "download", "--quiet", "--no-deps"]
        argv += ["--only-binary", ":all:", "--dest", own, "--python-version", MINOR, "--implementation", "cp"]
        argv += [f"--abi={abi}" for abi in (f"cp{MINOR.replace('.', '')}", "abi3", "none")]
        argv += [f"--platform={tag}" for tag in _pip_tags(platform)]
        _call([*argv, *missing], environment)
        for path in own.glob("*.whl"):
            if Wheel(path).pure:
                path.replace(shared / path.name)
        have = present()
    absent = sorted(set(pinned) - set(have))
    if absent:
        raise BuildError(f"no wheels for {platform}: {', '.join(absent)}")
    return have


def _extras(wheels: Mapping[str, Mapping[str, Wheel]]) -> Iterator[Package]:
    """What the reference course names and PyPI does not have under that name."""
    for platform, named in wheels.items():
        hub = named["jupyterhub"].version
        yield alias("jupyterhub-singleuser", hub, platform, (f"jupyterhub {hub}", "jupyterlab"))
        yield _torch(platform, "cpu_0", 0, ())
    yield _torch("linux-64", "cuda126_0", 200, ("__cuda >=12.6",))


def _torch(platform: str, build: str, build_number: int, depends: tuple[str, ...]) -> Package:
    site = "Lib/site-packages" if platform == "win-64" else f"lib/python{MINOR}/site-packages"
    text = f'"""A stub for tests of variants."""\n\n__version__ = "2.9.0"\nbuild = "{build}"\n'
    return Package(
        name="pytorch",
        version="2.9.0",
        build=build,
        build_number=build_number,
        depends=(*depends, "numpy", f"python {MINOR}.*"),
        subdir=platform,
        files={f"{site}/torch/__init__.py": File(data=text.encode())},
        timestamp=STAMP,
    )


def build(out: Path, store: Path, environment: Mapping[str, str] | None = None) -> int:
    """Build the channel into `out` with wheels kept in `store`; returns the number of packages.

    Raises:
        BuildError: see its text.
        UnsupportedHere: not on this kind of machine.
    """
    used = os.environ if environment is None else environment
    native = here()
    first = {native: fetch(native, store, used)}  # it fills the shared folder, the others need less
    others = [p for p in PLATFORMS if p != native]
    with ThreadPoolExecutor(len(others)) as pool:
        fetched = pool.map(lambda platform: fetch(platform, store, used), others)
        wheels = first | dict(zip(others, fetched, strict=True))
    everything = chain((python_package(p) for p in PLATFORMS), _extras(wheels), packages(wheels))
    records = [write_package(out, package) for package in everything]
    write_index(out, records)
    return len(records)


def _cache(environment: Mapping[str, str]) -> Path:
    chosen = environment.get("COURSECTL_TEST_CACHE")
    if chosen:
        return Path(chosen).absolute()
    user = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".cache"
    return Path(user) / "coursectl-tests"


def _key() -> str:
    """Of all that decides the channel's content."""
    digest = hashlib.sha256(
        repr((REQUIREMENTS, AS_OF, VERSION, sys.base_prefix, sys.version, here())).encode()
    )
    for module in ("archive", "compiled", "interpreter", "wheels", "build"):
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    return digest.hexdigest()[:16]


def must_be_built(environment: Mapping[str, str]) -> bool:
    """Whether `cached_channel` would take minutes: it can be built here and is not in the cache."""
    try:
        return not (_cache(environment) / f"channel-{_key()}").is_dir()
    except UnsupportedHere:
        return False


def cached_channel(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of the channel, built now if it is not in the cache; nobody may write into it.

    Raises:
        BuildError: see `build`.
    """
    import filelock

    used = os.environ if environment is None else environment
    cache = _cache(used)
    ready = cache / f"channel-{_key()}"
    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache / "build.lock"):
        if not ready.is_dir():
            _forget_unused(cache)
            part = cache / f"{ready.name}.part"
            shutil.rmtree(part, ignore_errors=True)
            build(part, cache / "wheels", used)
            part.replace(ready)
        os.utime(ready)
    return ready


def _forget_unused(cache: Path) -> None:
    for old in cache.glob("channel-*"):
        if time.time() - old.stat().st_mtime > _UNUSED_AFTER:
            shutil.rmtree(old, ignore_errors=True)


def main(arguments: list[str] | None = None) -> None:
    """Build by hand."""
    parser = argparse.ArgumentParser(
        description="Build a real conda channel from this python and PyPI wheels."
    )
    parser.add_argument("out", type=Path, nargs="?", help="folder to build into; default: the cache")
    out = parser.parse_args(arguments).out
    if out is None:
        print(cached_channel())
        return
    start = time.monotonic()
    number = build(out, _cache(os.environ) / "wheels")
    size = sum(path.stat().st_size for path in out.rglob("*.conda"))
    print(f"{number} packages, {size / 1e6:.0f} MB, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
