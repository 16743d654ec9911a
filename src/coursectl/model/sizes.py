"""Sizes of what is downloaded, and an estimate of what it becomes on the disk."""

from __future__ import annotations

from collections.abc import Iterable

from coursectl.model.course import EngineKind

# Measured in 2026-11 over the 136 wheels (198 MB) of jupyterlab, numpy, scipy, pandas, matplotlib,
# scikit-learn, statsmodels, astropy, sympy, h5py, xarray, uproot and what they need, for linux-64 and
# Python 3.12: unpacked 659 MB, a factor of 3.34 (single large wheels 2.4 to 4.3). The same files as .conda
# (tar, zstd level 19) have 137 MB, a factor of 4.82 (2.9 to 6.2).
_FACTOR = {EngineKind.PYPI: 3.4, EngineKind.CONDA: 4.9}


def total(sizes: Iterable[int | None]) -> int | None:
    """The sum in bytes; ``None`` where one is unknown, since a sum of the rest would mislead.

    >>> total([1, 2]), total([1, None]), total([])
    (3, None, 0)
    """
    found = 0
    for size in sizes:
        if size is None:
            return None
        found += size
    return found


def installed_estimate(engine: EngineKind, download_bytes: int | None) -> int | None:
    """About how many bytes a download takes once installed; ``None`` where the download is unknown.

    The factors are measured (see the source): 3.4 for wheels, 4.9 for conda packages. For a whole course
    environment the estimate is good to about a quarter.

    >>> installed_estimate(EngineKind.PYPI, 198_000_000)
    673200000
    >>> installed_estimate(EngineKind.CONDA, None)
    """
    if download_bytes is None:
        return None
    return round(download_bytes * _FACTOR[engine])
