"""The suite from the command line, on a real environment: verdicts, what runs again, what is left behind."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from channel.program import Cli
from e2e.desk import Desk, until
from smoke import suite_kit
from smoke.suite_kit import VERDICTS, ipynb

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the tests of this module share: the course once frozen, the downloads, the environment."""
    folder = tmp_path_factory.mktemp("suite")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def desk(cli: Cli, kept: Path, tmp_path: Path) -> Iterator[Desk]:
    """The course with its environment installed; nothing has been run on it."""
    made, home = kept / "course", kept / "home"
    here = Desk(cli=cli, course=tmp_path / "course", home=home, cache=kept / "cache")
    if not made.is_dir():
        suite_kit.write(here.course)
        here.ok("freeze")
        here.ok("up", "--no-launch")
        shutil.copytree(here.course, made)
    else:
        shutil.copytree(made, here.course)
    shutil.rmtree(home / "smoke", ignore_errors=True)
    yield here
    here.end()


def run(desk: Desk, *words: str, code: int = 1) -> dict[str, Any]:
    """The report of a run."""
    data = desk.data("smoke", *words, code=code)
    assert data["schema"] == 1
    return dict(data)


def cases(report: dict[str, Any]) -> dict[str, Any]:
    return {c["notebook"]: c for c in report["cases"]}


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content: whether a run has touched it."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def patient(desk: Desk) -> None:
    """Leave a cell time on a machine that is busy."""
    file = desk.course / "course.yaml"
    file.write_text(file.read_text().replace("cell_timeout: 4", "cell_timeout: 20"))


def nothing_is_left(desk: Desk) -> bool:
    runs = desk.home / "smoke" / "runs"
    return until(lambda: not desk.processes(), 10) and not (runs.is_dir() and list(runs.iterdir()))


def test_every_notebook_has_a_verdict_and_the_rest_go_on(desk: Desk) -> None:
    before = fingerprint(desk.course)
    report = run(desk)
    found = cases(report)
    assert {name: case["verdict"] for name, case in found.items()} == VERDICTS
    assert list(found) == sorted(found)
    assert fingerprint(desk.course) == before  # good.ipynb writes into its folder, and over its helper
    assert nothing_is_left(desk)

    good = found["week1/good.ipynb"]
    assert [(n["name"], n["value"]) for n in good["numbers"]] == [("total", 10.0)]
    [warning] = good["warnings"]
    assert (warning["category"], warning["file"], warning["line"]) == (
        "DeprecationWarning",
        "week1/waves.py",
        5,
    )
    assert good["peak_bytes"] > 10_000_000
    assert Path(good["executed"]).is_file()

    broken = found["week1/broken.ipynb"]
    assert broken["reason"] == "cell 2, line 2: NameError: name 'missing' is not defined"
    assert [(e["cell"], e["cascade_of"]) for e in broken["errors"]] == [(2, None), (3, 2)]
    assert broken["cells_run"] == 4
    assert str(desk.home) not in broken["errors"][0]["traceback"]

    assert found["week1/text.md"]["reason"] == "mass = 124, expected 125.1 +- 0.3 (cell 2)"
    assert "needs the observatory" in found["week2/excursion.ipynb"]["reason"]
    assert found["week2/torn.ipynb"]["reason"].startswith("it cannot be read:")
    assert found["week2/dead.ipynb"]["reason"]
    assert "4 s" in found["week2/loop.ipynb"]["reason"]


def test_a_kernel_for_each_gives_the_same_verdicts(desk: Desk) -> None:
    patient(desk)
    names = ["good.ipynb", "broken.ipynb", "text.md", "dead.ipynb", "plain.ipynb"]
    shared, isolated = cases(run(desk, *names)), cases(run(desk, *names, "--isolated"))
    assert len(shared) == 5
    assert not any(c["cached"] for c in isolated.values())
    for name, case in shared.items():
        for key in ("verdict", "reason", "cells_run", "numbers"):
            assert case[key] == isolated[name][key], (name, key)


def test_nothing_changed_means_nothing_runs(desk: Desk) -> None:
    patient(desk)
    names = [name for name in VERDICTS if name != "week2/loop.ipynb"]
    first = run(desk, *names)
    second = run(desk, *names)
    assert {n: c["verdict"] for n, c in cases(second).items()} == {n: VERDICTS[n] for n in names}
    again = {n for n, c in cases(second).items() if not c["cached"]}
    # a kill may have been a bad day: it runs again, as does what never ran
    assert again == {"week2/dead.ipynb", "week2/excursion.ipynb", "week2/torn.ipynb"}
    good = cases(second)["week1/good.ipynb"]
    assert good["reason"] == "not run again: nothing that it depends on has changed"
    assert good["seconds"] == cases(first)["week1/good.ipynb"]["seconds"]
    assert "from an earlier run; `--rerun`" in cases(second)["week1/broken.ipynb"]["reason"]

    third = run(desk, "good.ipynb", "plain.ipynb", code=0)
    assert all(c["cached"] for c in third["cases"])
    assert third["seconds"] < 1
    fourth = run(desk, "good.ipynb", "--rerun", code=0)
    assert not fourth["cases"][0]["cached"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("week1/waves.py", "def area(y):\n    return 6\n"),
        ("week1/run.csv", "3,2,1\n"),
        ("common/offset.txt", "4.01"),
    ],
)
def test_what_a_notebook_depends_on_makes_it_run_again(desk: Desk, file: str, text: str) -> None:
    names = ("good.ipynb", "plain.ipynb")
    run(desk, *names, code=0)
    (desk.course / file).write_text(text)
    found = cases(run(desk, *names, code=0))
    assert not found["week1/good.ipynb"]["cached"]
    assert found["week2/plain.ipynb"]["cached"]


