"""Runs the notebooks of a folder as coursectl does, to be interrupted or killed: FOLDER MODE PREFIX."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from coursectl.backends.execution import Mode
from smoke import running


def main(root: Path, mode: str, prefix: Path) -> None:
    jobs = [
        running.job(root, f"notebook{number}", json.loads(file.read_text()))
        for number, file in enumerate(sorted(root.glob("*.json")))
    ]
    running.run(Mode(mode), prefix, jobs, preload=("numpy",))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
