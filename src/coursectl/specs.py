"""What an environment's spec file asks for: environment.yml, requirements files, and apt.txt beside them.

Nothing is lost: every line becomes a spec, a notice or an error that names file and line. The file itself
stays the source of truth; engines and digests read it through here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from coursectl import documents
from coursectl.documents import Document, KeyPath, did_you_mean, dotted
from coursectl.model.platform import Platform
from coursectl.specs_conda import selector, spec_name, spec_problem
from coursectl.specs_pip import PipLine, Requirements, read_pip_list, read_requirements
from coursectl.within import channel_problem, shown

__all__ = [
    "AptLine",
    "CondaLine",
    "CondaSpec",
    "PipLine",
    "Requirements",
    "read_apt",
    "read_conda_spec",
    "read_requirements",
]

APT_FILE = "apt.txt"
"""Debian packages for the image; repo2docker's name for the file."""

_KEYS = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaLine:
    """One conda dependency. `platforms` are those of its selector comment, ``None`` for all."""

    name: str
    text: str
    line: int
    platforms: tuple[Platform, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AptLine:
    """One Debian package of an apt.txt."""

    name: str
    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSpec:
    """An environment.yml. `file` is relative to the course folder; `files` are all that were read for it.

    `variables` are recorded and not set by coursectl; `notices` say so, and say what else has no effect.
    """

    file: str
    channels: tuple[str, ...]
    lines: tuple[CondaLine, ...]
    pip: Requirements
    variables: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def specs(self, platform: Platform) -> tuple[str, ...]:
        """The conda match specs for one platform, in the file's order."""
        return tuple(x.text for x in self.lines if x.platforms is None or platform in x.platforms)


def read_conda_spec(spec: str, root: Path) -> CondaSpec:
    """Read an environment.yml.

    Args:
        spec: the file, relative to the course folder `root`, with ``/``.

    Raises:
        CourseFileError: it is wrong, or holds what cannot be locked; the message names file and line.
    """
    document = documents.load(root / spec, label=spec)
    return _CondaReader(document, spec, root).read()


def read_apt(spec: str, root: Path) -> tuple[AptLine, ...]:
    """The Debian packages of the apt.txt beside the spec file `spec`; empty where there is none.

    Raises:
        CourseFileError: a line is not the name of a package.
    """
    folder = spec.rpartition("/")[0]
    file = f"{folder}/{APT_FILE}" if folder else APT_FILE
    if not (root / file).is_file():
        return ()
    found: list[AptLine] = []
    for number, raw in enumerate(documents.read_text(root / file, file).splitlines(), 1):
        row = raw.partition("#")[0].strip()
        if row and not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(=\S+)?", row):
            raise documents.file_error(
                file, number, f"{row!r} is not a Debian package", cause="one package a line, in lower case"
            )
        if row:
            found.append(AptLine(name=row, file=file, line=number))
    return tuple(found)


class _CondaReader:
    def __init__(self, document: Document, spec: str, root: Path) -> None:
        self.document = document
        self.spec = spec
        self.root = root
        self.rows = (root / spec).read_text(encoding="utf-8-sig").splitlines()
        self.notices: list[str] = []
        self.lines: list[CondaLine] = []
        self.pip_rows: list[tuple[int, str]] = []

    def read(self) -> CondaSpec:
        data = self.document.data
        if not isinstance(data, dict):
            raise self.document.error((), "not an environment file", cause="it has no key `dependencies`")
        for key in data:
            if key not in _KEYS:
                hints = did_you_mean(key, _KEYS)
                if key == "pip":
                    hints = ("the `pip:` list is an item of `dependencies`: write `  - pip:`",)
                raise self.document.error(
                    (key,), f"there is no key {key}", cause=f"allowed: {', '.join(_KEYS)}", hints=hints
                )
        self.dependencies(data.get("dependencies"))
        pip = read_pip_list(self.pip_rows, self.spec, self.root)
        if pip.lines and not any(x.name == "pip" for x in self.lines):
            self.notices.append(
                f"{self.spec}: the `pip:` list is locked by uv; conda would also want `- pip`"
            )
        for key in ("prefix", "platforms", "category"):
            if key in data:
                why = "course.yaml names the platforms" if key == "platforms" else "coursectl does not use it"
                self.notice((key,), f"`{key}:` is ignored: {why}")
        return CondaSpec(
            file=self.spec,
            channels=self.channels(data.get("channels")),
            lines=tuple(self.lines),
            pip=pip,
            variables=self.variables(data.get("variables")),
            notices=(*self.notices, *pip.notices),
            files=(self.spec, *pip.files),
        )

    def notice(self, where: KeyPath, text: str) -> None:
        self.notices.append(f"{self.spec}:{self.document.line(where)}: {text}")

    def channels(self, data: documents.Data) -> tuple[str, ...]:
        found: list[str] = []
        if data is not None and not isinstance(data, list):
            raise self.document.error(("channels",), "channels is not a list", hints=(f"write [{data}]",))
        for number, channel in enumerate(data or ()):
            where = ("channels", number)
            problem = channel_problem(channel) if isinstance(channel, str) else "it is not a text"
            if problem is not None:
                raise self.document.error(where, f"{shown(str(channel))!r} is not a channel", cause=problem)
            assert isinstance(channel, str)
            if channel == "defaults":
                self.notice(where, "the channel `defaults` is left out: it differs from person to person")
            elif channel != "nodefaults":
                found.append(channel)
        return tuple(dict.fromkeys(found))

    def dependencies(self, data: documents.Data) -> None:
        if not isinstance(data, list) or not data:
            raise self.document.error(("dependencies",), "`dependencies` is not a list of packages")
        for number, item in enumerate(data):
            where: KeyPath = ("dependencies", number)
            if isinstance(item, str):
                self.dependency(where, item)
            elif isinstance(item, dict) and list(item) == ["pip"]:
                self.pip_list((*where, "pip"), item["pip"])
            else:
                raise self.document.error(
                    where,
                    "a dependency is a text, or the mapping `pip:` with a list",
                    cause="a `: ` in a line makes a mapping of it" if isinstance(item, dict) else None,
                )

    def dependency(self, where: KeyPath, text: str) -> None:
        problem = spec_problem(text)
        if problem is not None:
            raise self.document.error(where, f"{text!r} cannot be locked", cause=problem)
        line = self.document.line(where) or 0
        try:
            platforms = selector(self.rows[line - 1])
        except ValueError as exc:
            raise self.document.error(where, str(exc)) from exc
        self.lines.append(CondaLine(name=spec_name(text), text=text.strip(), line=line, platforms=platforms))

    def pip_list(self, where: KeyPath, data: documents.Data) -> None:
        if data is not None and not isinstance(data, list):
            raise self.document.error(where, "`pip:` is not a list", hints=("write one `- ` line a package",))
        for number, item in enumerate(data or ()):
            at = (*where, number)
            if not isinstance(item, str):
                raise self.document.error(at, f"{dotted(at)} is not a text")
            self.pip_rows.append((self.document.line(at) or 0, item))

    def variables(self, data: documents.Data) -> tuple[tuple[str, str], ...]:
        if data is None:
            return ()
        if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
            raise self.document.error(("variables",), "`variables` is not a mapping of names to texts")
        self.notice(("variables",), "`variables:` are recorded, but coursectl does not set them")
        return tuple((k, str(v)) for k, v in data.items())
