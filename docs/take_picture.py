"""Take the README's terminal picture from a real run: ``python docs/take_picture.py`` (needs tmux).

`coursectl up` runs in a real terminal on the reference course, with a fresh home and a warm download cache;
what the terminal shows is turned into docs/up.svg. Nothing is retouched but the folder names of this machine.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
COLUMNS, ROWS = 92, 14
SESSION = "coursectl-picture"


def tmux(*words: str) -> str:
    return subprocess.run(["tmux", *words], check=True, capture_output=True, text=True).stdout


def screen(until: str, seconds: float) -> str:
    """What the terminal shows once `until` is on it, with its colours."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        shown = tmux("capture-pane", "-t", SESSION, "-p", "-e")
        if until in shown:
            return shown
        time.sleep(0.5)
    raise SystemExit(f"{until!r} did not appear:\n{shown}")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        variables = {
            "COURSECTL_HOME": str(home),
            "COURSECTL_CACHE": os.environ.get("COURSECTL_CACHE", str(home / "cache")),
            "BROWSER": "true",  # a browser that shows nothing
            "PS1": "$ ",
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        sets = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        tmux("new-session", "-d", "-s", SESSION, *size, "-c", str(ROOT), *sets, "bash", "--norc")
        try:
            time.sleep(1)
            tmux("send-keys", "-t", SESSION, "clear; coursectl up", "Enter")
            shown = screen("Ctrl-C, or", 900)
            tmux("send-keys", "-t", SESSION, "C-c")
            screen("has ended", 60)
        finally:
            tmux("kill-session", "-t", SESSION)
    shown = shown.replace(str(home), "~/.local/share/coursectl")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(shown.rstrip()))
    console.save_svg(str(ROOT / "docs" / "up.svg"), title="coursectl up", unique_id="up")


if __name__ == "__main__":
    main()
