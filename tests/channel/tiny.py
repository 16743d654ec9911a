"""A hand-made channel for fast tests of engines: no network, well under a second.

::

    from channel.archive import File, Package
    from channel.tiny import catalogue, day, tiny_python, write_tiny

    write_tiny(root)                                   # the catalogue below
    write_tiny(root, [Package(name="mine", version="1", timestamp=day("2024-01-05"))])   # added to it
    write_tiny(root, [tiny_python()])                  # a stand-in for python, see there

Fixtures (``tests/conftest.py``): ``tiny_channel()`` writes the catalogue below a temporary folder and serves
it; ``tiny_channel(packages)`` others; ``tiny_channel(..., python=True)`` puts the *real* python package of
the big channel in place of the stand-in (it is cached between runs; ~1 s to install). It returns a
`channel.server.ServedChannel`: ``.url``, ``.server`` (faults, request log), ``.root``, ``.add(packages)``.

`catalogue()`, by what a test wants of it (all noarch unless said):

=================== ==========================================================================================
``python``          3.11.0, the stand-in, for every platform; ``noarch: python`` packages need one
``alpha``           1.0 (2023-03-01), 1.1 (2023-09-01), 2.0 (2024-03-01): as-of dates; depends on nothing
``beta``            1.0 (2023-03-01) needs alpha >=1.0,<2; 2.0 (2024-04-01) needs alpha >=1.1: ``--update``
``gamma``           1.0 (2023-03-01) and 1.1 (2024-02-01): updated independently of the others
``pure``            noarch python, with a module, an entry point ``pure-hello`` and a script
``prefixed``        per platform: ``etc/prefixed.conf`` (text prefix), ``bin/prefixed`` (a script with the
                    prefix), ``lib/prefixed.bin`` (binary prefix), ``lib/link.conf`` (a symbolic link)
``torchlike``       linux-64: builds ``cpu_0`` and ``cuda126_0`` (needs __cuda >=12.6): variants
``needs-glibc``     linux-64: __glibc >=2.17; ``needs-new-glibc``: __glibc >=2.99 (never satisfied)
``needs-osx``       osx-64, osx-arm64: __osx >=10.13
``impossible``      needs alpha >=9, which does not exist
``rivals``          needs beta 2.0 and alpha 1.0, which contradict one another
``only-linux``      linux-64 and linux-aarch64 only
``shouting``        two files whose paths differ in case only
``clobber-a``/``-b`` both own ``share/clobbered.txt``, with different content
``long-path``       one file with a path of 150 characters
``big``             8 MB that do not compress: interrupted downloads, slow links
=================== ==========================================================================================
"""

from __future__ import annotations

import functools
import random
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from channel.archive import PLACEHOLDER, File, Package, read_index, write_index, write_package

PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")


def day(text: str) -> datetime:
    """Noon, UTC, of a day written ``2024-03-01``."""
    return datetime.fromisoformat(f"{text}T12:00:00+00:00").astimezone(UTC)


def write_tiny(root: Path, packages: Sequence[Package] | None = None) -> Path:
    """Write `packages` (the catalogue by default) into the channel at `root`, beside what is there."""
    records = {(r["subdir"], r["name"], r["version"], r["build"]): r for r in read_index(root)}
    for package in catalogue() if packages is None else packages:
        record = write_package(root, package)
        records[record["subdir"], record["name"], record["version"], record["build"]] = record
    write_index(root, records.values())
    return root


def tiny_python(platform: str = "linux-64", version: str = "3.11.0") -> Package:
    """A stand-in for python: ``bin/python`` is a script that starts the interpreter running the tests.

    Enough to solve, to link ``noarch: python`` packages and to run what they bring, but ``sys.prefix`` is
    not the environment's. Version 3.11.0 whatever the interpreter's.
    """
    minor = version.rsplit(".", 1)[0]
    script = (
        "#!/bin/sh\n"
        f'export PYTHONPATH="$(dirname "$0")/../lib/python{minor}/site-packages"\n'
        f'exec "{sys.executable}" "$@"\n'
    ).encode()
    if platform == "win-64":
        files = {"python.exe": File(data=b"stub\n", mode=0o755)}
    else:
        files = {
            f"bin/python{minor}": File(data=script, mode=0o755),
            "bin/python3": File(target=f"python{minor}", mode=0o777),
            "bin/python": File(target=f"python{minor}", mode=0o777),
        }
    return Package(
        name="python",
        version=version,
        build="tiny_0_cpython",
        subdir=platform,
        files=files,
        timestamp=day("2023-01-01"),
    )


def _text(content: str = "") -> File:
    return File(data=content.encode())


def _plain(
    name: str,
    version: str,
    date: str,
    *depends: str,
    subdir: str = "noarch",
    build: str = "0",
    build_number: int = 0,
) -> Package:
    return Package(
        name=name,
        version=version,
        build=build,
        build_number=build_number,
        depends=depends,
        subdir=subdir,
        noarch="generic" if subdir == "noarch" else None,
        timestamp=day(date),
        files={f"share/{name}/version.txt": _text(f"{version} {build}\n")},
    )


