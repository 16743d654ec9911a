"""A suite's report in words, as JUnit XML and as annotations."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from coursectl.errors import CourseError
from coursectl.model.report import Outcome
from coursectl.model.suite import CaseResult, CellError, NumberCheck, SuiteReport, Verdict
from coursectl.ui import reports, views
from coursectl.ui.console import Console
from coursectl.ui.envelope import to_json
from coursectl.ui.report_github import line_in_file, workflow_commands
from coursectl.ui.report_junit import junit
from smoke.report_kit import ATTACK, code, notebook, printed, sample, text


@pytest.fixture
def report(tmp_path: Path) -> SuiteReport:
    return sample(tmp_path / "executed")


def of(**case: object) -> SuiteReport:
    """A report of one case."""
    one = CaseResult(notebook="a.ipynb", **case)  # type: ignore[arg-type]
    return SuiteReport(
        course="c", semester="fall2026", environment="e", variant="cpu", platform="linux-64", mode="isolated",
        cases=(one,), seconds=1.0,
    )  # fmt: skip


def words(report: SuiteReport, *, verbose: bool = False) -> str:
    return "\n".join(views.lines(report, Console(), verbose=verbose))


class TestWords:
    def test_the_table_names_every_notebook_with_its_verdict_and_reason(self, report: SuiteReport) -> None:
        rows = words(report).splitlines()[: len(report.cases) + 1]
        for row, case in zip(rows[1:], report.cases, strict=True):
            assert case.notebook in row
            assert str(case.verdict) in row
            assert (case.reason or "") in row
        assert rows[1].startswith("[ok] ok")
        assert rows[2].startswith("[x]  failed")
        assert len({row.index(c.notebook) for row, c in zip(rows[1:], report.cases, strict=True)}) == 1

    def test_a_root_error_comes_with_its_place_and_a_cascade_is_only_counted(
        self, report: SuiteReport
    ) -> None:
        said = words(report)
        assert "cell 2, line 1: AttributeError: module 'numpy' has no attribute 'trapz'" in said
        assert "raised in week1/wave.py, line 12" in said
        assert "because of it 1 more failed: cell 3" in said
        assert "NameError" not in said

    def test_tracebacks_are_shown_where_more_is_asked_for(self, report: SuiteReport) -> None:
        assert "| " not in words(report)
        assert "        | \x1b[31mAttributeError" in words(report, verbose=True)

    def test_warnings_are_counted_once_with_their_first_place(self, report: SuiteReport) -> None:
        said = words(report)
        assert "6 warnings, 1 different" in said
        assert "6x DeprecationWarning: trapz goes away" in said
        assert "first: week1/good.ipynb, cell 2, line 1 (in 2 notebooks)" in said

    def test_a_number_that_is_off_is_shown_with_what_was_expected(self, report: SuiteReport) -> None:
        assert "cell 4: width = 3, expected 2.5 +- 0.1" in words(report)

    def test_the_last_line_counts_and_says_what_was_not_run(self, report: SuiteReport) -> None:
        last = words(report).splitlines()[-1]
        assert "1 ok, 2 failed, 1 timed-out, 1 killed, 1 skipped" in last
        assert "1 not run again (`--rerun` runs all)" in last

    def test_a_cascade_of_a_cascade_is_counted_with_its_root(self) -> None:
        errors = (
            CellError(cell=1, line=1, name="E", message="root", traceback=""),
            CellError(cell=2, line=1, name="NameError", message="a", traceback="", cascade_of=1),
            CellError(cell=5, line=1, name="NameError", message="b", traceback="", cascade_of=2),
        )
        said = words(of(verdict=Verdict.FAILED, errors=errors, reason="cell 1"))
        assert "because of it 2 more failed: cell 2, 5" in said

    def test_the_envelope_has_the_report_itself(self, report: SuiteReport) -> None:
        data = json.loads(to_json(("smoke",), Outcome(data=report)))["data"]
        assert data["schema"] == 1
        assert [c["verdict"] for c in data["cases"]] == [str(c.verdict) for c in report.cases]
        assert data["cases"][1]["errors"][1]["cascade_of"] == 2


ATTRIBUTES: dict[str, set[str]] = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "time", "classname"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
    "system-out": set(),
}  # fmt: skip
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out"},
}


class TestJunit:
    """The shape of jenkinsci/xunit-plugin's junit-10.xsd, as far as we use it."""

    def test_the_document_has_the_shape_that_ci_systems_read(self, report: SuiteReport) -> None:
        top = Xml.fromstring(junit(report))
        assert top.tag == "testsuites"
        for element in top.iter():
            assert set(element.attrib) == ATTRIBUTES[element.tag], element.tag
            assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert next(e.tag for e in top[0]) == "properties"  # the schema's order
        for case in top.iter("testcase"):
            assert sum(child.tag in {"skipped", "error", "failure"} for child in case) <= 1
            float(case.attrib["time"])

    def test_the_counts_are_those_of_the_cases(self, report: SuiteReport) -> None:
        [suite] = Xml.fromstring(junit(report))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(list(suite.iter(tag)))
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase"))) == len(report.cases)

    def test_a_case_is_found_by_folder_and_name(self, report: SuiteReport) -> None:
        case = Xml.fromstring(junit(report)).find(".//testcase[@name='bad.ipynb']")
        assert case is not None
        assert case.attrib["classname"] == "week1"
        failure = case.find("failure")
        assert failure is not None
        assert "cell 2, line 1: AttributeError" in failure.attrib["message"]
        assert failure.attrib["type"] == "AttributeError"
        assert "because of it failed: cell 3" in (failure.text or "")

    def test_characters_that_xml_cannot_have_do_not_break_it(self) -> None:
        error = CellError(
            cell=1, line=1, name="E", message="\x00\ud800 & <", traceback="\x1b[0;31mred\x1b[0m"
        )
        top = Xml.fromstring(junit(of(verdict=Verdict.FAILED, errors=(error,), reason="\x08bad")))
        assert "red" in "".join(top.itertext())

    def test_what_a_notebook_printed_is_there_and_cut(self, tmp_path: Path) -> None:
        path = notebook(tmp_path / "x.ipynb", code("p", printed("first\n" + "x" * 100_000)))
        top = Xml.fromstring(junit(of(verdict=Verdict.OK, executed=str(path))))
        out = top.findtext(".//system-out") or ""
        assert out.startswith("first")
        assert "more characters" in out
        assert len(out) < 25_000

    def test_it_is_written_whole_or_not_at_all(self, report: SuiteReport, tmp_path: Path) -> None:
        target = tmp_path / "new" / "junit.xml"
        assert reports.write(report, junit=target, html=None) == (target,)
        assert [p.name for p in target.parent.iterdir()] == ["junit.xml"]
        with pytest.raises(CourseError):
            reports.write(report, junit=target / "below" / "a.xml", html=None)
        assert Xml.parse(target).getroot().tag == "testsuites"


