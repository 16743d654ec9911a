"""A conda solution as text for other tools; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from coursectl.model.course import BASE_VARIANT, Environment
from coursectl.model.lock import CondaLock, CondaPackage, CondaSolution

_CHANNELS = "https://conda.anaconda.org"


def explicit(solution: CondaSolution) -> str:
    """An ``@EXPLICIT`` file (docs.conda.io, "Building identical conda environments").

    In the order in which packages can be linked, each with its md5, which is what conda compares. pip
    packages follow as conda-lock and micromamba write them, ``# pip name @ url#sha256=...``.
    """
    lines = [
        "# Locked by coursectl.",
        f"# platform: {solution.platform}",
        *([f"# variant: {solution.variant}"] if solution.variant != BASE_VARIANT else []),
        "@EXPLICIT",
    ]
    conda = [p for p in solution.packages if p.manager == "conda"]
    lines += [f"{p.url}#{p.md5}" if p.md5 is not None else p.url for p in linkable(conda)]
    lines += [f"# pip {p.name} @ {p.url}#sha256={p.sha256}" for p in solution.packages if p.manager == "pip"]
    return "\n".join(lines) + "\n"


def environment_yml(name: str, channels: Sequence[str], solution: CondaSolution) -> str:
    """An environment.yml whose every line is ``name=version=build``."""
    lines = [f"name: {json.dumps(name)}", "channels:", *(f"  - {json.dumps(c)}" for c in channels)]
    lines += ["  - nodefaults", "dependencies:"]
    lines += [f"  - {p.name}={p.version}={p.build}" for p in solution.packages if p.manager == "conda"]
    pip = [p for p in solution.packages if p.manager == "pip"]
    if pip:
        lines += ["  - pip:", *(f"      - {p.name}=={p.version}" for p in pip)]
    return "\n".join(lines) + "\n"


def linkable(packages: Iterable[CondaPackage]) -> tuple[CondaPackage, ...]:
    """`packages` with each after what it depends on; a circle is cut at its first name.

    >>> def p(name: str, *depends: str) -> CondaPackage:
    ...     facts = {"version": "1", "build": "0", "manager": "conda", "url": "", "sha256": None, "md5": None}
    ...     return CondaPackage(name=name, depends=depends, **facts)
    >>> [x.name for x in linkable([p("b", "a"), p("a", "c >=1"), p("c", "a"), p("d")])]
    ['c', 'a', 'b', 'd']
    """
    by_name = {p.name: p for p in sorted(packages, key=lambda p: p.name)}
    done: dict[str, CondaPackage] = {}
    entered: set[str] = set()
    stack = [(name, False) for name in reversed(by_name)]
    while stack:
        name, left = stack.pop()
        if left:
            done.setdefault(name, by_name[name])
        elif name not in entered:
            entered.add(name)
            stack.append((name, True))
            needs = sorted({d.split(" ")[0] for d in by_name[name].depends}, reverse=True)
            stack += [(n, False) for n in needs if n in by_name and n not in entered]
    return tuple(done.values())


def pixi_toml(course: str, lock: CondaLock, environment: Environment, asked: Sequence[str]) -> str:
    """A pixi manifest that `pixi.lock` satisfies: the packages `asked` for, at the versions of the lock.

    Each variant is a pixi feature and environment of its name; the base one is pixi's ``default``.
    """
    variants = list(dict.fromkeys(s.variant for s in lock.solutions))
    platforms = list(dict.fromkeys(str(s.platform) for s in lock.solutions))
    lines = [
        "# Exported by coursectl, with the pixi.lock beside it.",
        "[workspace]",
        f"name = {json.dumps(course)}",
        f"channels = {json.dumps([channel_url(c) for c in lock.channels])}",
        f"platforms = {json.dumps(platforms)}",
        "",
        "[environments]",
    ]
    for variant in variants:
        name = "default" if variant == BASE_VARIANT else variant
        lines.append(f'{name} = {{ features = ["{variant}"], no-default-feature = true }}')
    for variant in variants:
        mine = [s for s in lock.solutions if s.variant == variant]
        declared = environment.variant(variant)
        lines += ["", f"[feature.{variant}]", f"platforms = {json.dumps([str(s.platform) for s in mine])}"]
        cuda = [v.version for v in declared.virtual_packages if v.name == "__cuda"]
        if cuda:
            lines += ["", f"[feature.{variant}.system-requirements]", f'cuda = "{cuda[0]}"']
        names = [*asked, *(_spec_name(spec) for spec in declared.specs)]
        for solution in mine:
            locked = {p.name: p.version for p in solution.packages if p.manager == "conda"}
            lines += ["", f"[feature.{variant}.target.{solution.platform}.dependencies]"]
            lines += [f'{json.dumps(n)} = "=={locked[n]}"' for n in dict.fromkeys(names) if n in locked]
    return "\n".join(lines) + "\n"


def _spec_name(spec: str) -> str:
    """The package that a conda match spec names.

    >>> _spec_name("conda-forge::pytorch >=2")
    'pytorch'
    """
    return re.split(r"[\s=<>!~\[]", spec.split("::")[-1].strip(), maxsplit=1)[0].lower()


def channel_url(channel: str) -> str:
    """A channel's address; pixi and rattler want one that ends with a slash.

    >>> channel_url("conda-forge")
    'https://conda.anaconda.org/conda-forge/'
    """
    return (channel if "://" in channel else f"{_CHANNELS}/{channel}").rstrip("/") + "/"