def _pure() -> Package:
    module = '__version__ = "1.0"\n\n\ndef main() -> int:\n    print("hello from pure")\n    return 0\n'
    info = "site-packages/pure-1.0.dist-info"
    return Package(
        name="pure",
        version="1.0",
        build="pyh_0",
        depends=("python >=3.8",),
        noarch="python",
        entry_points=("pure-hello = pure:main",),
        timestamp=day("2023-03-01"),
        files={
            "site-packages/pure/__init__.py": _text(module),
            "site-packages/pure/data/table.csv": _text("a,b\n1,2\n"),
            "python-scripts/pure-script": File(data=b"#!/bin/sh\necho script of pure\n", mode=0o755),
            f"{info}/METADATA": _text("Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n"),
            f"{info}/INSTALLER": _text("conda\n"),
            f"{info}/RECORD": _text(""),
        },
    )


def _prefixed(subdir: str) -> Package:
    # a C string with zero bytes around it, as a compiler leaves one
    binary = b"\x7fTINY\0\0" + PLACEHOLDER.encode() + b"/lib/data\0" + b"\1\2\3\4" * 16
    return Package(
        name="prefixed",
        version="1.0",
        build="h_0",
        subdir=subdir,
        timestamp=day("2023-03-01"),
        files={
            "etc/prefixed.conf": File(data=f"root = {PLACEHOLDER}/share\n".encode(), placeholder=PLACEHOLDER),
            "bin/prefixed": File(
                data=f'#!/bin/sh\necho "{PLACEHOLDER}"\n'.encode(), mode=0o755, placeholder=PLACEHOLDER
            ),
            "lib/prefixed.bin": File(data=binary, placeholder=PLACEHOLDER, binary=True),
            "lib/link.conf": File(target="../etc/prefixed.conf", mode=0o777),
        },
    )


def _odd_ones() -> Iterable[Package]:
    yield Package(
        name="shouting",
        version="1.0",
        noarch="generic",
        timestamp=day("2023-03-01"),
        files={"share/shouting/README.txt": _text("LOUD\n"), "share/shouting/Readme.txt": _text("quiet\n")},
    )
    for name in ("clobber-a", "clobber-b"):
        yield Package(
            name=name,
            version="1.0",
            noarch="generic",
            timestamp=day("2023-03-01"),
            files={"share/clobbered.txt": _text(f"{name}\n"), f"share/{name}.txt": _text(f"{name}\n")},
        )
    deep = "share/" + "/".join(["a" * 35] * 4)
    yield Package(
        name="long-path",
        version="1.0",
        noarch="generic",
        timestamp=day("2023-03-01"),
        files={deep: _text("deep\n")},
    )
    yield Package(
        name="big",
        version="1.0",
        noarch="generic",
        timestamp=day("2023-03-01"),
        files={"share/big.bin": File(data=random.Random(398).randbytes(8_000_000))},
    )


@functools.cache
def catalogue() -> tuple[Package, ...]:
    """The packages of the table above."""
    linux, mac = ("linux-64", "linux-aarch64"), ("osx-64", "osx-arm64")
    return (
        *(tiny_python(platform) for platform in PLATFORMS),
        _plain("alpha", "1.0", "2023-03-01"),
        _plain("alpha", "1.1", "2023-09-01"),
        _plain("alpha", "2.0", "2024-03-01"),
        _plain("beta", "1.0", "2023-03-01", "alpha >=1.0,<2"),
        _plain("beta", "2.0", "2024-04-01", "alpha >=1.1"),
        _plain("gamma", "1.0", "2023-03-01"),
        _plain("gamma", "1.1", "2024-02-01"),
        _pure(),
        *(_prefixed(platform) for platform in PLATFORMS),
        _plain("torchlike", "2.5", "2023-03-01", subdir="linux-64", build="cpu_0"),
        _plain(  # conda-forge raises the number of CUDA builds so that they win where they can run
            "torchlike",
            "2.5",
            "2023-03-01",
            "__cuda >=12.6",
            subdir="linux-64",
            build="cuda126_0",
            build_number=200,
        ),
        _plain("needs-glibc", "1.0", "2023-03-01", "__glibc >=2.17", subdir="linux-64"),
        _plain("needs-new-glibc", "1.0", "2023-03-01", "__glibc >=2.99", subdir="linux-64"),
        *(_plain("needs-osx", "1.0", "2023-03-01", "__osx >=10.13", subdir=s) for s in mac),
        _plain("impossible", "1.0", "2023-03-01", "alpha >=9"),
        _plain("rivals", "1.0", "2023-03-01", "beta 2.0", "alpha 1.0"),
        *(_plain("only-linux", "1.0", "2023-03-01", subdir=s) for s in linux),
        *_odd_ones(),
    )


def add_real_python(root: Path, built: Path) -> None:
    """Put the real python package of the big channel at `built` in place of the stand-in (same platform)."""
    real = next(r for r in read_index(built) if r["name"] == "python" and r["build"] != "stub")
    filename = f"{real['name']}-{real['version']}-{real['build']}.conda"
    subdir = str(real["subdir"])
    source, target = built / subdir / filename, root / subdir / filename
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another disk
        shutil.copyfile(source, target)
    stays = [r for r in read_index(root) if (r["name"], r["subdir"]) != ("python", subdir)]
    write_index(root, [*stays, real])
