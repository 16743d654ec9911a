"""A pixi.lock, written by py-rattler's own ``LockFile``.

py-rattler may crash at interpreter exit (see `coursectl.engines.conda_child`), so it works in a child
process: ``python -m coursectl.workflows.export_pixi`` reads a lock as JSON and prints the file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from coursectl import process
from coursectl.errors import LockError
from coursectl.model.course import BASE_VARIANT
from coursectl.model.lock import CondaLock
from coursectl.workflows.export_text import channel_url

_PATIENCE = 300.0  # seconds


def pixi_lock(lock: CondaLock) -> str:
    """The text of pixi.lock: the base variant is pixi's ``default`` environment, others have their names.

    Raises:
        LockError: py-rattler refuses a package.
    """
    ended = process.run(
        [sys.executable, "-P", "-m", "coursectl.workflows.export_pixi"],
        timeout=_PATIENCE,
        stdin=json.dumps(_request(lock)),
    )
    if not ended.stdout.startswith("version:"):
        words = [line for line in ended.stderr.splitlines() if line.strip()]
        raise LockError(
            "the lock cannot be written as pixi.lock",
            cause=words[-1] if words else f"code {ended.returncode}",
        )
    return ended.stdout


def _request(lock: CondaLock) -> dict[str, Any]:
    return {
        "channels": [channel_url(c) for c in lock.channels],
        "platforms": sorted({str(s.platform) for s in lock.solutions}),
        "solutions": [
            {
                "environment": "default" if s.variant == BASE_VARIANT else s.variant,
                "platform": str(s.platform),
                "packages": [
                    {
                        "manager": p.manager,
                        "name": p.name,
                        "version": p.version,
                        "build": p.build,
                        "url": p.url,
                        "subdir": p.subdir,
                        "sha256": p.sha256,
                        "md5": p.md5,
                        "size": p.size,
                        "depends": p.depends,
                    }
                    for p in s.packages
                ],
            }
            for s in lock.solutions
        ],
    }


def _write(request: dict[str, Any], path: Path) -> None:
    from rattler.lock import LockChannel, LockFile, LockPlatform

    from coursectl.engines.conda_child import record_of

    platforms = {name: LockPlatform(name) for name in request["platforms"]}
    lock = LockFile(list(platforms.values()))
    for solution in request["solutions"]:
        environment, platform = solution["environment"], platforms[solution["platform"]]
        lock.set_channels(environment, [LockChannel(url) for url in request["channels"]])
        for package in solution["packages"]:
            if package["manager"] == "conda":
                record = record_of(package, solution["platform"])
                lock.add_conda_package(environment, platform, record)
            else:
                lock.add_pypi_package(
                    environment, platform, package["name"], package["version"], package["url"]
                )
    lock.to_path(path)


def main() -> None:
    """Read a request on standard input, print the file, and leave past everything that could crash."""
    with tempfile.TemporaryDirectory(prefix="coursectl-") as folder:
        path = Path(folder, "pixi.lock")
        _write(json.load(sys.stdin), path)
        sys.stdout.write(path.read_text(encoding="utf-8"))
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
