"""A suite's failures as GitHub's workflow commands: it shows them at the lines of a change.

Format: docs.github.com, "Workflow commands for GitHub Actions". GitHub shows ten errors and ten warnings of a
step, so no more are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl.model.suite import Verdict
from coursectl.ui.suite_words import number_words, numbers_off, place_of, roots, warning_groups

if TYPE_CHECKING:
    from coursectl.model.suite import CaseResult, SuiteReport

_MOST = 10


def workflow_commands(report: SuiteReport, course: Path, checkout: Path | None) -> Iterator[str]:
    """One line for each failure and each warning.

    Args:
        report: what came of the suite.
        course: the course folder, in which notebooks are found.
        checkout: the repository's folder (``GITHUB_WORKSPACE``), to which paths are relative.
    """
    errors = [line for case in report.cases for line in _errors(case, course, checkout)]
    yield from errors[:_MOST]
    for group in warning_groups(report)[:_MOST]:
        name, _, rest = group.place.partition(", ")
        text = f"{group.category}: {group.message} ({rest}; {group.count} times)"
        yield _command("warning", _file(name, course, checkout), None, group.category, text)


def _errors(case: CaseResult, course: Path, checkout: Path | None) -> Iterator[str]:
    if case.verdict in {Verdict.OK, Verdict.SKIPPED}:
        return
    file = _file(case.notebook, course, checkout)
    path = course / case.notebook
    said = False
    for error in roots(case):
        place = place_of(error.cell, error.line)
        line = line_in_file(path, error.cell, error.line or 1)
        yield _command("error", file, line, f"{case.notebook}, {place}", f"{error.name}: {error.message}")
        said = True
    for number in numbers_off(case):
        line = line_in_file(path, number.cell, 1)
        yield _command("error", file, line, f"{case.notebook}, cell {number.cell}", number_words(number))
        said = True
    if not said:
        yield _command("error", file, None, case.notebook, f"{case.verdict}: {case.reason}")


def line_in_file(path: Path, cell: int, line: int) -> int | None:
    """Where line `line` of cell `cell` stands in the notebook's file; ``None`` where it cannot be said."""
    from coursectl.errors import CourseFileError
    from coursectl.notebooks import read_notebook

    try:
        found = next((c for c in read_notebook(path, path.name).cells if c.number == cell), None)
    except CourseFileError:
        return None
    if found is None:
        return None
    if path.suffix != ".ipynb":
        return found.line + line - 1
    rows = found.source.split("\n")
    if not 1 <= line <= len(rows):
        return None
    text = path.read_text(encoding="utf-8-sig")
    starts = [m.start() for m in re.finditer(r'"cell_type"\s*:', text)]  # in text it would be \"cell_type\"
    if len(starts) < cell:
        return None
    begin = starts[cell - 1]
    end = starts[cell] if cell < len(starts) else len(text)
    for row in rows[line - 1 : line]:
        for form in (json.dumps(row, ensure_ascii=False), json.dumps(row)):
            at = text.find(form[:-1], begin, end)
            if at >= 0:
                return text.count("\n", 0, at) + 1
    return text.count("\n", 0, begin) + 1


def _file(name: str, course: Path, checkout: Path | None) -> str:
    path = (course / name).absolute()
    if checkout is not None and path.is_relative_to(checkout.absolute()):
        return path.relative_to(checkout.absolute()).as_posix()
    return name


def _command(level: str, file: str, line: int | None, title: str, message: str) -> str:
    """One workflow command.

    >>> _command("error", "a,b.ipynb", 3, "t", "100%\\nwrong")
    '::error file=a%2Cb.ipynb,line=3,title=t::100%25%0Awrong'
    """
    fields = {"file": file, "line": None if line is None else str(line), "title": title}
    words = ",".join(f"{k}={_escaped(v, fields=True)}" for k, v in fields.items() if v is not None)
    return f"::{level} {words}::{_escaped(message.strip(), fields=False)}"


def _escaped(text: str, *, fields: bool) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if fields else text
