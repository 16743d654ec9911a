"""Strict YAML: the part of the language that a person writes by hand, and nothing that can hurt.

Aliases, anchors, merge keys and tags are refused (a 430-byte file of merges took PyYAML's ``safe_load`` a
minute), as are duplicate keys, a second document, deep nesting and big files. Scalars stay text, so
``python: 3.10`` is not 3.1 and ``no`` is not false: the model says what a text means. Events come one by
one from libyaml where PyYAML has it, so a refusal happens before the rest of the file is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from coursectl.errors import CourseFileError, Hint

if TYPE_CHECKING:
    from yaml.events import Event, NodeEvent

MAX_BYTES = 1_000_000
"""A file written by a person is smaller than this."""
MAX_DEPTH = 30
"""Lists and mappings within each other; course.yaml needs six."""

Data: TypeAlias = Union[str, list["Data"], dict[str, "Data"], None]  # noqa: UP007  (recursive: needs the text form)
"""What a document holds: mappings, lists, text and nothing (``key:``, ``~`` and ``null``)."""
KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and list positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A YAML file that was read. `label` names it to the reader, `lines` maps dotted keys to lines from 1.

    A list item is ``dependencies[2]``; the document itself is the empty key.
    """

    path: Path
    label: str
    data: Data
    lines: Mapping[str, int]

    def line(self, where: KeyPath) -> int | None:
        """The line of `where`, or of the nearest thing around it that has one."""
        for end in range(len(where), -1, -1):
            found = self.lines.get(dotted(where[:end]))
            if found is not None:
                return found
        return None

    def error(
        self,
        where: KeyPath,
        message: str,
        *,
        cause: str | None = None,
        hints: tuple[Hint | str, ...] = (),
    ) -> CourseFileError:
        """The error for the value at `where`: ``course.yaml:12: message``."""
        return file_error(self.label, self.line(where), message, cause=cause, hints=hints)


def file_error(
    label: str,
    line: int | None,
    message: str,
    *,
    cause: str | None = None,
    hints: tuple[Hint | str, ...] = (),
) -> CourseFileError:
    """An error that names the file and, where known, the line.

    >>> str(file_error("course.yaml", 3, "no name"))
    'course.yaml:3: no name'
    """
    place = label if line is None else f"{label}:{line}"
    return CourseFileError(f"{place}: {message}", cause=cause, hints=hints)


def dotted(where: KeyPath) -> str:
    """The dotted form of a way.

    >>> dotted(("environments", "phys398", "channels", 0))
    'environments.phys398.channels[0]'
    """
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def did_you_mean(word: str, allowed: Iterable[str]) -> tuple[str, ...]:
    """A hint with the nearest allowed word; no hint where none is near.

    >>> did_you_mean("chanels", ["channels", "spec"])
    ('did you mean channels?',)
    >>> did_you_mean("x", ["channels"])
    ()
    """
    import difflib  # 5 ms that only an error needs

    near = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return (f"did you mean {near[0]}?",) if near else ()


