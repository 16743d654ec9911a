"""From the solver's words to ours: which package is at fault, why, and what to change. Pure.

The solver (resolvo) reports a conflict as a tree of lines::

    pytorch 2.7.* cannot be installed because there are no viable options:
    └─ pytorch 2.7.1 would require
       └─ __cuda *, for which no candidates were found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coursectl.model.course import BASE_VARIANT
from coursectl.model.platform import VirtualPackage

_ROOT = re.compile(r"No candidates were found for (?P<name>[^\s,]+)(?: (?P<spec>[^\n]*?))?\.?$", re.MULTILINE)
_WANTS = re.compile(r"^(?P<who>[\w.-]+) (?P<versions>[^\n]*?) would require$")
_NEED = re.compile(
    r"^(?P<name>[\w.-]+)(?: (?P<spec>.*?))?, "
    r"(?P<rest>for which no candidates|which cannot be installed|which can be installed|which conflicts)"
)
_TOP = re.compile(
    r"^(?:Cannot solve the request because of: )?(?P<name>[\w.-]+)(?: (?P<spec>.*?))?,? "
    r"(?:cannot be installed because|which can be installed|can be installed with|cannot be installed)"
)
_SYSTEMS = {"__win": "Windows", "__osx": "macOS", "__linux": "Linux", "__unix": "Linux and macOS"}
_DRAWING = "│├└─ "


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`cause` is one line; `hints` say what to change, best first."""

    cause: str
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What was asked for.

    `declared` are the virtual packages that the variant has; `where` names channels and platform
    ("conda-forge for linux-64"); `file` is the spec file, `key` the variant's place in course.yaml.
    """

    specs: tuple[str, ...]
    declared: tuple[VirtualPackage, ...]
    where: str
    file: str
    key: str
    as_of: str | None


@dataclass(frozen=True, slots=True)
class _Need:
    who: str  # "pytorch 2.7.1", or "" for the course itself
    name: str
    spec: str
    absent: bool  # no package at all fits it


def explain(text: str, facts: Mapping[str, Any], situation: Situation) -> Explanation:
    """Say in one line why nothing fits, from the solver's `text` and the child's `facts` about names."""
    if facts.get("empty") and not facts.get("names", {}).get("", {}).get("versions"):
        first = _ROOT.search(text)
        known = facts.get("names", {}).get(first["name"] if first else "", {}).get("versions")
        if first and not known:
            return Explanation(
                cause=f"there are no packages at all in {situation.where}",
                hints=("take the platform out of `platforms`, or add a channel that has it",),
            )
    root = _ROOT.search(text)
    if root:
        return _absent(_Need("", root["name"], _spec(root["spec"]), True), facts, situation)
    needs = tuple(_needs(text))
    for need in needs:
        if need.absent and need.name.startswith("__"):
            return _virtual(need, situation)
    for need in needs:
        if need.absent:
            return _absent(need, facts, situation)
    return _conflict(text, needs, situation)


def _spec(text: str | None) -> str:
    """A version spec to read aloud; ``*`` says nothing.

    >>> _spec("* cuda*"), _spec("*"), _spec(">=2")
    ('cuda*', '', '>=2')
    """
    return re.sub(r"^\*(\s+|$)", "", (text or "").strip())


def _needs(text: str) -> Iterator[_Need]:
    """Every "who would require name spec" of the tree, in order."""
    open_nodes: list[tuple[int, str]] = []
    for line in text.splitlines():
        bare = line.lstrip(_DRAWING)
        depth = len(line) - len(bare)
        while open_nodes and open_nodes[-1][0] >= depth:
            open_nodes.pop()
        wants = _WANTS.match(bare)
        if wants:
            open_nodes.append((depth, f"{wants['who']} {_versions(wants['versions'])}"))
            continue
        need = _NEED.match(bare)
        if need and not need["rest"].endswith("conflicts"):
            who = open_nodes[-1][1] if open_nodes else ""
            yield _Need(who, need["name"], _spec(need["spec"]), need["rest"].startswith("for"))
        elif not open_nodes and (top := _TOP.match(bare)):
            yield _Need("", top["name"], _spec(top["spec"]), False)


def _versions(text: str) -> str:
    """The last and newest of the versions in a line of the tree.

    >>> _versions("2.0.0 | 2.1.0 | ... | 2.7.1"), _versions("2.7.1")
    ('2.7.1', '2.7.1')
    """
    return text.split("|")[-1].strip()


def _virtual(need: _Need, situation: Situation) -> Explanation:
    declared = next((v for v in situation.declared if v.name == need.name), None)
    has = f"this variant declares {declared.version}" if declared else "this variant declares none"
    wanted = re.search(r"\d+(\.\d+)*", need.spec)
    value = wanted[0] if wanted else "12.6" if need.name == "__cuda" else "1"
    package = _name(need.who)
    if need.name in _SYSTEMS and declared is None:
        first = f"{package} is for {_SYSTEMS[need.name]}: mark its line in {situation.file} with a selector"
    elif need.name == "__cuda" and situation.key.endswith(f".{BASE_VARIANT}"):
        first = f'move it to the `specs` of a variant that declares `__cuda: "{value}"` in course.yaml'
    else:
        first = f'set `{need.name}: "{value}"` under {situation.key} in course.yaml'
    return Explanation(
        cause=f"{need.who or 'the environment'} needs {need.name} {need.spec}".rstrip() + f"; {has}",
        hints=(first, f"or ask for another build or version of {package} in {situation.file}"),
    )


def _name(who: str) -> str:
    return who.split(" ")[0] or "the package"


def _asked(name: str, specs: Sequence[str]) -> str | None:
    """The course's own spec of `name`, ``None`` where it asks for no particular version.

    >>> _asked("numpy", ["python", "conda-forge::numpy >=2"])
    'conda-forge::numpy >=2'
    """
    for spec in specs:
        bare = spec.split("::")[-1].strip()
        found = re.match(r"[\w.-]+", bare)
        if found and found[0].lower() == name and bare != found[0]:
            return spec.strip()
    return None


def _absent(need: _Need, facts: Mapping[str, Any], situation: Situation) -> Explanation:
    """Nothing fits a need: the name is unknown, the version is, or it is too new for the as-of date."""
    fact = facts.get("names", {}).get(need.name, {})
    versions: Mapping[str, str] = fact.get("versions", {})
    what = f"{need.name} {need.spec}".rstrip()
    asked = _asked(need.name, situation.specs)
    if not versions:
        close = fact.get("close", [])
        who = f"{need.who} needs {what}, and there is" if need.who else "there is"
        return Explanation(
            cause=f"{who} no package called {need.name} in {situation.where}",
            hints=(
                *((f"did you mean {' or '.join(close)}? change it in {situation.file}",) if close else ()),
                *((f"take {need.name} out of {situation.file}, or add a channel that has it",)),
            ),
        )
    if need.who and asked:
        return Explanation(
            cause=f"{need.who} needs {what}; {situation.file} asks for {asked}",
            hints=(f"loosen {asked} or {_name(need.who)} in {situation.file}",),
        )
    newest, day = list(versions.items())[-1]
    who = f"{need.who} needs {what}, but " if need.who else f"no {what} in {situation.where}: "
    too_new = situation.as_of is not None and any(d > situation.as_of for d in versions.values() if d)
    if too_new and situation.as_of:
        old = [v for v, d in versions.items() if d and d <= situation.as_of]
        if not old:
            first = min(filter(None, versions.values()))
            return Explanation(
                cause=f"{who}its first is of {first}",
                hints=(f"move as_of to a later day, or take {need.name} out of {situation.file}",),
            )
        return Explanation(
            cause=f"{who}the newest of {situation.as_of} is {old[-1]}",
            hints=(f"ask for an older {need.name} in {situation.file}, or move as_of to a later day",),
        )
    return Explanation(
        cause=f"{who}the newest is {newest}" + (f" of {day}" if day else ""),
        hints=(f"change the version of {need.name} in {situation.file}",),
    )


def _conflict(text: str, needs: Sequence[_Need], situation: Situation) -> Explanation:
    """Two packages that want the same third one in different versions."""
    for name in dict.fromkeys(n.name for n in needs):
        if name == "python_abi":  # it follows python, which says it better
            continue
        first: _Need | None = None
        for need in needs:
            if need.name != name or not need.spec:
                continue
            if first is None:
                first = need
            elif need.spec != first.spec and _name(need.who) != _name(first.who):
                return _two(first, need, situation)
        asked = _asked(name, situation.specs)
        if first is not None and first.who and asked:
            return Explanation(
                cause=f"{first.who} needs {name} {first.spec}; {situation.file} asks for {asked}",
                hints=(f"loosen {asked} or {_name(first.who)} in {situation.file}",),
            )
    lines = [line.strip(_DRAWING) for line in text.splitlines()[:3]]
    return Explanation(
        cause=" ".join(lines).removeprefix("Cannot solve the request because of: ")[:300],
        hints=(f"loosen the versions in {situation.file}",),
    )


def _two(first: _Need, second: _Need, situation: Situation) -> Explanation:
    def said(need: _Need) -> str:
        asked = _asked(need.name, situation.specs) or f"{need.name} {need.spec}"
        return (
            f"{need.who} needs {need.name} {need.spec}" if need.who else f"{situation.file} asks for {asked}"
        )

    names = " or ".join(dict.fromkeys(_name(n.who) if n.who else n.name for n in (first, second)))
    return Explanation(
        cause=f"{said(first)}, but {said(second)}",
        hints=(f"loosen the version of {names} in {situation.file}",),
    )
