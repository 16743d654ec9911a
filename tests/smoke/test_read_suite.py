"""Which notebooks a suite has, why one is left out, what each imports and what its result depends on."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from coursectl.errors import CourseFileError, UsageError
from coursectl.model.course import Course
from coursectl.workflows.smoke_read import Case, case_digest, may_use_network, read_suite
from coursectl.workflows.smoke_read_digest import LARGE_BYTES, Hashes, depends_on
from smoke.read_kit import course, write


def read(made: Course, *names: str, gpu: bool = False, network: bool = False) -> tuple[Case, ...]:
    cases, unreadable = read_suite(made, names, gpu=gpu, network=network)
    assert not unreadable
    return cases


def reasons(made: Course, *, gpu: bool = False, network: bool = False) -> dict[str, str | None]:
    return {c.path.stem: c.skip for c in read(made, gpu=gpu, network=network)}


def test_checkpoints_helpers_and_readmes_are_run(tmp_path: Path) -> None:
    write(tmp_path / "nb" / "b.ipynb", "x = 1")
    write(tmp_path / "nb" / "deep" / "a.ipynb", "x = 1")
    write(tmp_path / "nb" / ".ipynb_checkpoints" / "b-checkpoint.ipynb", "x = 1")
    (tmp_path / "nb" / "helper.py").write_text("x = 1\n")
    (tmp_path / "nb" / "README.md").write_text("# Read me\n```python\nx\n```\n")
    (tmp_path / "nb" / "t.md").write_text("```{code-cell}\nx = 1\n```\n")
    made = course(tmp_path, "suite: ['nb/**/*.*', 'nb/b.ipynb']")
    assert [c.notebook.path for c in read(made)] == ["nb/b.ipynb", "nb/deep/a.ipynb", "nb/t.md"]


def test_a_notebook_cannot_be_named_as_a_person_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "nb" / "01-fit.ipynb", "x = 1")
    write(tmp_path / "nb" / "02-map.ipynb", "x = 1")
    made = course(tmp_path)
    monkeypatch.chdir(tmp_path / "nb")
    for name in ("nb/01-fit.ipynb", "01-fit.ipynb", "./01-fit.ipynb", "01-fit", "01*", "nb/01*"):
        assert [c.notebook.path for c in read(made, name)] == ["nb/01-fit.ipynb"], name
    assert len(read(made, "02-map", "01-fit", "01-fit")) == 2
    with pytest.raises(UsageError, match=r"^01-fti is not a notebook of the suite$") as caught:
        read(made, "01-fti")
    assert [str(h) for h in caught.value.hints] == ["did you mean 01-fit?"]


def test_a_suite_of_nothing_passes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^course\.yaml names no notebooks to run$"):
        read(course(tmp_path / "a", "seed: 1"))
    write(tmp_path / "b" / "nb" / "a.ipynb", "x = 1")
    for section, message in (
        ("suite: ['nb/*.ipynb', 'no/*.ipynb']", r"notebooks\.suite\[1\]: 'no/\*\.ipynb'"),
        ("suite: ['nb/*.ipynb', 'nb/b.ipynb']", r"notebooks\.suite\[1\]: 'nb/b\.ipynb'"),
        ("suite: ['nb/*.ipynb'], gpu: ['nb/b.ipynb']", r"notebooks\.gpu\[0\]: 'nb/b\.ipynb'"),
        ("suite: ['nb/*.ipynb'], skip: {'b.ipynb': why}", r"notebooks\.skip: 'b\.ipynb'"),
    ):
        with pytest.raises(CourseFileError, match=rf"^course\.yaml:\d+: {message} matches no notebook$"):
            read(course(tmp_path / "b", section))


def test_a_broken_notebook_stops_the_others(tmp_path: Path) -> None:
    write(tmp_path / "nb" / "a.ipynb", "x = 1")
    (tmp_path / "nb" / "b.ipynb").write_text('{"cells": [')
    write(tmp_path / "nb" / "c.ipynb", "x = 1\n# coursectl: x is 1")
    write(tmp_path / "nb" / "d.ipynb", "# coursectl: x = 1", "# coursectl: x = 1")
    cases, unreadable = read_suite(course(tmp_path), (), gpu=False, network=False)
    assert [c.notebook.path for c in cases] == ["nb/a.ipynb"]
    assert [u.notebook for u in unreadable] == ["nb/b.ipynb", "nb/c.ipynb", "nb/d.ipynb"]
    assert unreadable[0].reason.startswith("not JSON: it breaks off or is damaged: ")
    assert unreadable[1].reason.startswith("cell 1, line 2: `# coursectl: x is 1` does not say NAME = NUMBER")
    assert unreadable[2].reason == "cell 2, line 1: cell 1 promises x already"


def test_a_number_without_a_tolerance_fails_on_its_last_digit(tmp_path: Path) -> None:
    lines = "\n".join(f"# coursectl: {t}" for t in ("a = 200", "b = 200 +- 3", "c = -200 +- 2%", "d = 0"))
    write(tmp_path / "nb" / "a.ipynb", "x = 1", lines)
    [case] = read(course(tmp_path))
    assert [(n.name, n.cell, n.expected) for n in case.numbers] == [
        ("a", 2, 200),
        ("b", 2, 200),
        ("c", 2, -200),
        ("d", 2, 0),
    ]
    assert [n.tolerance for n in case.numbers] == pytest.approx([2e-4, 3, 4, 0])
    [case] = read(course(tmp_path, "suite: ['nb/*.ipynb'], rtol: 0.01, atol: 0.5"))
    assert [n.tolerance for n in case.numbers] == pytest.approx([2.5, 3, 4, 0.5])


def test_a_notebook_is_left_out_without_a_reason(tmp_path: Path) -> None:
    for name, code in {
        "blank": "def f(x):\n    raise NotImplementedError\nx = ...\ny = ...",
        "colab": "from google.colab import drive",
        "gpu": "import torch\nx = torch.zeros(3).cuda()",
        "install": "!pip install emcee",
        "net": "import requests\nrequests.get(url)",
        "ok": "import numpy",
        "path": "open('/scratch/nobody/a.csv')",
        "person": "n = input('How many?')",
    }.items():
        write(tmp_path / "nb" / f"{name}.ipynb", code)
    write(tmp_path / "nb" / "r.ipynb", "library(x)", kernelspec={"name": "ir", "language": "R"})
    assert reasons(course(tmp_path)) == {
        "blank": "students fill in a part of it (cell 1, line 2: `raise NotImplementedError`, "
        "and 2 more places)",
        "colab": "runs on Google Colab only (cell 1, line 1: `from google.colab import drive`)",
        "gpu": "needs a GPU, and this machine has none (cell 1, line 2: `x = torch.zeros(3).cuda()`)",
        "install": "installs a package, which would override the lock (cell 1, line 1: `!pip install emcee`)",
        "net": "uses the network (cell 1, line 2: `requests.get(url)`); to allow that, name it under "
        "notebooks.network in course.yaml",
        "ok": None,
        "path": "uses a path of another computer, which is not there (cell 1, line 1: "
        "`open('/scratch/nobody/a.csv')`)",
        "person": "waits for a person's answer (cell 1, line 1: `n = input('How many?')`)",
        "r": "it is written in r, not in Python",
    }
    allowed = course(
        tmp_path,
        "suite: ['nb/*.ipynb'], network: ['net.ipynb'], gpu: ['nb/ok.ipynb'], "
        "skip: {'nb/person.ipynb': by hand}",
    )
    assert may_use_network(allowed, "nb/net.ipynb")
    assert not may_use_network(allowed, "nb/ok.ipynb")
    without = reasons(allowed)
    assert without["net"] == "uses the network, and there is none (cell 1, line 2: `requests.get(url)`)"
    assert without["ok"] == "course.yaml says that it needs a GPU, and this machine has none"
    assert without["person"] == "course.yaml says: by hand"
    having = reasons(allowed, gpu=True, network=True)
    assert (having["net"], having["ok"], having["gpu"]) == (None, None, None)


def test_an_empty_exercise_in_a_lecture_keeps_it_from_being_run(tmp_path: Path) -> None:
    exercise = "# Add your solution here..."
    write(
        tmp_path / "nb" / "lecture.ipynb",
        "import numpy as np",
        exercise,
        "...",
        "for i in range(3): print(i)",
    )
    write(tmp_path / "nb" / "needed.ipynb", exercise, "print(result)")
    found = reasons(course(tmp_path))
    assert found["lecture"] is None
    assert found["needed"] == f"students fill in a part of it (cell 1, line 1: `{exercise}`)"
    assert [str(t.kind) for t in read(course(tmp_path), "lecture")[0].traits] == ["blank", "blank"]


def test_an_import_behind_a_helper_is_missed(tmp_path: Path) -> None:
    write(
        tmp_path / "nb" / "a.ipynb",
        "%matplotlib inline\nimport numpy as np, os\nfrom helper import f\nimport mls.fit",
        "import sys\nsys.path.append('../lib')\nimport far",
        "if 'google.colab' in sys.modules:\n    import google.colab",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas",
        "%run tool.py\n%load_ext cython",
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
        "%%writefile made.py\nimport seaborn",
        "import made",
    )
    for name, text in {
        "nb/helper.py": "import scipy.stats\nfrom second import x\n",
        "nb/second.py": "import helper\nimport emcee\n",
        "nb/unused.py": "import unused_package\n",
        "nb/tool.py": "import corner\n",
        "mls/__init__.py": "",
        "mls/fit.py": "from . import plot\n",
        "mls/plot.py": "import astropy\n",
        "lib/far.py": "import h5py\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    [case] = read(course(tmp_path))
    packages = ("astropy", "corner", "cython", "emcee", "h5py", "matplotlib", "numpy", "scipy", "seaborn")
    assert case.imports == (*packages, "torch")
    assert case.local == (
        "lib/far.py",
        "mls/__init__.py",
        "mls/fit.py",
        "mls/plot.py",
        "nb/helper.py",
        "nb/second.py",
        "nb/tool.py",
    )


def test_another_notebook_that_is_run_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "nb" / "a.ipynb", "%run setup.ipynb")
    write(tmp_path / "nb" / "setup.ipynb", "import emcee\n%run a.ipynb")
    case = read(course(tmp_path), "a")[0]
    assert (case.imports, case.local) == (("emcee",), ("nb/setup.ipynb",))


class Dependent:
    """A course with one notebook, and its digest after each change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write(root / "nb" / "a.ipynb", "import helper\nopen('../data/far.csv')", "x = 1")
        write(root / "nb" / "other.ipynb", "x = 1")
        for name in ("nb/helper.py", "nb/unused.py", "nb/near.csv", "data/far.csv", "data/unread.csv"):
            self.put(name, "1\n")
        self.put("nb/README.md", "text")
        self.course = course(root)

    def put(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def digest(self, build: str = "b") -> str:
        [case] = read(self.course, "a")
        return case_digest(case, self.course, build)


@pytest.mark.parametrize("name", ["nb/helper.py", "nb/near.csv", "nb/deep/new.txt", "data/far.csv"])
def test_a_result_counts_though_a_file_changed(tmp_path: Path, name: str) -> None:
    made = Dependent(tmp_path)
    before = made.digest()
    made.put(name, "2\n")
    assert made.digest() != before


@pytest.mark.parametrize(
    "name",
    ["nb/unused.py", "nb/README.md", "nb/.hidden", "nb/__pycache__/x.pyc", "data/unread.csv", "new.csv"],
)
def test_a_file_of_no_concern_costs_a_run(tmp_path: Path, name: str) -> None:
    made = Dependent(tmp_path)
    before = made.digest()
    made.put(name, "2\n")
    write(tmp_path / "nb" / "other.ipynb", "x = 2")
    assert made.digest() == before


def test_outputs_and_counts_cost_a_run_or_code_and_tags_do_not(tmp_path: Path) -> None:
    made = Dependent(tmp_path)
    before, path = made.digest(), tmp_path / "nb" / "a.ipynb"
    data = json.loads(path.read_text())
    data["cells"][0]["execution_count"] = 99
    data["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    data["metadata"]["kernelspec"] = {"name": "mine", "language": "python", "display_name": "x"}
    path.write_text(json.dumps(data, indent=1))
    assert made.digest() == before
    assert made.digest("another build") != before
    data["cells"][0]["metadata"]["tags"] = ["raises-exception"]
    path.write_text(json.dumps(data))
    tagged = made.digest()
    assert tagged != before
    data["cells"][1]["source"] = "x = 2"
    path.write_text(json.dumps(data))
    assert made.digest() not in (tagged, before)


def test_a_file_that_the_code_names_does_not_count(tmp_path: Path) -> None:
    made = Dependent(tmp_path)
    write(tmp_path / "nb" / "a.ipynb", "open('unused.py'); open('../data/')")
    [case] = read(made.course, "a")
    assert sorted(depends_on(case, tmp_path)) == [
        "data/far.csv",
        "data/unread.csv",
        "nb/near.csv",
        "nb/unused.py",
    ]


def test_folders_that_are_linked_in_a_circle_are_walked_for_ever(tmp_path: Path) -> None:
    made = Dependent(tmp_path)
    try:
        (tmp_path / "nb" / "loop").symlink_to(tmp_path / "nb", target_is_directory=True)
    except OSError:
        pytest.skip("this system lets nobody make a link")
    assert made.digest()


def test_a_large_file_is_read_each_time_or_its_change_is_overlooked(tmp_path: Path) -> None:
    big, store = tmp_path / "big.bin", tmp_path / "hashes.json"
    big.write_bytes(b"1" * LARGE_BYTES)
    old = time.time() - 100
    os.utime(big, (old, old))
    hashes = Hashes(store)
    first = hashes.of(big)
    hashes.keep()
    state = big.stat()
    again = Hashes(store)
    big.write_bytes(b"2" * LARGE_BYTES)
    os.utime(big, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert again.of(big) == first  # same size, time and place: not read
    os.utime(big, (old + 1, old + 1))
    assert again.of(big) != first
    big.write_bytes(b"3" * LARGE_BYTES)  # just now: its time may not change with its content
    assert again.of(big) != first
    assert again.known[str(big)][1] != big.stat().st_mtime_ns


def test_a_damaged_store_stops_the_run(tmp_path: Path) -> None:
    store, big = tmp_path / "hashes.json", tmp_path / "big.bin"
    big.write_bytes(b"1" * LARGE_BYTES)
    os.utime(big, (1, 1))
    for text in ("{", "[]", json.dumps({str(big): 3}), json.dumps({str(big): [1]})):
        store.write_text(text)
        hashes = Hashes(store)
        assert len(hashes.of(big)) == 64
        hashes.keep()
    assert Hashes(tmp_path / "gone.json").of(tmp_path / "gone").startswith("unreadable: ")


def test_a_changed_promise_keeps_its_old_verdict(tmp_path: Path) -> None:
    made = Dependent(tmp_path)
    write(tmp_path / "nb" / "a.ipynb", "# coursectl: x = 1")
    before = made.digest()
    made.course = replace(made.course, notebooks={**made.course.notebooks, "rtol": 0.5})
    assert made.digest() != before