def test_a_new_lock_runs_only_what_reaches_a_changed_package(desk: Desk) -> None:
    names = ("good.ipynb", "broken.ipynb", "text.md", "plain.ipynb")
    before = run(desk, *names)
    (desk.course / "environments/lab.in").write_text(suite_kit.requirements("3.10"))
    desk.ok("freeze", "--force")
    report = run(desk, *names)  # installs the new lock first, as `up` does
    assert report["digest"] != before["digest"]
    found = cases(report)
    assert {n for n, c in found.items() if c["cached"]} == {"week1/good.ipynb", "week2/plain.ipynb"}
    reason = found["week2/plain.ipynb"]["reason"]
    assert reason == "not run again: it reaches none of the packages that changed (idna)"


def test_one_document_on_stdout_and_the_report_in_words(desk: Desk) -> None:
    ran = desk("smoke", "good.ipynb", "text.md")
    assert ran.code == 1
    assert "[ok] ok       week1/good.ipynb" in ran.stdout
    assert "[x]  failed   week1/text.md" in ran.stdout
    assert "    cell 2: mass = 124, expected 125.1 +- 0.3" in ran.stdout
    assert "DeprecationWarning: area goes" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def test_junit_page_and_annotations_are_written_beside_the_answer(desk: Desk, tmp_path: Path) -> None:
    junit, page = tmp_path / "out/junit.xml", tmp_path / "out/html"
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
    ran = desk("smoke", "week1/*", "--junit", str(junit), "--html", str(page), "--json", env=actions)
    assert ran.code == 1
    assert len(ran.stdout.splitlines()) == 1
    assert Xml.parse(junit).getroot().attrib["failures"] == "2"
    html = (page / "index.html").read_text(encoding="utf-8")
    assert "total 10.0" in html
    assert "name &#x27;missing&#x27; is not defined" in html
    [line] = [n for n in ran.stderr.splitlines() if n.startswith("::error file=course/week1/broken.ipynb")]
    assert "NameError" in line
    number = int(line.partition("line=")[2].partition(",")[0])
    assert "missing" in (desk.course / "week1/broken.ipynb").read_text().splitlines()[number - 1]
    assert any(n.startswith("::error file=course/week1/text.md,line=") for n in ran.stderr.splitlines())


def test_a_notebook_is_named_by_its_path_its_name_or_a_part_of_the_suite(desk: Desk) -> None:
    for words in (["week2/plain.ipynb"], ["fall2026", "plain.ipynb"], ["plain"]):
        assert list(cases(run(desk, *words, code=0))) == ["week2/plain.ipynb"]
    wrong = desk("smoke", "plane.ipynb")
    assert wrong.code == 2
    assert "plain.ipynb" in wrong.stderr


def test_the_time_limit_of_the_command_line_counts(desk: Desk) -> None:
    ipynb(desk.course / "week2/slow.ipynb", "import time\ntime.sleep(3)")
    report = run(desk, "slow", "--timeout", "1")
    assert report["cases"][0]["verdict"] == "timed-out"
    assert report["cases"][0]["seconds"] < 3
    assert run(desk, "slow", code=0)["cases"][0]["verdict"] == "ok"


def test_a_course_without_a_suite_is_told_how_to_name_one(desk: Desk) -> None:
    file = desk.course / "course.yaml"
    file.write_text(file.read_text().partition("notebooks:")[0])
    ran = desk("smoke")
    assert ran.code == 2
    assert "suite: [notebooks/*.ipynb]" in ran.stderr


def test_the_environment_is_installed_where_it_is_not(desk: Desk, tmp_path: Path) -> None:
    fresh = desk.another(tmp_path / "fresh")
    assert run(fresh, "plain", code=0)["cases"][0]["verdict"] == "ok"
    assert len([n for n in fresh.environments() if not n.startswith(".")]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for another process there")
@pytest.mark.parametrize("mode", [(), ("--isolated",)], ids=["shared", "isolated"])
def test_ctrl_c_ends_everything_that_runs(desk: Desk, mode: tuple[str, ...]) -> None:
    ipynb(
        desk.course / "week2/long.ipynb",
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(desk.home / 'started')!r}).write_text('x')\ntime.sleep(60)",
    )
    patient(desk)
    (desk.home / "started").unlink(missing_ok=True)
    program = subprocess.Popen(
        desk.argv("smoke", "long", "plain", "-j", "2", *mode),
        cwd=desk.course, env=desk.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert until((desk.home / "started").exists, 60), program.communicate()[1]
    program.send_signal(signal.SIGINT)
    _, stderr = program.communicate(timeout=30)
    assert program.returncode == 130
    assert "interrupted" in stderr
    assert nothing_is_left(desk)
    assert run(desk, "plain", code=0)["cases"][0]["verdict"] == "ok"
