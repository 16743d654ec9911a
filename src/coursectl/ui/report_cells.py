"""The cells of an executed notebook as HTML that can do nothing: escaped text, pictures as data, no scripts.

Format: nbformat 4 (nbformat.readthedocs.io, "The notebook file format"). What a notebook made as HTML (a
table of pandas) is shown in a frame without any rights, because it is somebody's program's output.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursectl.model.suite import CellError, CellWarning

LONGEST_TEXT = 20_000
"""Characters of one output that are shown."""
LARGEST_PICTURE = 3_000_000
"""Bytes of one picture, or of one piece of HTML, that are shown."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LINE = 1.35  # em: one line of a table in a frame
_FRAME_STYLE = (
    "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'\"><style>:root{color-scheme:light dark}body{margin:4px;font:14px system-ui,"
    "sans-serif}table{border-collapse:collapse}td,th{padding:2px 8px;text-align:right;"
    "border-bottom:1px solid #8888}</style>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedCell:
    """One cell of a notebook that ran; `number` counts all cells from 1."""

    number: int
    kind: str
    source: str
    outputs: tuple[Mapping[str, Any], ...] = ()


def executed_cells(path: Path) -> tuple[ExecutedCell, ...]:
    """The cells of an executed notebook; none where the file is gone or broken (a kernel was killed)."""
    try:
        found = json.loads(path.read_bytes())
        cells = found["cells"]
        return tuple(
            ExecutedCell(
                number=number,
                kind=str(cell.get("cell_type", "raw")),
                source=joined(cell.get("source")),
                outputs=tuple(o for o in cell.get("outputs", ()) if isinstance(o, dict)),
            )
            for number, cell in enumerate(cells, 1)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def joined(text: object) -> str:
    """A multi-line string of nbformat: one string, or a list of lines.

    >>> joined(["a\\n", "b"]), joined(None)
    ('a\\nb', '')
    """
    if isinstance(text, str):
        return text
    return "".join(str(part) for part in text) if isinstance(text, Sequence) else ""


def cell_html(
    cell: ExecutedCell,
    anchor: str,
    notebook: str,
    errors: Sequence[CellError] = (),
    warnings: Sequence[CellWarning] = (),
) -> Iterator[str]:
    """One cell; `anchor` is its id in the page, `notebook` what its frames are called."""
    if cell.kind == "markdown":
        yield f'<div class="cell text" id="{anchor}">{markdown_html(cell.source)}</div>'
        return
    state = " broken" if errors else ""
    yield f'<div class="cell code{state}" id="{anchor}"><p class="count">cell {cell.number}</p>'
    if cell.source.strip():
        yield f'<pre class="source"><code>{escape(cell.source)}</code></pre>'
    for warning in warnings:
        where = "" if warning.line is None else f"line {warning.line}: "
        if warning.file is not None:
            where = f"{warning.file}, {where}" if where else f"{warning.file}: "
        times = f" ({warning.count} times)" if warning.count > 1 else ""
        text = f"{where}{warning.category}: {warning.message.strip()}{times}"
        yield f'<p class="said warn"><b>Warning</b> {escape(text)}</p>'
    for number, output in enumerate(cell.outputs, 1):
        yield from _output(output, f"{notebook}, cell {cell.number}, output {number}")
    yield "</div>"


def _output(output: Mapping[str, Any], name: str) -> Iterator[str]:
    kind = output.get("output_type")
    if kind == "stream":
        said = "printed to stderr" if output.get("name") == "stderr" else "printed"
        yield _text(joined(output.get("text")), said)
    elif kind == "error":
        trace = output.get("traceback")
        text = "\n".join(str(t) for t in trace) if isinstance(trace, list) and trace else ""
        yield _text(text or f"{output.get('ename')}: {output.get('evalue')}", "error", "bad")
    elif kind in {"execute_result", "display_data"}:
        data = output.get("data")
        yield from _data(data if isinstance(data, dict) else {}, name)


def _data(data: Mapping[str, Any], name: str) -> Iterator[str]:
    """The richest form that needs no rights."""
    plain = joined(data.get("text/plain"))
    for kind in _PICTURES:
        if kind in data:
            yield _picture(kind, re.sub(r"\s", "", joined(data[kind])), name)
            return
    if "image/svg+xml" in data:
        encoded = base64.b64encode(joined(data["image/svg+xml"]).encode()).decode()
        yield _picture("image/svg+xml", encoded, name)
    elif "text/html" in data:
        yield _frame(joined(data["text/html"]), plain, name)
    elif "text/markdown" in data:
        yield f'<div class="text">{markdown_html(joined(data["text/markdown"]))}</div>'
    elif "text/latex" in data:
        yield _text(joined(data["text/latex"]), "result")
    elif plain:
        yield _text(plain, "result")
    elif data:
        yield f'<p class="note">not shown: {escape(", ".join(sorted(map(str, data))))}</p>'


def _picture(kind: str, encoded: str, name: str) -> str:
    if len(encoded) > LARGEST_PICTURE * 4 / 3:
        return f'<p class="note">a picture of {len(encoded) * 3 // 4:,} bytes is left out</p>'
    try:
        base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return '<p class="note">a picture that cannot be read is left out</p>'
    return f'<img src="data:{kind};base64,{encoded}" alt="picture: {escape(name, quote=True)}">'


def _frame(html: str, plain: str, name: str) -> str:
    if len(html) > LARGEST_PICTURE:
        return f'<p class="note">HTML of {len(html):,} characters is left out</p>' + _text(plain, "result")
    lines = html.count("<tr") or min(plain.count("\n") + 2, 20)
    height = min(40.0, 2.0 + _LINE * max(1, lines))
    return (
        f'<iframe sandbox title="{escape(name, quote=True)}" style="height:{height:.1f}em" '
        f'srcdoc="{escape(_FRAME_STYLE + html, quote=True)}"></iframe>'
    )


def _text(text: str, said: str, look: str = "") -> str:
    text = _ANSI.sub("", text)
    if len(text) > LONGEST_TEXT:
        left = len(text) - LONGEST_TEXT
        half = LONGEST_TEXT // 2
        text = f"{text[:half]}\n... {left:,} characters left out ...\n{text[-half:]}"
    return f'<p class="what">{said}</p><pre class="output {look}">{escape(text)}</pre>'


def markdown_html(source: str) -> str:
    """The Markdown of a cell with its headings, code and emphasis; everything else as it was written.

    Headings are no headings of the page: they would break its order for who reads by them.

    >>> markdown_html("## A <b>title</b>\\n\\nIt is **so**.")
    '<p class="h">A &lt;b&gt;title&lt;/b&gt;</p><p>It is <strong>so</strong>.</p>'
    """
    found: list[str] = []
    for n, block in enumerate(re.split(r"^```[^\n]*$", source, flags=re.MULTILINE)):
        if n % 2:
            found.append(f'<pre class="source"><code>{escape(block.strip(chr(10)))}</code></pre>')
            continue
        for paragraph in re.split(r"\n[ \t]*\n", block):
            found += _paragraph(paragraph.strip("\n"))
    return "".join(found)


def _paragraph(text: str) -> Iterator[str]:
    heading = re.match(r"[ ]{0,3}#{1,6}[ \t]+([^\n]*)\n?", text)
    if heading is not None:
        yield f'<p class="h">{_inline(heading[1].rstrip("# "))}</p>'
        text = text[heading.end() :]
    if text.strip():
        yield f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    """Code, strong and emphasis of one paragraph.

    >>> _inline("*so* is `a * b * c`, 2 * 3")
    '<em>so</em> is <code>a * b * c</code>, 2 * 3'
    """
    found = []
    for n, part in enumerate(re.split(r"`([^`\n]+)`", escape(text))):
        if n % 2:
            found.append(f"<code>{part}</code>")
            continue
        part = re.sub(r"\*\*([^*\n]+)\*\*", r"<strong>\1</strong>", part)
        found.append(re.sub(r"(?<![\w*])\*([^\s*][^*\n]*)\*(?![\w*])", r"<em>\1</em>", part))
    return "".join(found)
