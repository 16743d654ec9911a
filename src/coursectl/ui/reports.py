"""A suite's report in the forms that were asked for beside the answer: files, and annotations in CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl import files

if TYPE_CHECKING:
    from coursectl.model.suite import SuiteReport
    from coursectl.ui.console import Console

PAGE = "index.html"


def write(report: SuiteReport, *, junit: Path | None, html: Path | None) -> tuple[Path, ...]:
    """Write the forms that were asked for, each whole or not at all; returns their paths.

    Args:
        report: what came of the suite.
        junit: the XML file, ``None``: not asked for.
        html: the folder of the page, ``None``: not asked for.

    Raises:
        CourseError: the system refuses to write there.
    """
    written = []
    if junit is not None:
        from coursectl.ui.report_junit import junit as junit_form

        files.write_atomic(junit, junit_form(report))
        written.append(junit)
    if html is not None:
        from coursectl.ui.report_html import page

        files.write_atomic(html / PAGE, page(report))
        written.append(html / PAGE)
    return tuple(written)


def annotate(report: SuiteReport, course: Path, console: Console) -> None:
    """Under GitHub Actions, its workflow commands: to stderr, because stdout is the answer."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from coursectl.ui.report_github import workflow_commands

    workspace = os.environ.get("GITHUB_WORKSPACE")
    for line in workflow_commands(report, course, Path(workspace) if workspace else None):
        console.err(line)
