"""The courses that the tests freeze and open; `e2e.desk.copy_reference` brings the reference course."""

from __future__ import annotations

import sys
from pathlib import Path

from e2e.desk import write_course

PYTHON = ".".join(map(str, sys.version_info[:2]))
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")

LAB = f"""name: phys101
title: "PHYS 101: waves"
current: fall2026
semesters:
  fall2026: {{starts: 2026-08-24}}
platforms: [{", ".join(PLATFORMS)}]
environments:
  lab:
    spec: environments/lab.yml
    fallback: lab-pypi
    variants:
      cuda:
        __cuda: "12.6"
        platforms: [linux-64]
        specs: [pytorch]
  lab-pypi:
    spec: environments/lab-pypi.in
    python: "{PYTHON}"
"""

LAB_CONDA = f"""name: lab
channels: [conda-forge]
dependencies: [python ={PYTHON}, jupyterlab, ipykernel, numpy, scipy, pandas, matplotlib]
"""

SMALL = """name: small
current: fall2026
semesters:
  fall2025: {}
  fall2026: {}
platforms: [linux-64, osx-arm64]
environments:
  bench: {spec: environments/bench.yml}
"""

SMALL_CONDA = (
    "channels: [conda-forge]\n"
    "dependencies: [python, pure, prefixed, big, beta =1.0, "
    + ", ".join(f"many{n}" for n in range(12))
    + "]\n"
)

SMALL_PYPI = f"""name: smallpypi
current: fall2026
semesters:
  fall2025: {{as_of: 2025-01-15}}
  fall2026: {{as_of: 2026-01-15}}
platforms: [{", ".join(PLATFORMS)}]
environments:
  bench: {{spec: environments/bench.in, python: "{PYTHON}"}}
"""

SMALL_REQUIREMENTS = "idna\nsix\ncertifi\npackaging\npygments\npyyaml\nnetworkx\n"


def lab(folder: Path) -> Path:
    """A conda environment with JupyterLab, a CUDA variant, and a small fallback from PyPI."""
    return write_course(folder, LAB, lab_yml=LAB_CONDA, **{"lab-pypi_in": "jupyterlab\nipykernel\nnumpy\n"})


def small(folder: Path) -> Path:
    """Small conda packages, no JupyterLab: for what happens while an environment is installed."""
    return write_course(folder, SMALL, bench_yml=SMALL_CONDA)


def small_pypi(folder: Path) -> Path:
    """Small packages from PyPI, no JupyterLab."""
    return write_course(folder, SMALL_PYPI, bench_in=SMALL_REQUIREMENTS)
