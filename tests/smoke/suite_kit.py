"""A small course with a suite that meets everything: its files, and the notebooks as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.courses import PLATFORMS, PYTHON
from e2e.desk import write_course

COURSE = f"""name: phys101
current: fall2026
semesters:
  fall2026: {{as_of: 2026-01-15}}
platforms: [{", ".join(PLATFORMS)}]
environments:
  lab: {{spec: environments/lab.in, python: "{PYTHON}"}}
notebooks:
  suite: [week1/*.ipynb, week1/*.md, week2/*.ipynb]
  timeout: 20
  cell_timeout: 4
  seed: 7
  skip:
    excursion.ipynb: needs the observatory
"""


WAVE = """import warnings


def area(y):
    warnings.warn('area goes', DeprecationWarning)
    return sum(y)
"""

GOOD = (
    "import pathlib\nfrom waves import area\n"
    "x = [float(v) for v in pathlib.Path('run.csv').read_text().split(',')]",
    "total = area(x) + float(pathlib.Path('../common/offset.txt').read_text())\n"
    "print('total', total)\n"
    "# coursectl: total = 10 +- 1%",
    "for name in ('run.csv', 'new.txt', 'waves.py'):\n    pathlib.Path(name).write_text('broken(')",
)

TEXT = """---
kernelspec:
  name: nowhere
  display_name: None
---

# Text

```{code-cell} ipython3
import idna
mass = 124.0
# coursectl: mass = 125.1 +- 0.3
```
"""


def ipynb(path: Path, *cells: str) -> None:
    """Write a notebook of code cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body: list[dict[str, object]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [],
         "source": source.splitlines(keepends=True)}
        for n, source in enumerate(cells, 1)
    ]  # fmt: skip
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": body}, indent=1))


def write(root: Path, idna: str = "3.7") -> Path:
    """The course at `root`, not frozen yet."""
    write_course(root, COURSE, lab_in=requirements(idna))
    texts = {
        "week1/waves.py": WAVE,
        "week1/run.csv": "1,2,3\n",
        "common/offset.txt": "4",
        "week1/text.md": TEXT,
        "week2/torn.ipynb": '{"cells": [',
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    ipynb(root / "week1/good.ipynb", *GOOD)
    ipynb(
        root / "week1/broken.ipynb",
        "import idna\nprint(idna.__version__)",
        "y = [1, 2]\nmean = sum(y) / missing\nwidth = 3",
        "print(mean, width)",
        "print('still here')",
    )
    ipynb(root / "week2/plain.ipynb", "import math\nroot = math.sqrt(2)\n# coursectl: root = 1.41421356237")
    ipynb(root / "week2/loop.ipynb", "print('before')", "while True: pass", "print('never')")
    ipynb(root / "week2/dead.ipynb", "import os\nos._exit(3)")
    ipynb(root / "week2/excursion.ipynb", "1 / 0")
    return root


def requirements(idna: str) -> str:
    """The environment: a kernel, and one package whose version the tests change."""
    return f"ipykernel\nidna=={idna}\n"


VERDICTS = {
    "week1/broken.ipynb": "failed",
    "week1/good.ipynb": "ok",
    "week1/text.md": "failed",
    "week2/dead.ipynb": "killed",
    "week2/excursion.ipynb": "skipped",
    "week2/loop.ipynb": "timed-out",
    "week2/plain.ipynb": "ok",
    "week2/torn.ipynb": "failed",
}
