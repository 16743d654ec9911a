"""The reference suite as it lies in the repository: whole, clean, covered by the lock, and as its page says.

That it runs is `coursectl smoke`'s to say; three notebooks of it run in tests/e2e.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from coursectl.config import load_course
from coursectl.lockfiles.requirements import applicable, read_requirements_lock
from coursectl.model.platform import Platform
from coursectl.model.suite import TraitKind
from coursectl.notebooks import to_ipynb
from coursectl.workflows.import_names import package_for
from coursectl.workflows.smoke_read import Case, read_suite

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "notebooks"
GPU = "16-gpu-ising"


@cache
def suite(*, gpu: bool = False) -> tuple[Case, ...]:
    cases, unreadable = read_suite(load_course(ROOT / "course.yaml"), (), gpu=gpu, network=False)
    assert unreadable == ()
    return cases


CASES = [pytest.param(case, id=case.path.stem) for case in suite()]


def test_the_suite_is_every_notebook_of_the_folder_and_nothing_else() -> None:
    beside = {"phys398_tools.py", "data", "__pycache__"}
    assert {c.path.name for c in suite()} == {p.name for p in FOLDER.iterdir()} - beside
    assert len(suite()) >= 12
    assert [c.path.name for c in suite() if c.notebook.format == "myst"] == [
        "04-cosmic-rays-on-the-roof.md",
        "14-shower-generator.md",
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_notebook_promises_too_little(case: Case) -> None:
    assert 2 <= len(case.numbers) <= 4
    for number in case.numbers:
        exact = number.expected == int(number.expected)  # a count, a degree, a yes
        assert number.tolerance > 0 or exact, number


@pytest.mark.parametrize("case", CASES)
def test_a_notebook_needs_what_no_lock_has(case: Case) -> None:
    """Nothing but torch, of the notebook that is skipped without a GPU."""
    needed = {package_for(module, conda=False) for module in case.imports}
    allowed = {"torch"} if case.path.stem == GPU else set()
    for semester in ("fall2023", "fall2026"):
        lock = read_requirements_lock(ROOT / "lockfiles" / semester / "phys398-pypi.requirements.txt")
        for platform in Platform:
            names = {p.name for p in applicable(lock.pins, platform, lock.python)}
            assert needed - names == allowed, (semester, platform)


@pytest.mark.parametrize("case", CASES)
def test_a_notebook_would_be_left_out(case: Case) -> None:
    """Only the one that needs a GPU, and with the line that asks for it."""
    kinds = {t.kind for t in case.traits}
    if case.path.stem != GPU:
        assert (case.skip, kinds) == (None, set())
        return
    assert kinds == {TraitKind.GPU_REQUIRED}
    assert case.skip is not None and 'device = torch.device("cuda")' in case.skip
    assert [c.skip for c in suite(gpu=True)] == [None] * len(suite())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_was_committed_with_outputs_or_of_an_editor_s_making(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    data = json.loads(text)
    assert (data["nbformat"], data["nbformat_minor"]) == (4, 5)
    assert set(data["metadata"]) == {"kernelspec", "language_info"}
    assert data["metadata"]["kernelspec"]["name"] == "python3"
    assert [c["id"] for c in data["cells"]] == [f"{path.name[:2]}-{n:02}" for n in range(len(data["cells"]))]
    assert all(c["metadata"] == {} for c in data["cells"])
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in data["cells"] if "outputs" in c)
    assert (
        text == json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    )  # as JupyterLab saves


@pytest.mark.parametrize("case", CASES)
def test_a_notebook_tells_no_story_or_does_not_compile(case: Case) -> None:
    kinds = [c.kind for c in case.notebook.cells]
    assert kinds[0] == "markdown" and case.notebook.cells[0].source.startswith("# ")
    assert kinds.count("markdown") >= 3
    for cell in case.notebook.code:
        code = re.sub(r"^%matplotlib inline$", "", cell.source, flags=re.MULTILINE)
        compile(code, f"{case.notebook.path}, cell {cell.number}", "exec")
    assert len(to_ipynb(case.notebook)["cells"]) == len(kinds)  # type: ignore[arg-type]


def test_the_module_and_the_data_beside_are_not_used() -> None:
    users = [c.path.stem for c in suite() if c.local == ("tests/notebooks/phys398_tools.py",)]
    assert users == ["03-chirp-search", "06-density-estimation"]
    log = (FOLDER / "data" / "roof-counter.csv").read_text(encoding="utf-8").splitlines()
    assert log[1] == "time,counts,pressure_hPa"
    assert len(log) == 2 + 45 * 24 + 1 - 6  # an hour twice, six without power


def test_the_page_about_the_suite_is_out_of_date() -> None:
    page = (ROOT / "docs" / "suite.md").read_text(encoding="utf-8")
    for case in suite():
        assert re.search(rf"^\| {re.escape(case.path.name)} \|", page, re.MULTILINE), case.path.name
        for line in re.findall(r"^# coursectl: (.+)$", "\n".join(c.source for c in case.notebook.code), re.M):
            name, _, expected = line.rpartition(" = ")
            assert f"| {case.path.name[:2]} | `{name}` | {expected} |" in page, line
    rows = re.findall(r"^\| \d\d-.*\|$", page, re.MULTILINE)
    assert len([r for r in rows if r.endswith(" ok |")]) == 12
    assert len([r for r in rows if "| ok | fails: " in r]) == 3
