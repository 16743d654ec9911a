"""A report with everything in it that a suite can bring, with executed notebooks on disk, and a browser."""

from __future__ import annotations

import base64
import json
import shutil
import struct
import zlib
from pathlib import Path

from coursectl.model.suite import (
    CaseResult,
    CellError,
    CellWarning,
    NumberCheck,
    SuiteReport,
    Trait,
    TraitKind,
    Verdict,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "there is no Chromium on this machine (Debian: apt-get install chromium)"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
ATTACK = '<script>document.title="taken"</script><img src="x" onerror="document.title=\'taken\'">'


def png(width: int, height: int, colour: tuple[int, int, int]) -> str:
    """A picture of one colour, as a notebook stores it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(colour) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return base64.b64encode(data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")).decode()


def code(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    """A code cell of nbformat 4."""
    return {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": list(outputs),
            "metadata": {}, "execution_count": 1, "id": "a"}  # fmt: skip


def text(source: str) -> dict[str, object]:
    """A Markdown cell of nbformat 4."""
    return {"cell_type": "markdown", "source": source, "metadata": {}, "id": "b"}


def shown(**data: object) -> dict[str, object]:
    """What a cell shows, by MIME type (``_`` for ``/``)."""
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {k.replace("_", "/", 1): v for k, v in data.items()},
    }


def printed(words: str, name: str = "stdout") -> dict[str, object]:
    """What a cell printed."""
    return {"output_type": "stream", "name": name, "text": words}


def notebook(path: Path, *cells: dict[str, object]) -> Path:
    """Write an executed notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


TABLE = (
    "<table><thead><tr><th>event</th><th>mass</th></tr></thead><tbody>"
    + "".join(f"<tr><td>{n}</td><td>{120 + n}.5</td></tr>" for n in range(6))
    + "</tbody></table>"
)


def sample(folder: Path) -> SuiteReport:
    """A report with every verdict; its executed notebooks are written below `folder`."""
    good = notebook(
        folder / "good.ipynb",
        text("# A resonance\n\nA **fit** with `scipy`.\n\n```python\nx = 1 < 2\n```\n" + ATTACK),
        code("fit(data)\n", printed("mass = 125.1\n"), shown(image_png=png(320, 120, (40, 90, 160)))),
        code("table", shown(text_html=TABLE + ATTACK, text_plain="event mass\n0 120.5")),
        code("'<b>no</b>'", shown(text_plain="'<b>no</b>'"), printed(ATTACK, "stderr")),
    )
    traceback = "\x1b[31mAttributeError\x1b[0m: module 'numpy' has no attribute 'trapz'"
    bad = notebook(
        folder / "bad.ipynb",
        code("import numpy as np\n"),
        code(
            "area = np.trapz(y)\n",
            {
                "output_type": "error",
                "ename": "AttributeError",
                "evalue": "no trapz",
                "traceback": [traceback],
            },
        ),
        code("print(area)\n"),
    )
    errors = (
        CellError(
            cell=2, line=1, name="AttributeError", message="module 'numpy' has no attribute 'trapz'",
            traceback=traceback, file="week1/wave.py", file_line=12,
        ),
        CellError(
            cell=3, line=1, name="NameError", message="name 'area' is not defined", traceback="",
            cascade_of=2,
        ),
    )  # fmt: skip
    warning = CellWarning(cell=2, line=1, category="DeprecationWarning", message="trapz goes away", count=3)
    return SuiteReport(
        course="phys101",
        semester="fall2026",
        environment="lab",
        variant="cpu",
        platform="linux-64",
        mode="shared",
        parallel=2,
        seconds=12.5,
        digest="0123456789abcdef",
        notes=("week1/data is larger than 50 MB: notebooks share one read-only copy",),
        cases=(
            CaseResult(
                notebook="week1/good.ipynb", verdict=Verdict.OK, seconds=3.2, peak_bytes=213_000_000,
                cells_run=4, executed=str(good), warnings=(warning,),
                numbers=(NumberCheck(name="mass", cell=2, expected=125.1, tolerance=0.3, value=125.2),),
            ),
            CaseResult(
                notebook="week1/bad.ipynb", verdict=Verdict.FAILED, seconds=1.1, executed=str(bad),
                reason="cell 2, line 1: AttributeError: module 'numpy' has no attribute 'trapz'",
                errors=errors, warnings=(warning,), peak_bytes=120_000_000, cells_run=3,
            ),
            CaseResult(
                notebook="week2/<b>off</b>.md", verdict=Verdict.FAILED, seconds=2.0, cached=True,
                reason="width = 3, expected 2.5 +- 0.1 (cell 4)",
                numbers=(NumberCheck(name="width", cell=4, expected=2.5, tolerance=0.1, value=3.0),),
            ),
            CaseResult(
                notebook="week2/loop.py", verdict=Verdict.TIMED_OUT, seconds=60,
                reason="cell 2 ran over 60 s",
            ),
            CaseResult(
                notebook="week2/dead.ipynb", verdict=Verdict.KILLED, seconds=1, reason="the kernel died",
            ),
            CaseResult(
                notebook="week3/net.ipynb", verdict=Verdict.SKIPPED, reason="needs a GPU, and there is none",
                traits=(Trait(kind=TraitKind.GPU_REQUIRED, cell=1, line=2, text='device = "cuda"'),),
            ),
        ),
    )  # fmt: skip
