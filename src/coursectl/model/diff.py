"""What changed between two locks; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from coursectl.model.lock import ChangeKind, CondaPackage, LockDiff, PackageChange, PypiPin
from coursectl.model.sizes import total

Entry = tuple[str, str]
"""Version and what tells two builds of it apart."""

_ORDER = {kind: number for number, kind in enumerate(ChangeKind)}
_PART = re.compile(r"\d+|[a-z]+")
_BEFORE_RELEASE = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "c": 3, "rc": 3, "pre": 3}
_END, _LETTERS, _NUMBER = 4, 5, 6


def conda_diff(
    platform: str, variant: str, old: Iterable[CondaPackage], new: Iterable[CondaPackage]
) -> LockDiff:
    """What changed from `old` to `new`; a pip package is named as pip names it."""
    before, after = tuple(old), tuple(new)
    return LockDiff(
        platform=platform,
        variant=variant,
        changes=changes(_conda(before), _conda(after)),
        old_size=total(p.size for p in before),
        new_size=total(p.size for p in after),
    )


def pypi_diff(
    platform: str,
    old: Iterable[PypiPin],
    new: Iterable[PypiPin],
    *,
    old_size: int | None = None,
    new_size: int | None = None,
) -> LockDiff:
    """What changed from `old` to `new`, pins that apply to the platform; sizes are download bytes."""
    return LockDiff(
        platform=platform,
        variant="cpu",
        changes=changes(_pypi(old), _pypi(new)),
        old_size=old_size,
        new_size=new_size,
    )


def changes(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> tuple[PackageChange, ...]:
    """The packages that differ, sorted by kind (in the order of `ChangeKind`) and name.

    >>> found = changes({"a": ("1.9", "x"), "b": ("2", "x")}, {"a": ("1.10", "x"), "c": ("1", "x")})
    >>> [f"{c.kind} {c.name} {c.old} {c.new}" for c in found]
    ['added c None 1', 'removed b 2 None', 'upgraded a 1.9 1.10']
    """
    found = []
    for name in old.keys() | new.keys():
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        kind = _kind(before, after)
        found.append(
            PackageChange(
                kind=kind,
                name=name,
                old=before[0] if before else None,
                new=after[0] if after else None,
            )
        )
    return tuple(sorted(found, key=lambda c: (_ORDER[c.kind], c.name)))


def _kind(before: Entry | None, after: Entry | None) -> ChangeKind:
    if before is None:
        return ChangeKind.ADDED
    if after is None:
        return ChangeKind.REMOVED
    if before[0] == after[0]:
        return ChangeKind.REBUILT
    return ChangeKind.UPGRADED if version_key(before[0]) < version_key(after[0]) else ChangeKind.DOWNGRADED


def version_key(version: str) -> tuple[object, ...]:
    """A key that sorts versions as conda and PyPI do, good enough to say "up" or "down".

    Numbers count as numbers; ``dev``, ``a``, ``b``, ``rc`` come before the release, other letters after; an
    epoch (``1!``) comes first and a local part (``+cpu``) last. No version is refused.

    >>> sorted(["1.10", "1.9", "1.10rc1", "1.10.post1", "1!0.1", "2024a", "9e"], key=version_key)
    ['1.9', '1.10rc1', '1.10', '1.10.post1', '9e', '2024a', '1!0.1']
    """
    epoch, bang, rest = version.lower().partition("!")
    if not bang:
        epoch, rest = "0", version.lower()
    public, _, local = rest.partition("+")
    return (int(epoch) if epoch.isdigit() else 0, _parts(public), _parts(local))


def _parts(text: str) -> tuple[tuple[int, int | str], ...]:
    found: list[tuple[int, int | str]] = []
    for part in [*_PART.findall(text), ""]:
        if part.isdigit():
            found.append((_NUMBER, int(part)))
            continue
        while found and found[-1] == (_NUMBER, 0):  # 1.0 is 1, and 1.0rc1 is 1rc1
            found.pop()
        if part:
            found.append((_BEFORE_RELEASE.get(part, _LETTERS), part))
    return (*found, (_END, 0))


def _conda(packages: Iterable[CondaPackage]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for package in sorted(packages, key=lambda p: p.manager):  # conda first
        name = f"{package.name} (pip)" if package.name in found else package.name
        found[name] = (package.version, package.build or package.sha256 or "")
    return found


def _pypi(pins: Iterable[PypiPin]) -> dict[str, Entry]:
    return {p.name: (p.version, "") for p in pins}
