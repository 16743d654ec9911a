"""Why a document does not fit the model, in the words of the person who wrote it.

msgspec judges fast but says ``$.environments[...]`` and stops at the first fault. Only where it refuses a
document does this module walk the same structs and say key, line, allowed values and did-you-mean.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import msgspec.inspect as types

from coursectl.documents import Data, Document, KeyPath, did_you_mean, dotted
from coursectl.errors import CourseFileError, Hint

_MOST = 5
"""Further faults named beside the first: enough for one round of mending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong at `where`."""

    where: KeyPath
    message: str
    cause: str | None = None
    hints: tuple[str, ...] = ()


def explain(document: Document, model: type, fallback: str) -> CourseFileError:
    """The error for a `document` that `model` refuses; `fallback` is what msgspec said of it."""
    faults = list(_struct(document.data, types.type_info(model), ()))
    if not faults:
        return document.error((), fallback)
    faults.sort(key=lambda f: document.line(f.where) or 0)
    first, *others = faults
    hints: tuple[Hint | str, ...] = first.hints
    hints += tuple(f"also wrong: {document.error(f.where, f.message)}" for f in others[:_MOST])
    return document.error(first.where, first.message, cause=first.cause, hints=hints)


def _struct(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    assert isinstance(kind, types.StructType)
    if not isinstance(data, dict):
        example = ", ".join(f"{f.encode_name}:" for f in kind.fields[:3])
        yield _not(data, where, f"a mapping with keys such as {example}")
        return
    fields = {field.encode_name: field for field in kind.fields}
    for key, value in data.items():
        if key not in fields:
            yield Fault(
                where=(*where, key),
                message=f"there is no key {dotted((*where, key))}",
                cause=f"allowed here: {', '.join(fields)}",
                hints=did_you_mean(key, fields),
            )
        else:
            yield from _value(value, fields[key].type, (*where, key))
    for name, field in fields.items():
        if field.required and name not in data:
            yield Fault(
                where=where,
                message=f"the key {dotted((*where, name))} is missing",
                cause=_description(field.type),
            )


def _value(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    while isinstance(kind, types.Metadata):
        kind = kind.type
    if isinstance(kind, types.UnionType):
        yield from _union(data, kind, where)
        return
    for cls, check in _CHECKS:
        if isinstance(kind, cls):
            yield from check(data, kind, where)
            return


def _union(data: Data, kind: types.UnionType, where: KeyPath) -> Iterator[Fault]:
    if data is None and any(isinstance(t, types.NoneType) for t in kind.types):
        return
    choices = [t for t in kind.types if not isinstance(t, types.NoneType)]
    if len(choices) == 1:
        yield from _value(data, choices[0], where)
    elif isinstance(data, list):
        yield from _value(data, next(t for t in choices if isinstance(t, types.ListType)), where)
    elif not isinstance(data, str):
        yield _not(data, where, "a text or a list")


def _list(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    assert isinstance(kind, types.ListType)
    if not isinstance(data, list):
        hints = (f"write [{data}]",) if isinstance(data, str) else ()
        yield _not(data, where, "a list", hints)
        return
    if kind.min_length and len(data) < kind.min_length:
        yield Fault(where=where, message=f"{dotted(where)} is empty", cause="it needs at least one item")
    for number, item in enumerate(data):
        yield from _value(item, kind.item_type, (*where, number))


def _dict(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    assert isinstance(kind, types.DictType)
    if not isinstance(data, dict):
        yield _not(data, where, "a mapping of names")
        return
    if kind.min_length and len(data) < kind.min_length:
        yield Fault(where=where, message=f"{dotted(where)} is empty", cause="it needs at least one entry")
    for key, value in data.items():
        yield from _value(value, kind.value_type, (*where, key))


def _choice(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    if isinstance(kind, types.EnumType):
        allowed = [str(member.value) for member in kind.cls if isinstance(member, enum.Enum)]
    else:
        assert isinstance(kind, types.LiteralType)
        allowed = [str(value) for value in kind.values]
    if data not in allowed:
        hints = did_you_mean(data, allowed) if isinstance(data, str) else ()
        yield Fault(
            where=where,
            message=f"{dotted(where)} is {_shown(data)}",
            cause=f"allowed: {', '.join(allowed)}",
            hints=hints,
        )


def _number(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    assert isinstance(kind, (types.IntType, types.FloatType))
    whole = isinstance(kind, types.IntType)
    try:
        number = (int if whole else float)(data if isinstance(data, str) else "")
    except ValueError:
        yield _not(data, where, "a whole number" if whole else "a number")
        return
    limits: list[str] = []
    fits = True
    for limit, words, fit in (
        (kind.ge, "at least", kind.ge is None or number >= kind.ge),
        (kind.gt, "more than", kind.gt is None or number > kind.gt),
        (kind.lt, "less than", kind.lt is None or number < kind.lt),
    ):
        if limit is not None:
            limits.append(f"{words} {limit:,}")
            fits = fits and fit
    if not fits:
        yield _not(data, where, " and ".join(limits))


def _day(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    assert isinstance(kind, types.DateType)
    try:
        date.fromisoformat(data if isinstance(data, str) else "")
    except ValueError:
        yield _not(data, where, "a day, written 2026-08-24")


def _text(data: Data, kind: types.Type, where: KeyPath) -> Iterator[Fault]:
    assert isinstance(kind, types.StrType)
    if not isinstance(data, str):
        yield _not(data, where, "a text")


def _not(data: Data, where: KeyPath, wanted: str, hints: tuple[str, ...] = ()) -> Fault:
    name = dotted(where) or "the file"
    return Fault(
        where=where, message=f"{name} is {_shown(data)}", cause=f"it has to be {wanted}", hints=hints
    )


def _shown(data: Data) -> str:
    if data is None:
        return "empty"
    if isinstance(data, str):
        return repr(data if len(data) <= 60 else data[:57] + "...")
    return "a list" if isinstance(data, list) else "a mapping"


def _description(kind: types.Type) -> str | None:
    if isinstance(kind, types.Metadata) and kind.extra_json_schema:
        found = kind.extra_json_schema.get("description")
        return str(found).rstrip(".") if found else None
    return None


_CHECKS: tuple[tuple[type, Callable[[Data, types.Type, KeyPath], Iterator[Fault]]], ...] = (
    (types.StructType, _struct),
    (types.DictType, _dict),
    (types.ListType, _list),
    (types.EnumType, _choice),
    (types.LiteralType, _choice),
    (types.IntType, _number),
    (types.FloatType, _number),
    (types.DateType, _day),
    (types.StrType, _text),
)