class TestAnnotations:
    SOURCE = "import numpy as np\nprint('cell_type')\nnp.trapz(y)"

    def course(self, tmp_path: Path) -> Path:
        root = tmp_path / "repo" / "course"
        cells = [text('# Text with "cell_type": in it'), code(self.SOURCE, printed('"cell_type": 1'))]
        path = notebook(root / "week1/bad.ipynb", *cells)
        path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
        return root

    def report(self) -> SuiteReport:
        error = CellError(cell=2, line=3, name="AttributeError", message="no\ntrapz", traceback="")
        off = NumberCheck(name="m", cell=2, expected=1.0, tolerance=0.1, value=None)
        return of(verdict=Verdict.FAILED, errors=(error,), numbers=(off,), reason="x")

    def test_an_error_stands_at_its_line_of_the_file(self, tmp_path: Path) -> None:
        root = self.course(tmp_path)
        path = root / "week1/bad.ipynb"
        line = line_in_file(path, 2, 3)
        assert line is not None
        assert "np.trapz(y)" in path.read_text().splitlines()[line - 1]

    def test_a_text_notebook_has_real_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "a.py"
        path.write_text("# %% [markdown]\n# Text\n\n# %%\nx = 1\n1 / 0\n")
        line = line_in_file(path, 2, 2)
        assert line is not None
        assert path.read_text().splitlines()[line - 1] == "1 / 0"

    def test_a_notebook_that_is_gone_has_no_line(self, tmp_path: Path) -> None:
        assert line_in_file(tmp_path / "none.ipynb", 1, 1) is None

    def test_one_command_for_each_failure_relative_to_the_checkout(
        self, report: SuiteReport, tmp_path: Path
    ) -> None:
        root = self.course(tmp_path)
        lines = list(workflow_commands(report, root, root.parent))
        assert lines[0].startswith("::error file=course/week1/bad.ipynb,")
        assert lines[0].endswith("::AttributeError: module 'numpy' has no attribute 'trapz'")
        assert sum(line.startswith("::error") for line in lines) == 4
        assert sum(line.startswith("::warning") for line in lines) == 1
        assert all("\n" not in line for line in lines)

    def test_they_are_printed_only_under_github_actions_and_never_to_stdout(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        reports.annotate(self.report(), tmp_path, Console())
        assert capsys.readouterr() == ("", "")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        reports.annotate(self.report(), tmp_path, Console())
        out, err = capsys.readouterr()
        assert out == ""
        assert err == "::error file=a.ipynb,title=a.ipynb%2C cell 2%2C line 3::AttributeError: no%0Atrapz\n"


def test_the_attack_is_in_the_sample(report: SuiteReport) -> None:
    """What the page must not run is really in what it is made from."""
    executed = report.cases[0].executed
    assert executed is not None
    assert json.dumps(ATTACK)[1:-1] in Path(executed).read_text()
