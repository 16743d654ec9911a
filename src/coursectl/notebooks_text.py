"""Text notebooks: MyST Markdown, jupytext's Markdown, and scripts in jupytext's percent and light formats.

Cells are cut as jupytext cuts them, so that "cell 5" is the fifth that JupyterLab shows. In Markdown without
a jupytext header only ``python`` fences count; with one, fences of other languages are cells with a magic.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coursectl import documents
from coursectl.errors import CourseFileError
from coursectl.model.notebook import Notebook, NotebookCell, cell_tags, make_notebook, rows

_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,}|:{3,})\s*(?P<info>[^`]*)$")
_DIRECTIVE = re.compile(r"\{(code-cell|raw-cell)\}\s*(.*)")
_PYTHON = re.compile(r"i?python\d?|\{python\d?\}", re.IGNORECASE)
_LANGUAGES = frozenset({"bash", "sh", "perl", "ruby", "javascript", "js", "html", "latex", "svg", "r", "sql"})
"""Languages whose fences jupytext turns into cells with a ``%%`` magic, in a file with its header."""
_REGION = re.compile(r"\s*<!--\s*#(end)?(region|raw|md|markdown)\b(.*?)-->\s*$")
_OPTION = re.compile(r"([\w-]+)\s*=\s*(\[.*?\]|\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S+)")
_PERCENT = re.compile(r"#\s*%%(?:%*)(?:\s+(?P<options>.*))?$")
_KIND = re.compile(r"\[(markdown|md|raw)\]")
_COMMENTED_MAGIC = re.compile(r"#\s?((?:#\s?)*(?:[!?]|%{1,2}[A-Za-z]).*)")
_PREAMBLE = re.compile(r"#!|#.*coding[:=]")
_LIGHT_START = re.compile(r"#\s*\+(?:\s+(?P<options>.*))?$")


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A cell while it is read: `body` is its lines, the first of which is line `line` of the file."""

    kind: str
    line: int
    body: list[str] = field(default_factory=list)
    metadata: dict[str, object] = field(default_factory=dict)


def read_markdown(text: str, name: str) -> Notebook:
    """A notebook from MyST or jupytext Markdown; lines end with ``\\n``.

    Raises:
        CourseFileError: its YAML is wrong, or it has no header and no code.

    >>> book = read_markdown("# Title\\n```python\\n1 + 1\\n```\\n", "a.md")
    >>> [(c.number, c.kind, c.source, c.line) for c in book.cells]
    [(1, 'markdown', '# Title', 1), (2, 'code', '1 + 1', 3)]
    """
    lines = rows(text)
    header, start = _header(lines, name)
    jupytext = "jupytext" in header
    fences = (_FENCE.match(row) for row in lines)
    myst = _format_name(header) == "myst" or any(f and _DIRECTIVE.match(f["info"]) for f in fences)
    drafts = _Markdown(lines, name, myst=myst, jupytext=jupytext).drafts(start)
    if start and not myst and "jupyter" not in header:  # front matter of something else
        drafts.insert(0, _Draft(kind="raw", line=1, body=lines[:start]))
    if not jupytext and not any(d.kind == "code" for d in drafts):
        raise CourseFileError(f"{name}: not a notebook", cause="it has no code cell and no jupytext header")
    return make_notebook(name, "myst" if myst else "jupytext-md", _cells(drafts), header)


def _cells(drafts: Sequence[_Draft]) -> list[NotebookCell]:
    """Drafts without the blank lines around them; empty Markdown is no cell."""
    cells: list[NotebookCell] = []
    for draft in drafts:
        body, line = draft.body, draft.line
        while body and not body[0].strip():
            body, line = body[1:], line + 1
        while body and not body[-1].strip():
            body = body[:-1]
        if body or draft.kind != "markdown":
            cells.append(
                NotebookCell(
                    number=len(cells) + 1,
                    kind=draft.kind,
                    source="\n".join(body),
                    line=line if body else draft.line,
                    tags=cell_tags(draft.metadata),
                    metadata=draft.metadata,
                )
            )
    return cells


