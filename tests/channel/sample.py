"""The real conda-forge index (19,630 records, 2023-09 to 2026-01) on the loopback: no packages behind it.

::

    with serve_sample() as url:          # http://127.0.0.1:PORT/conda-forge
        ...                              # linux-64, linux-aarch64, osx-64, osx-arm64, noarch; win-64 is empty

A mirror mapping ``https://conda.anaconda.org/conda-forge`` -> `url` makes real lockfiles from it. Sizes of
packages are not in the sample. Compressed indexes (``repodata.json.zst``) are served too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from channel.server import ChannelServer

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "conda-forge-sample"
"""Beside the repository; absent where only the repository is checked out."""


@contextlib.contextmanager
def serve_sample(*, prefix: str = "/conda-forge") -> Iterator[str]:
    """Serve the sample below `prefix` and give its URL.

    Raises:
        FileNotFoundError: the sample is not there.
    """
    import zstandard

    if not SAMPLE.is_dir():
        raise FileNotFoundError(SAMPLE)
    with ChannelServer({prefix: SAMPLE}) as server:
        for index in SAMPLE.glob("*/repodata.json"):
            packed = zstandard.ZstdCompressor(level=1).compress(index.read_bytes())
            server.put(f"{prefix}/{index.parent.name}/repodata.json.zst", packed)
        empty = {"info": {"subdir": "win-64"}, "packages": {}, "packages.conda": {}, "repodata_version": 1}
        if not (SAMPLE / "win-64").is_dir():  # every channel has the folder; the sample kept four platforms
            server.put(f"{prefix}/win-64/repodata.json", json.dumps(empty).encode())
        yield server.url + prefix
