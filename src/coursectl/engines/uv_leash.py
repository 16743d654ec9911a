"""A child that runs a program and ends it when the parent is gone: ``python -m ... PROGRAM ARGUMENTS``.

uv goes on when its parent is killed. The parent keeps our standard input open and writes nothing; the
system closes it when the parent dies, however that happens, on every system.
"""

from __future__ import annotations

import os
import sys
import threading

from coursectl import process

_NO_LIMIT = 7 * 24 * 3600.0  # seconds; the parent has the timeout


def main(argv: list[str]) -> int:
    """Run `argv`, hand on what it prints line by line, and return its exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    ended = process.run(
        argv,
        timeout=_NO_LIMIT,
        on_stdout=lambda line: _pass_on(sys.stdout.fileno(), line),
        on_stderr=lambda line: _pass_on(sys.stderr.fileno(), line),
    )
    return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode


def _pass_on(descriptor: int, line: str) -> None:
    os.write(descriptor, line.encode() + b"\n")


def _end_with_parent() -> None:
    # read by descriptor: a buffered reader would hold a lock that the interpreter wants at exit
    while os.read(0, 1024):
        pass
    import psutil

    for child in psutil.Process().children():
        process.kill_tree(child.pid)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