def _header(lines: list[str], name: str, *, comment: str = "") -> tuple[Mapping[str, object], int]:
    """The YAML between two ``---`` at the top, and the index of the line after it.

    ``jupyter: {jupytext: ..., kernelspec: ...}`` and the two without ``jupyter`` both occur.
    """
    strip = [re.sub(rf"^{comment} ?", "", row) if comment else row for row in lines]
    first = next((n for n, row in enumerate(lines) if row.strip() and not _PREAMBLE.match(row)), None)
    if first is None or strip[first].rstrip() != "---" or not lines[first].startswith(comment):
        return {}, 0
    for end in range(first + 1, len(lines)):
        if comment and not lines[end].startswith(comment):
            return {}, 0
        if strip[end].rstrip() in ("---", "..."):
            break
    else:
        return {}, 0
    data = _yaml(strip[first + 1 : end], name, first + 2)
    inner = data.get("jupyter")
    return (data | inner if isinstance(inner, dict) else data), end + 1


def _yaml(lines: list[str], name: str, line: int) -> dict[str, object]:
    """A mapping in YAML whose first line is line `line` of the file."""
    if not any(row.strip() for row in lines):
        return {}
    text = "\n" * (line - 1) + "\n".join(lines) + "\n"
    data = documents.parse(text, path=Path(name), label=name).data
    if not isinstance(data, dict):
        raise documents.file_error(name, line, "not a mapping of options", cause="write `tags: [hide-input]`")
    return dict(data)


def _format_name(header: Mapping[str, object]) -> str | None:
    """``jupytext.text_representation.format_name``."""
    at: object = header
    for key in ("jupytext", "text_representation", "format_name"):
        at = at.get(key) if isinstance(at, Mapping) else None
    return at if isinstance(at, str) else None


class _Markdown:
    """Cuts Markdown into cells. Fences that are no cells hide what is in them."""

    def __init__(self, lines: list[str], name: str, *, myst: bool, jupytext: bool) -> None:
        self.lines, self.name, self.myst, self.jupytext = lines, name, myst, jupytext
        self.found: list[_Draft] = []

    def drafts(self, start: int) -> list[_Draft]:
        at = start
        self.found.append(_Draft(kind="markdown", line=at + 1))
        while at < len(self.lines):
            row = self.lines[at]
            fence = _FENCE.match(row)
            region = None if self.myst else _REGION.match(row)
            if fence:
                at = self.fence(at, fence["mark"], fence["info"].strip())
            elif region and not region[1]:
                at = self.region(at, region[2], region[3])
            elif self.myst and row.startswith("+++"):
                self.text(at + 1, _json_options(row[3:]))
                at += 1
            elif not self.myst and len(two := self.lines[at : at + 2]) == 2 and not "".join(two).strip():
                self.text(at + 2, {})  # two blank lines part cells in jupytext's Markdown
                at += 2
            else:
                self.found[-1].body.append(row)
                at += 1
        return self.found

    def text(self, at: int, metadata: dict[str, object]) -> None:
        """Begin Markdown at index `at`."""
        self.found.append(_Draft(kind="markdown", line=at + 1, metadata=metadata))

    def fence(self, at: int, mark: str, info: str) -> int:
        """Read the fence that opens at index `at`; the index after it."""
        closing = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}\s*$")
        end = next((n for n in range(at + 1, len(self.lines)) if closing.match(self.lines[n])), None)
        stop = len(self.lines) if end is None else end
        # an indented fence belongs to a list; jupytext knows no cell with other marks than ```
        cell = self.lines[at].startswith(mark) and (self.myst or mark == "```")
        draft = self.cell(info, at + 1, stop) if cell else None
        after = stop + (end is not None)
        if draft is None:
            self.found[-1].body += self.lines[at:after]
        else:
            self.found.append(draft)
            self.text(after, {})
        return after

    def cell(self, info: str, start: int, stop: int) -> _Draft | None:
        """The cell of a fence with `info` and the lines from index `start`; ``None``: it is only text."""
        directive = _DIRECTIVE.match(info)
        if directive:
            kind = "code" if directive[1] == "code-cell" else "raw"
            body, metadata, skipped = self.options(start, stop)
            return _Draft(kind=kind, line=start + 1 + skipped, body=body, metadata=metadata)
        if self.myst:
            return None
        word = info.split(" ")[0]
        options = _options(info[len(word) :])
        if ".noeval" in info:
            return None
        body = self.lines[start:stop]
        if _PYTHON.fullmatch(word):
            return _Draft(kind="code", line=start + 1, body=body, metadata=options)
        if self.jupytext and word.lower() in _LANGUAGES:
            magic = f"%%{word}{' ' + info[len(word) :].strip() if info[len(word) :].strip() else ''}"
            return _Draft(kind="code", line=start, body=[magic, *body])
        return None

    def options(self, start: int, stop: int) -> tuple[list[str], dict[str, object], int]:
        """A directive's lines without its options, the options, and how many lines they take."""
        lines = self.lines[start:stop]
        if lines and lines[0].strip() == "---":
            end = next((n for n in range(1, len(lines)) if lines[n].strip() == "---"), None)
            if end is not None:
                return lines[end + 1 :], _yaml(lines[1:end], self.name, start + 2), end + 1
        count = len(list(itertools.takewhile(re.compile(r"\s*:[\w-]+:").match, lines)))
        texts = [re.sub(r"^\s*:([\w-]+):", r"\1:", row) for row in lines[:count]]
        return lines[count:], _yaml(texts, self.name, start + 1), count

    def region(self, at: int, kind: str, options: str) -> int:
        """Read ``<!-- #region -->`` to its end, one Markdown or raw cell; the index after it."""
        depth = 0
        for end in range(at, len(self.lines)):
            mark = _REGION.match(self.lines[end])
            depth += 0 if not mark or mark[2] != kind else -1 if mark[1] else 1
            if not depth:
                break
        else:  # it never ends: a comment like another
            self.found[-1].body.append(self.lines[at])
            return at + 1
        body = self.lines[at + 1 : end]
        self.found.append(
            _Draft(
                kind="raw" if kind == "raw" else "markdown",
                line=at + 2,
                body=body,
                metadata=_options(options),
            )
        )
        self.text(end + 1, {})
        return end + 1


