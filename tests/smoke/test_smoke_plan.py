"""What is decided before anything runs, and how a kernel's answer becomes a verdict."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coursectl import config
from coursectl.model.course import Course
from coursectl.model.execution import CellRun, Executed
from coursectl.model.suite import CaseResult, CellError, CellWarning, SuiteReport, Verdict
from coursectl.workflows.smoke_judge import judge
from coursectl.workflows.smoke_plan import Planned, Rules, preload, reach
from coursectl.workflows.smoke_read import Case, read_suite
from coursectl.workflows.smoke_stack import Stack, StackPackage
from coursectl.workflows.smoke_store import Store, read_report
from smoke import suite_kit
from smoke.suite_kit import ipynb


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return config.load_course(suite_kit.write(tmp_path / "course") / "course.yaml")


def case(course: Course, *cells: str) -> Case:
    ipynb(course.root / "week2/one.ipynb", *cells)
    [[found], _] = read_suite(course, ("one.ipynb",), gpu=False, network=True)
    return found


def stack(**versions: str) -> Stack:
    """A stack of packages that bring a module of their own name each."""
    packages = [StackPackage(name=n, version=v, modules=(n,)) for n, v in versions.items()]
    return Stack(digest=str(versions), python="3.11.7", packages=tuple(packages))


OLD, NEW = stack(pandas="1", openpyxl="1", six="1"), stack(pandas="1", openpyxl="2", six="1")


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("import pandas", False),
        ("import openpyxl", True),
        ("import pandas\npandas.read_excel('x', engine='openpyxl')", True),
        ("import importlib\nimportlib.import_module('openpyxl')", True),
        ("import six\n!python helper.py", True),
        ("%%bash\nls", True),
        ("import subprocess, six\nsubprocess.run(['ls'])", True),
    ],
)
def test_a_notebook_reaches_what_its_text_names_and_all_where_it_leaves_python(
    course: Course, code: str, again: bool
) -> None:
    one = case(course, code)
    assert (reach(one, course, OLD) != reach(one, course, NEW)) is again


def test_a_helper_reaches_for_its_notebook(course: Course) -> None:
    (course.root / "week2/tool.py").write_text("import openpyxl\n")
    one = case(course, "import tool")
    assert reach(one, course, OLD) != reach(one, course, NEW)


def test_what_two_notebooks_import_is_loaded_once(course: Course) -> None:
    (course.root / "week2/tool.py").write_text("")
    one = case(course, "import matplotlib.pyplot as plt, os, tool\nfrom scipy import signal\nimport torch")
    two = case(course, "from matplotlib import pyplot\nimport scipy.signal, tool")
    plan = tuple(Planned(case=c, digest="", lasting=True) for c in (one, two))
    found = preload(plan)
    assert set(found) == {"matplotlib", "matplotlib.pyplot", "scipy", "scipy.signal"}
    assert found.index("matplotlib") < found.index("matplotlib.pyplot")


def test_the_command_line_is_over_course_yaml(course: Course) -> None:
    assert (Rules.of(course, None).timeout, Rules.of(course, None).cell_timeout) == (20, 4)
    assert (Rules.of(course, 2.0).timeout, Rules.of(course, 2.0).cell_timeout) == (2, 2)


def executed(*cells: CellRun, verdict: Verdict = Verdict.OK, **numbers: float) -> Executed:
    return Executed(verdict=verdict, reason=None, seconds=1, peak_bytes=1, cells=cells, numbers=numbers)


def cell(number: int, error: CellError | None = None, *warnings: CellWarning) -> CellRun:
    return CellRun(cell=number, seconds=0.1, error=error, warnings=warnings, defined=())


class TestJudging:
    def judged(self, course: Course, found: Executed) -> CaseResult:
        one = case(course, "mass = 1\n# coursectl: mass = 125.1 +- 0.3", "x = 1")
        return judge(one, found, place=Path("scratch/1"), notebook=None)

    @pytest.mark.parametrize(
        ("value", "verdict", "said"),
        [
            (125.3, Verdict.OK, None),
            (125.5, Verdict.FAILED, "mass = 125.5, expected 125.1 +- 0.3 (cell 1)"),
            (float("nan"), Verdict.FAILED, "mass = nan, expected 125.1 +- 0.3 (cell 1)"),
            (float("inf"), Verdict.FAILED, "mass = inf, expected 125.1 +- 0.3 (cell 1)"),
        ],
    )
    def test_a_number_off_its_tolerance_fails(
        self, course: Course, value: float, verdict: Verdict, said: str | None
    ) -> None:
        result = self.judged(course, executed(cell(1), cell(2), mass=value))
        assert (result.verdict, result.reason) == (verdict, said)

    def test_a_number_that_was_not_computed_fails(self, course: Course) -> None:
        result = self.judged(course, executed(cell(1), cell(2)))
        assert result.reason == "mass was not computed, expected 125.1 +- 0.3 (cell 1)"

    def test_a_number_of_a_cell_that_failed_is_not_said_twice(self, course: Course) -> None:
        error = CellError(cell=1, line=1, name="ValueError", message="no\nmore", traceback="")
        result = self.judged(course, executed(cell(1, error), cell(2), verdict=Verdict.FAILED))
        assert result.reason == "cell 1, line 1: ValueError: no"

    def test_the_scratch_place_is_in_no_text(self, course: Course) -> None:
        inside = f"{Path('scratch/1')}{os.sep}week2{os.sep}t.py"
        error = CellError(cell=1, line=1, name="E", message=inside, traceback=f"in {inside}", file=inside)
        result = self.judged(course, executed(cell(1, error), verdict=Verdict.FAILED))
        [found] = result.errors
        assert found.file == "week2/t.py"
        assert "scratch" not in f"{found} {result.reason}"

    def test_files_left_open_are_no_warning(self, course: Course) -> None:
        noise = CellWarning(cell=1, line=1, category="ResourceWarning", message="unclosed file")
        assert self.judged(course, executed(cell(1, None, noise), mass=125.1)).warnings == ()


class TestStore:
    RESULT = CaseResult(notebook="a.ipynb", verdict=Verdict.OK, seconds=2.0)

    def test_a_result_comes_back_as_it_was(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        store.keep_case("d" * 64, "build", self.RESULT)
        kept = store.case("d" * 64)
        assert kept is not None
        assert (kept.build, kept.result) == ("build", self.RESULT)
        assert store.case("e" * 64) is None
        store.forget_case("d" * 64)
        assert store.case("d" * 64) is None

    @pytest.mark.parametrize("content", ["", '{"build": "b"}', '{"build": "b", "result": 3, "schema": 1}'])
    def test_half_a_result_does_not_count(self, tmp_path: Path, content: str) -> None:
        store = Store(tmp_path)
        store.keep_case("d" * 64, "build", self.RESULT)
        (store.case_folder("d" * 64) / "result.json").write_text(content)
        assert store.case("d" * 64) is None

    def test_a_result_without_its_notebook_does_not_count(self, tmp_path: Path) -> None:
        from dataclasses import replace

        store = Store(tmp_path)
        store.keep_case("d" * 64, "build", replace(self.RESULT, executed="/gone/executed.ipynb"))
        assert store.case("d" * 64) is None

    def test_only_a_whole_run_is_the_suites_report(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        report = SuiteReport(
            course="c", semester="fall2026", environment="e", variant="cpu", platform="linux-64",
            mode="shared", cases=(self.RESULT,), seconds=3.0,
        )  # fmt: skip
        store.keep_report(report, whole=False)
        assert read_report(store.report_file(report)) is None
        assert store.seconds("c") == {"a.ipynb": 2.0}
        store.keep_report(report, whole=True)
        assert read_report(store.report_file(report)) == report

    def test_the_least_wanted_results_go_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from coursectl.workflows import smoke_store

        monkeypatch.setattr(smoke_store, "KEPT_CASES", 2)
        store = Store(tmp_path)
        for n, name in enumerate("abc"):
            store.keep_case(name * 64, "build", self.RESULT)
            os.utime(store.case_folder(name * 64) / "result.json", (n, n))
        assert store.case("a" * 64) is not None  # asked for: now the newest
        store.prune()
        assert [store.case(name * 64) is not None for name in "abc"] == [True, False, True]
