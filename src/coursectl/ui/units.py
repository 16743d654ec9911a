"""Numbers as a person reads them."""

from __future__ import annotations


def amount(count: int | None, unit: str) -> str:
    """A count with its unit; bytes in decimal units, as disks and downloads are sold.

    >>> amount(913_000_000, "bytes"), amount(148, "packages"), amount(None, "bytes")
    ('913 MB', '148 packages', 'unknown size')
    >>> amount(41_200_000_000, "bytes"), amount(999, "bytes")
    ('41.2 GB', '999 B')
    """
    if count is None:
        return "unknown size" if unit == "bytes" else "unknown"
    if unit != "bytes":
        return f"{count} {unit}".rstrip()
    size = float(count)
    for name in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {name}"
        size /= 1000
    return f"{size:.1f} GB"


def duration(seconds: float) -> str:
    """A time span, as short as it can be said.

    >>> duration(12.3), duration(200), duration(7300)
    ('12 s', '3 min', '2 h 2 min')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
