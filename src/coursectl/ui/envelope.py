"""A result as one JSON document; imported only for ``--json``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date
from pathlib import PurePath
from typing import Any

from coursectl.model.report import ENVELOPE_SCHEMA, Outcome
from coursectl.model.semester import Semester


def to_json(command: tuple[str, ...], outcome: Outcome) -> str:
    """The envelope, schema 1: one line of JSON. Its keys are frozen by a contract test."""
    envelope = {
        "schema": ENVELOPE_SCHEMA,
        "command": command,
        "status": outcome.status,
        "data": outcome.data,
        "messages": outcome.messages,
        "exit_code": int(outcome.exit_code),
    }
    return json.dumps(plain(envelope), ensure_ascii=False)


def plain(value: Any) -> Any:
    """`value` in JSON's own types: a dataclass by its fields, a semester and a path as people write them.

    >>> from coursectl.model.semester import Semester
    >>> plain({"of": (Semester.parse("fall2026"), 1)})
    {'of': ['fall2026', 1]}

    Raises:
        TypeError: it has no JSON form: our bug.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Semester | PurePath | str):  # an enum of ours is a str too
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(v) for v in value]
    raise TypeError(f"no JSON form for {type(value).__name__}")