def _json_options(text: str) -> dict[str, object]:
    """The metadata of a MyST block break ``+++ {"tags": ["x"]}``."""
    try:
        data = json.loads(text) if text.strip() else {}
    except ValueError:
        return {}  # words after +++ are a comment
    return data if isinstance(data, dict) else {}


def _options(text: str) -> dict[str, object]:
    """Options as jupytext writes them behind a cell's mark.

    >>> _options('Fit tags=["a", "b"] jupyter={"x": 1} name="n"')["tags"]
    ['a', 'b']
    """
    text = text.strip()
    if text.startswith("{"):  # jupytext 1.0 wrote JSON
        return _json_options(text)
    found: dict[str, object] = {}
    for key, value in _OPTION.findall(text):
        try:
            found[key] = json.loads(value)
        except ValueError:
            try:
                found[key] = ast.literal_eval(value)
            except (ValueError, SyntaxError):
                found[key] = value
    return found


def read_script(text: str, name: str) -> Notebook:
    """A notebook from a script in the percent format, or in the light one where its header says so.

    Raises:
        CourseFileError: its header is wrong, or it is a plain script.

    >>> book = read_script('# %% [markdown]\\n# Title\\n# %% tags=["x"]\\n# %matplotlib inline\\n', "a.py")
    >>> [(c.kind, c.source, c.tags) for c in book.cells]
    [('markdown', 'Title', ()), ('code', '%matplotlib inline', ('x',))]
    """
    lines = rows(text)
    header, start = _header(lines, name, comment="#")
    percent = any(_PERCENT.match(row) for row in lines)
    if not percent and "jupytext" not in header:
        raise CourseFileError(f"{name}: not a notebook", cause="it has no `# %%` and no jupytext header")
    light = _format_name(header) == "light" or not percent
    drafts = _light(lines, start) if light else _percent(lines, start)
    return make_notebook(name, "jupytext-py", _cells([_uncommented(d) for d in drafts]), header)


