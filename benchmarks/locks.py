"""How long reading a real conda-lock.yml takes, against PyYAML's fastest reader and conda-lock's own parser.

    python benchmarks/locks.py [FILE ...] [--rounds 5]

Limit: ``yaml.load(data, CSafeLoader)``, libyaml and nothing else. Peer: ``conda_lock.lockfile.
parse_conda_lock_file`` (the extra ``staff``), which conda-lock runs before everything it does. Without FILE
the locks of ../shared/real-locks are read (four of pangeo, one of a student), or, where that folder is not
there, those of this repository's own lockfiles/. All in one process, on a collected heap, without imports.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import measure
import yaml
from measure import Row

from coursectl.lockfiles.conda_lock import read_conda_lock


def main() -> None:
    parser = measure.arguments(__doc__, rounds=5)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options = parser.parse_args()
    conda_lock = _conda_lock()
    rows = []
    for path in options.files or _found():
        actions = {"ours": _timed(read_conda_lock, path), "libyaml": _timed(_libyaml, path)}
        if conda_lock is not None:
            actions["conda-lock"] = _timed(conda_lock, path)
        times = measure.alternate(actions, rounds=options.rounds)
        what = f"{path.name.removesuffix('.conda-lock.yml')}, {path.stat().st_size / 1e6:.2f} MB"
        rows.append(
            Row(what=what, ours=times["ours"], peer=times["libyaml"], peer_name="CSafeLoader", aim=1.0)
        )
        if "conda-lock" in times:
            rows.append(Row(what=what, ours=times["ours"], peer=times["conda-lock"], peer_name="conda-lock"))
    print(measure.machine())
    measure.show(rows)


def _found() -> list[Path]:
    shared = sorted((measure.SHARED / "real-locks").glob("*.conda-lock.yml"))
    if shared:
        return shared
    print("../shared/real-locks is not here: reading this repository's own locks instead")
    return sorted((measure.ROOT / "lockfiles").glob("*/*.conda-lock.yml"))


def _conda_lock() -> Callable[[Path], object] | None:
    try:
        from conda_lock.lockfile import parse_conda_lock_file
    except ImportError:
        print("conda-lock is not installed (pip install 'coursectl[staff]'): left out")
        return None
    read: Callable[[Path], object] = parse_conda_lock_file
    return read


def _libyaml(path: Path) -> object:
    return yaml.load(path.read_bytes(), yaml.CSafeLoader)


def _timed(read: Callable[[Path], object], path: Path) -> measure.Action:
    """Reading with the garbage of the run before it collected: each starts from the same heap."""

    def timed() -> float:
        gc.collect()
        start = time.perf_counter()
        read(path)
        return time.perf_counter() - start

    return timed


if __name__ == "__main__":
    measure.main(main)
