"""The outputs of a notebook as messages bring them, in nbformat's shape.

Source: the messaging protocol of jupyter_client ("Messages on the IOPub channel") and nbformat 4.5.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursectl import files

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SHOWN = ("display_data", "execute_result")


@dataclass(frozen=True, slots=True)
class Message:
    """What a kernel says. `size` is about what it weighs in bytes, for the limit on output.

    `kind` is the protocol's message type, or ``idle``: the cell is over.
    """

    kind: str
    content: Mapping[str, Any]
    size: int = 0


def plain(text: str) -> str:
    """`text` without terminal colours.

    >>> plain("\\x1b[0;31mNameError\\x1b[0m: x")
    'NameError: x'
    """
    return _COLOURS.sub("", text)


def weight(content: Mapping[str, Any]) -> int:
    """Roughly the bytes of a message's content.

    >>> weight({"name": "stdout", "text": "abc"}), weight({"data": {"text/plain": "1"}})
    (9, 1)
    """
    return sum(
        len(value) if isinstance(value, str) else weight(value) if isinstance(value, Mapping) else 0
        for value in content.values()
    )


class Outputs:
    """Collects a notebook's outputs cell by cell."""

    def __init__(self, notebook: Mapping[str, Any]) -> None:
        self.notebook: dict[str, Any] = copy.deepcopy(dict(notebook))
        self._shown: dict[str, list[MutableMapping[str, Any]]] = {}  # display_id -> the outputs it updates
        self._clear: set[int] = set()
        for cell in self.notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None

    def add(self, index: int, message: Message) -> None:
        """Take a message that belongs to the cell at `index` (from 0)."""
        outputs: list[MutableMapping[str, Any]] = self.notebook["cells"][index]["outputs"]
        kind, content = message.kind, message.content
        if kind == "clear_output":
            if content.get("wait"):
                self._clear.add(index)
            else:
                outputs.clear()
            return
        if kind not in {"stream", "error", "update_display_data", *_SHOWN}:
            return
        if kind == "update_display_data":
            self._update(content)
            return
        if index in self._clear:
            self._clear.discard(index)
            outputs.clear()
        if kind == "stream":
            _append_text(outputs, content)
        elif kind == "error":
            names = ("ename", "evalue", "traceback")
            outputs.append({"output_type": "error", **{name: content[name] for name in names}})
        else:
            self._show(outputs, kind, content)

    def _show(self, outputs: list[MutableMapping[str, Any]], kind: str, content: Mapping[str, Any]) -> None:
        output: dict[str, Any] = {
            "output_type": kind,
            "data": dict(content["data"]),
            "metadata": dict(content.get("metadata") or {}),
        }
        if kind == "execute_result":
            output["execution_count"] = content.get("execution_count")
        outputs.append(output)
        display = (content.get("transient") or {}).get("display_id")
        if display is not None:
            self._shown.setdefault(display, []).append(output)

    def _update(self, content: Mapping[str, Any]) -> None:
        for output in self._shown.get((content.get("transient") or {}).get("display_id", ""), ()):
            output["data"] = dict(content["data"])
            output["metadata"] = dict(content.get("metadata") or {})

    def ended(self, index: int, count: int | None) -> None:
        """The cell at `index` is over; `count` is what stands in its brackets."""
        self.notebook["cells"][index]["execution_count"] = count

    def write(self, path: Path) -> None:
        """Write the executed notebook.

        Raises:
            CourseError: the file cannot be written.
        """
        self.notebook["nbformat"], self.notebook["nbformat_minor"] = 4, 5
        metadata = self.notebook.setdefault("metadata", {})
        metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata.setdefault("language_info", {"name": "python"})
        text = json.dumps(self.notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        # half of a surrogate pair may be printed, but has no place in a file
        files.write_atomic(path, text.encode("utf-8", "replace"))


def _append_text(outputs: list[MutableMapping[str, Any]], content: Mapping[str, Any]) -> None:
    last = outputs[-1] if outputs else {}
    if last.get("output_type") == "stream" and last.get("name") == content["name"]:
        last["text"] += content["text"]
    else:
        outputs.append({"output_type": "stream", "name": content["name"], "text": content["text"]})