def read_text(path: Path, label: str, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of a file that a person wrote: UTF-8, with or without a byte order mark.

    Raises:
        CourseFileError: it is missing, unreadable, too big or not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
    except FileNotFoundError as exc:
        raise CourseFileError(f"{label}: there is no such file", cause=f"looked at {path}") from exc
    except OSError as exc:
        raise CourseFileError(f"{label}: cannot be read", cause=exc.strerror) from exc
    if len(raw) > max_bytes:
        raise CourseFileError(
            f"{label}: larger than {max_bytes:,} bytes", cause="a file written by a person is smaller"
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise file_error(
            label,
            1,
            "the file is UTF-16",
            cause="`>` in Windows PowerShell writes UTF-16",
            hints=("save it as UTF-8, or write it with `... | Out-File -Encoding utf8 FILE`",),
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise file_error(
            label,
            line,
            f"the byte 0x{raw[exc.start]:02x} is not UTF-8",
            hints=("save the file as UTF-8",),
        ) from exc


def load(path: Path, *, label: str | None = None) -> Document:
    """Read a YAML file strictly.

    Raises:
        CourseFileError: it is missing, not UTF-8, not YAML, or uses what is refused (see the module).
    """
    shown = label or path.name
    return parse(read_text(path, shown), path=path, label=shown)


def parse(text: str, *, path: Path, label: str) -> Document:
    """Read YAML text strictly; `path` and `label` are for messages.

    Raises:
        CourseFileError: as `load`.

    >>> parse("a: {b: [1, no]}", path=Path("x"), label="x").data
    {'a': {'b': ['1', 'no']}}
    """
    import yaml

    builder = _Builder(label)
    loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = builder.document(iter(yaml.parse(text, Loader=loader)))
    except yaml.MarkedYAMLError as exc:
        raise _syntax_error(text, label, exc) from exc
    except yaml.YAMLError as exc:  # a control character: the reader gives no line
        line = next((n for n, row in enumerate(text.split("\n"), 1) if not _printable(row)), None)
        raise file_error(
            label, line, "a control character", hints=("delete it, or retype the line",)
        ) from exc
    return Document(path=path, label=label, data=data, lines=builder.lines)


def _printable(row: str) -> bool:
    return all(c in "\t\r" or (c >= " " and c not in "\x7f\ufffe\uffff") for c in row)


def _syntax_error(text: str, label: str, exc: Exception) -> CourseFileError:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    number = None if mark is None else mark.line + 1
    rows = text.split("\n")
    for candidate in () if number is None else (number, number - 1):
        row = rows[candidate - 1] if 0 < candidate <= len(rows) else ""
        if "\t" in row[: len(row) - len(row.lstrip())]:
            return file_error(
                label, candidate, "indented with a tab", hints=("YAML is indented with spaces: use two",)
            )
    problem = str(getattr(exc, "problem", None) or exc)
    context = getattr(exc, "context", None)
    return file_error(label, number, f"not YAML: {problem}", cause=None if context is None else str(context))


class _Builder:
    """Turns events into data and remembers the line of every key."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.lines: dict[str, int] = {}

    def document(self, events: Iterator[Event]) -> Data:
        from yaml import events as kinds

        data: Data = None
        seen = False
        for event in events:
            if isinstance(event, kinds.DocumentStartEvent):
                if seen:
                    raise self._refuse(event, "a second document (`---`)", "one file holds one document")
                if event.tags:
                    raise self._refuse(event, "a %TAG directive", "tags are refused")
                seen = True
                data = self._node(next(events), events, (), 0)
        return data

    def _refuse(self, event: Event, what: str, why: str) -> CourseFileError:
        return file_error(self.label, _line(event), f"{what} is not allowed", cause=why)

    def _check(self, event: NodeEvent, depth: int) -> None:
        if event.anchor is not None:
            from yaml.events import AliasEvent

            sign = "*" if isinstance(event, AliasEvent) else "&"
            what = "an alias" if sign == "*" else "an anchor"
            raise self._refuse(
                event, f"{what} ({sign}{event.anchor})", "write the value out: files stay readable and small"
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._refuse(event, f"a tag ({tag})", "values are text, lists and mappings")
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"nesting deeper than {MAX_DEPTH}", "no file of a course needs it")

    def _node(self, event: Event, events: Iterator[Event], where: KeyPath, depth: int) -> Data:
        from yaml import events as kinds

        assert isinstance(event, kinds.NodeEvent)
        self._check(event, depth)
        self.lines.setdefault(dotted(where), _line(event))
        if isinstance(event, kinds.ScalarEvent):
            return _scalar(event)
        if isinstance(event, kinds.SequenceStartEvent):
            items: list[Data] = []
            while not isinstance(inner := next(events), kinds.SequenceEndEvent):
                items.append(self._node(inner, events, (*where, len(items)), depth + 1))
            return items
        return self._mapping(events, where, depth)

    def _mapping(self, events: Iterator[Event], where: KeyPath, depth: int) -> dict[str, Data]:
        from yaml import events as kinds

        mapping: dict[str, Data] = {}
        first: dict[str, int] = {}
        while not isinstance(event := next(events), kinds.MappingEndEvent):
            if isinstance(event, kinds.NodeEvent):
                self._check(event, depth + 1)
            if not isinstance(event, kinds.ScalarEvent):
                raise self._refuse(event, "a list or mapping as a key", "a key is a word")
            key, line = event.value, _line(event)
            if not event.style and key == "<<":
                raise self._refuse(event, "a merge key (<<)", "write the values out")
            if _scalar(event) is None:
                raise self._refuse(event, "an empty key", "a key is a word")
            if key in mapping:
                raise file_error(
                    self.label,
                    line,
                    f"the key {dotted((*where, key))} is there twice",
                    cause=f"the first is on line {first[key]}",
                )
            first[key] = line
            self.lines[dotted((*where, key))] = line
            mapping[key] = self._node(next(events), events, (*where, key), depth + 1)
        return mapping


def _line(event: Event) -> int:
    mark = event.start_mark
    assert mark is not None  # both parsers mark every event
    return mark.line + 1


def _scalar(event: object) -> str | None:
    style, value = getattr(event, "style", None), getattr(event, "value", "")
    assert isinstance(value, str)
    # libyaml calls a plain scalar's style "" or None, by version; quoted ones have their quote
    return None if style in (None, "") and value in ("", "~", "null", "Null", "NULL") else value