def _percent(lines: list[str], start: int) -> list[_Draft]:
    drafts = [_Draft(kind="code", line=start + 1)]
    for number, row in enumerate(lines[start:], start + 1):
        mark = _PERCENT.match(row)
        if mark is None:
            drafts[-1].body.append(row)
            continue
        options = mark["options"] or ""
        kind = _KIND.search(options)
        drafts.append(
            _Draft(
                kind="code" if kind is None else "raw" if kind[1] == "raw" else "markdown",
                line=number + 1,
                metadata=_options(options[kind.end() :] if kind else options),
            )
        )
    # what stands above the first mark is a cell only where something stands there
    return drafts if any(row.strip() for row in drafts[0].body) else drafts[1:]


def _light(lines: list[str], start: int) -> list[_Draft]:
    """Paragraphs: of comments alone is Markdown, of code a cell; ``# +`` to ``# -`` is a cell in any case."""
    drafts: list[_Draft] = []
    at = start
    while at < len(lines):
        mark = _LIGHT_START.match(lines[at])
        if mark:
            stop = at + 1
            while stop < len(lines) and not re.match(r"#\s*[-+](\s|$)", lines[stop]):
                stop += 1
            options = mark["options"] or ""
            kind = "markdown" if re.search(r"\[(markdown|md)\]", options) else "code"
            drafts.append(
                _Draft(kind=kind, line=at + 2, body=lines[at + 1 : stop], metadata=_options(options))
            )
            at = stop + (stop < len(lines) and bool(re.match(r"#\s*-(\s|$)", lines[stop])))
        elif not lines[at].strip():
            at += 1
        else:
            stop = _paragraph(lines, at)
            body = lines[at:stop]
            only = all(row.startswith("#") and not _COMMENTED_MAGIC.match(row) for row in body)
            drafts.append(_Draft(kind="markdown" if only else "code", line=at + 1, body=body))
            at = stop
    return drafts


def _paragraph(lines: list[str], start: int) -> int:
    """The index after the paragraph at `start`: a blank line ends it where its Python is complete."""
    stop = start
    while stop < len(lines):
        while (
            stop < len(lines)
            and lines[stop].strip()
            and not (stop > start and _LIGHT_START.match(lines[stop]))
        ):
            stop += 1
        following = next((n for n in range(stop, len(lines)) if lines[n].strip()), len(lines))
        if following == len(lines) or _LIGHT_START.match(lines[following]):
            return stop
        goes_on = lines[following][0].isspace() or re.match(r"(else|elif|except|finally)\b", lines[following])
        if not goes_on and (_complete(lines[start:stop]) or not _complete(lines[start:])):
            return stop
        stop = following
    return stop


def _complete(lines: list[str]) -> bool:
    try:
        ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _uncommented(draft: _Draft) -> _Draft:
    """A cell of a script as it is in the notebook: Markdown and magics are comments in the script."""
    body = list(draft.body)
    language = draft.metadata.get("language")
    if draft.kind != "code":
        quoted = "\n".join(body).strip()
        if quoted[:3] in ('"""', "'''") and quoted[-3:] == quoted[:3] and len(quoted) >= 6:
            return replace(draft, body=rows("\n".join(body).replace(quoted[:3], "")))
        return replace(draft, body=[re.sub(r"^#\s?", "", row) for row in body])
    first = next((row for row in body if row.strip()), "")
    foreign = re.match(r"#\s?%%(?!(?:time|timeit|capture|prun|memit|mprun)\b)[A-Za-z]", first)
    if isinstance(language, str) or foreign:
        body = [re.sub(r"^#\s?", "", row) for row in body]
        if isinstance(language, str):
            return replace(draft, body=[f"%%{language}", *body], line=draft.line - 1)
        return replace(draft, body=body)
    return replace(draft, body=[_COMMENTED_MAGIC.sub(r"\1", row) if row[:1] == "#" else row for row in body])
