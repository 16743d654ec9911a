"""A suite's report as JUnit XML, the form that CI systems read.

The shape is the one of Jenkins' xUnit plugin (jenkinsci/xunit-plugin, junit-10.xsd), which GitLab and others
read too: testsuites > testsuite > testcase, each testcase with at most one of failure, error and skipped.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from coursectl.model.suite import Verdict
from coursectl.ui.suite_words import cascades, number_words, numbers_off, place_of, roots

if TYPE_CHECKING:
    from coursectl.model.suite import CaseResult, SuiteReport

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LONGEST_OUTPUT = 20_000  # characters of a notebook's printed text


def junit(report: SuiteReport) -> bytes:
    """The report as an XML document in UTF-8."""
    of = {v: sum(c.verdict is v for c in report.cases) for v in Verdict}
    numbers = {
        "tests": str(len(report.cases)),
        "failures": str(of[Verdict.FAILED]),
        "errors": str(of[Verdict.TIMED_OUT] + of[Verdict.KILLED]),
        "time": f"{report.seconds:.3f}",
    }
    name = f"{report.course} {report.semester} {report.environment} {report.variant}"
    top = Xml.Element("testsuites", {"name": "coursectl smoke", **numbers})
    suite = Xml.SubElement(top, "testsuite", {"name": name, **numbers, "skipped": str(of[Verdict.SKIPPED])})
    properties = Xml.SubElement(suite, "properties")
    for key in ("course", "semester", "environment", "variant", "platform", "mode", "digest"):
        Xml.SubElement(properties, "property", {"name": key, "value": _clean(str(getattr(report, key)))})
    for case in report.cases:
        suite.append(_case(case))
    Xml.indent(top)
    content: bytes = Xml.tostring(top, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _case(case: CaseResult) -> Xml.Element:
    folder, _, name = case.notebook.rpartition("/")
    seconds = f"{case.seconds:.3f}"
    element = Xml.Element(
        "testcase", {"classname": _clean(folder or "."), "name": _clean(name), "time": seconds}
    )
    reason = _clean(case.reason or "")
    message = reason.partition("\n")[0]
    if case.verdict is Verdict.SKIPPED:
        Xml.SubElement(element, "skipped", {"message": message})
    elif case.verdict is Verdict.FAILED:
        kind = roots(case)[0].name if roots(case) else "number"
        failure = Xml.SubElement(element, "failure", {"message": message, "type": _clean(kind)})
        failure.text = _text(case)
    elif case.verdict is not Verdict.OK:
        error = Xml.SubElement(element, "error", {"message": message, "type": str(case.verdict)})
        error.text = _text(case)
    printed = _printed(case)
    if case.cached:
        printed = f"{reason}\n{printed}" if case.verdict is Verdict.OK else f"from an earlier run\n{printed}"
    if printed:
        Xml.SubElement(element, "system-out").text = _clean(printed)
    return element


def _text(case: CaseResult) -> str:
    """What a person needs to find the fault: errors with their tracebacks, numbers that are off."""
    parts = [] if case.reason is None else [case.reason]
    for error in roots(case):
        parts.append(f"{place_of(error.cell, error.line)}: {error.name}: {error.message}")
        if after := cascades(case, error.cell):
            parts.append(f"because of it failed: cell {', '.join(str(e.cell) for e in after)}")
        parts.append(error.traceback)
    parts += [f"{place_of(n.cell, None)}: {number_words(n)}" for n in numbers_off(case)]
    return _clean("\n".join(parts))


def _printed(case: CaseResult) -> str:
    """The text that the notebook's cells printed, from the executed notebook."""
    if case.executed is None:
        return ""
    from coursectl.ui.report_cells import executed_cells, joined

    streams = [
        joined(output.get("text"))
        for cell in executed_cells(Path(case.executed))
        for output in cell.outputs
        if output.get("output_type") == "stream"
    ]
    text = "".join(streams)
    if len(text) > _LONGEST_OUTPUT:
        cut = len(text) - _LONGEST_OUTPUT
        text = f"{text[:_LONGEST_OUTPUT]}\n({cut:,} more characters)"
    return text


def _clean(text: str) -> str:
    """`text` without colours and without the characters that XML cannot have.

    >>> _clean("\\x1b[31mred\\x1b[0m\\x00")
    'red'
    """
    return _NOT_XML.sub("", _ANSI.sub("", text))
