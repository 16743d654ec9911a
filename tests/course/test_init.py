"""init: what is there is adopted as it is, what a person wrote stands, and a scan misses nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from coursectl.config import load_course
from coursectl.errors import CourseFileError, ExitCode, UsageError
from coursectl.model.course import EngineKind
from coursectl.notebooks_code import modules
from coursectl.specs import read_conda_spec, read_requirements
from coursectl.workflows.init import InitOptions, init
from coursectl.workflows.notebook_scan import scan_notebooks

SPRING = InitOptions(today=date(2026, 3, 1))


def notebook(path: Path, *cells: str, version: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = [{"cell_type": "code", "source": c.splitlines(keepends=True)} for c in cells]
    if version == 3:
        data: object = {"worksheets": [{"cells": [{"cell_type": "code", "input": c} for c in cells]}]}
    else:
        data = {"cells": code, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    path.write_text(json.dumps(data), encoding="utf-8")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_course_from_nothing_does_not_load(tmp_path: Path) -> None:
    folder = tmp_path / "PHYS 398 (spring)"
    report = init(folder, None, SPRING)
    course = load_course(folder / "course.yaml")
    assert (course.name, course.title) == ("phys-398-spring", "PHYS 398 (spring)")
    assert str(course.current) == report.semester == "spring2026"
    assert report.written == ("environments/phys-398-spring.yml", "course.yaml")
    assert report.next_command == "coursectl freeze spring2026"
    names = [x.name for x in read_conda_spec(report.spec, folder).lines]
    assert names == ["python", "ipykernel", "jupyterlab", "matplotlib-base", "numpy", "pandas", "scipy"]


def test_a_course_from_nothing_on_pypi_does_not_load(tmp_path: Path) -> None:
    report = init(tmp_path / "c", None, InitOptions(engine=EngineKind.PYPI, name="c", python="3.11"))
    environment = load_course(tmp_path / "c" / "course.yaml").environment("c")
    assert (environment.engine, environment.python) == (EngineKind.PYPI, "3.11")
    assert "matplotlib" in report.packages


def test_an_adopted_file_is_changed_or_moved(tmp_path: Path) -> None:
    (tmp_path / "binder").mkdir()
    text = "name: MLS Course\r\nchannels: [conda-forge]\r\ndependencies: [python=3.8, jupyterlab] # ours\r\n"
    (tmp_path / "binder" / "environment.yml").write_bytes(text.encode())
    report = init(tmp_path, None, InitOptions(name="mls"))
    assert (report.written, report.adopted) == (("course.yaml",), ("binder/environment.yml",))
    assert (tmp_path / "binder" / "environment.yml").read_bytes() == text.encode()
    assert load_course(tmp_path / "course.yaml").environments[0].name == "mls-course"


def test_a_file_from_elsewhere_arrives_changed_or_without_what_it_includes(tmp_path: Path) -> None:
    source = tmp_path / "old"
    (source / "more").mkdir(parents=True)
    (source / "requirements.txt").write_bytes(b"numpy\r\n-r more/a.txt\r\n")
    (source / "more" / "a.txt").write_text("jupyterlab\nscipy\n")
    (source / "apt.txt").write_text("ffmpeg\n")
    (source / "runtime.txt").write_text("python-3.10\n")
    report = init(tmp_path / "c", source / "requirements.txt")
    assert report.adopted == (
        "environments/requirements.txt",
        "environments/more/a.txt",
        "environments/apt.txt",
    )
    for path in report.adopted:
        copied = (tmp_path / "c" / path).read_bytes()
        assert copied == (source / path.removeprefix("environments/")).read_bytes()
    environment = load_course(tmp_path / "c" / "course.yaml").environments[0]
    assert environment.python == "3.10"
    assert [x.name for x in read_requirements(environment.spec, tmp_path / "c").lines] == [
        "numpy",
        "jupyterlab",
        "scipy",
    ]


def test_a_missing_jupyterlab_is_found_out_in_class(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("dependencies:\n  - numpy\n  - pip:\n      - ipykernel\n")
    report = init(tmp_path, None)
    assert report.warnings == (
        "environment.yml: the `pip:` list is locked by uv; conda would also want `- pip`",
        "environment.yml names no channel that can be locked; course.yaml says conda-forge",
        "environment.yml lacks jupyterlab: add it, since `coursectl up` starts JupyterLab",
    )
    assert load_course(tmp_path / "course.yaml").environments[0].channels == ("conda-forge",)


def test_a_conda_export_cannot_be_adopted(tmp_path: Path) -> None:
    source = tmp_path / "packages.txt"
    source.write_text(
        "# platform: linux-64\n_libgcc_mutex=0.1=main\nnumpy=1.26.4=py311h64_0\nwpca=0.1=pypi_0\n"
    )
    report = init(tmp_path / "c", source, InitOptions(name="c"))
    spec = read_conda_spec(report.spec, tmp_path / "c")
    assert [x.text for x in spec.lines] == ["numpy=1.26.4"]
    assert [x.text for x in spec.pip.lines] == ["wpca==0.1"]


def test_what_a_person_wrote_is_lost(tmp_path: Path) -> None:
    (tmp_path / "course.yaml").write_text("name: mine\n")
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=r"course\.yaml is there already$") as caught:
        init(tmp_path, None)
    assert caught.value.exit_code is ExitCode.USAGE
    assert snapshot(tmp_path) == before
    report = init(tmp_path, None, InitOptions(force=True))
    assert "course.yaml.old" in report.written
    assert (tmp_path / "course.yaml.old").read_text() == "name: mine\n"
    init(tmp_path, None, InitOptions(force=True))
    assert (tmp_path / "course.yaml.old").read_text() == "name: mine\n"
    assert (tmp_path / "course.yaml.old1").is_file()


def test_an_error_leaves_half_a_course(tmp_path: Path) -> None:
    source = tmp_path / "old" / "requirements.txt"
    source.parent.mkdir()
    source.write_text("numpy\n-e .\n")
    with pytest.raises(CourseFileError, match=r"^requirements\.txt:2: '-e \.' cannot be locked$"):
        init(tmp_path / "c", source)
    assert not (tmp_path / "c").exists()
    source.write_text("numpy\n")
    (tmp_path / "c" / "environments").mkdir(parents=True)
    (tmp_path / "c" / "environments" / "requirements.txt").write_text("mine\n")
    before = snapshot(tmp_path / "c")
    with pytest.raises(UsageError, match="is there already with another content"):
        init(tmp_path / "c", source)
    assert snapshot(tmp_path / "c") == before


def test_a_generated_environment_that_a_person_took_over_is_replaced(tmp_path: Path) -> None:
    report = init(tmp_path, None, InitOptions(name="c"))
    spec = tmp_path / report.spec
    spec.write_text("".join(spec.read_text().splitlines(keepends=True)[1:]))
    before = snapshot(tmp_path)
    notebook(tmp_path / "a.ipynb", "import emcee")
    with pytest.raises(UsageError, match="is not ours to replace"):
        init(tmp_path, tmp_path, InitOptions(name="c", force=True))
    (tmp_path / "a.ipynb").unlink()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "there is no file or folder"),
        ("a.ipynb", "a.ipynb is one notebook"),
        ("a.lock", "a.lock is of no kind that a course can be made from"),
    ],
)
def test_a_source_of_no_use_is_a_traceback(tmp_path: Path, name: str, message: str) -> None:
    if name != "none":
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=message):
        init(tmp_path / "c", tmp_path / name)


def test_an_import_is_missed_or_asks_for_the_wrong_package(tmp_path: Path) -> None:
    notebook(
        tmp_path / "nb" / "a.ipynb",
        "%matplotlib inline\nimport numpy as np, sklearn.svm\nfrom PIL import Image\nimport helper",
        "%%time\nimport cv2  # why?\ntry:\n    import torch\nexcept ImportError:\n    torch = None",
        "import os, json\nfrom mls import fit\nfrom google.colab import drive\nnp.sum?",
        "import broken_cell; x = = 1\nfrom skimage.io import imread",
        "importlib.import_module('bs4')",
    )
    notebook(tmp_path / "nb" / "old.ipynb", "import yaml", version=3)
    (tmp_path / "nb" / "helper.py").write_text("import astropy\n")
    (tmp_path / "mls").mkdir()
    (tmp_path / "mls" / "__init__.py").touch()
    (tmp_path / "text.md").write_text(
        "---\njupytext: {}\n---\n```{code-cell} ipython3\nimport seaborn\n```\n"
    )
    (tmp_path / "text.py").write_text("# %%\nimport h5py\n# %% [markdown]\n# import nothing\n")
    (tmp_path / "script.py").write_text("import not_a_notebook\n")
    notebook(tmp_path / ".ipynb_checkpoints" / "a.ipynb", "import checkpoint")
    report = init(tmp_path, tmp_path, InitOptions(name="c"))
    assert report.packages == {
        "ipykernel": "",
        "jupyterlab": "",
        "beautifulsoup4": "bs4",
        "broken-cell": "broken_cell",
        "h5py": "h5py",
        "numpy": "numpy",
        "opencv": "cv2",
        "pillow": "PIL",
        "pytorch": "torch",
        "pyyaml": "yaml",
        "scikit-image": "skimage",
        "scikit-learn": "sklearn",
        "seaborn": "seaborn",
    }
    assert report.local_modules == ("helper", "mls")
    assert report.warnings == ("nb/a.ipynb, cell 3, line 3: google.colab exists on its own service only",)
    assert load_course(tmp_path / "course.yaml").notebooks["suite"] == ["nb/*.ipynb", "text.md", "text.py"]
    pypi = init(tmp_path, tmp_path, InitOptions(name="c", engine=EngineKind.PYPI, force=True)).packages
    assert {"opencv-python", "torch"} < set(pypi)


def test_an_install_in_a_notebook_is_not_reported(tmp_path: Path) -> None:
    notebook(
        tmp_path / "a.ipynb",
        "import numpy\n!pip install emcee\n  %pip install -q corner",
        "%%bash\nset -e\nconda install -y root",
        "pip install tensorflow",
        "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', 'uproot'])\n"
        "os.system('pip install awkward')\nsubprocess.run(['git', 'clone', 'x'])",
        "!{sys.executable} -m pip install iminuit\n!uv pip install polars\nprint('pip install is a word')",
        "# !pip install nothing\n!ls pip",
    )
    found = [(x.cell, x.line, x.text) for x in scan_notebooks(tmp_path).installs]
    assert found == [
        (1, 2, "!pip install emcee"),
        (1, 3, "%pip install -q corner"),
        (2, 3, "conda install -y root"),
        (3, 1, "pip install tensorflow"),
        (4, 2, "subprocess.check_call([sys.executable, '-m', 'pip', 'install', 'uproot'])"),
        (4, 3, "os.system('pip install awkward')"),
        (5, 1, "!{sys.executable} -m pip install iminuit"),
        (5, 2, "!uv pip install polars"),
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cells": 3}', b"\xff\xfe{}", b"[" * 100_000])
def test_a_notebook_that_cannot_be_read_stops_the_others(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.ipynb").write_bytes(content)
    notebook(tmp_path / "good.ipynb", "import numpy")
    scan = scan_notebooks(tmp_path)
    assert [n for n, _ in scan.unreadable] == ["bad.ipynb"]
    assert [x.module for x in scan.imports] == ["numpy"]


def test_code_that_breaks_the_parser_breaks_the_scan() -> None:
    assert modules("(" * 10_000 + "\nimport numpy") == (("numpy", 2),)
    assert modules("import a\x00b\nimport numpy")[-1] == ("numpy", 2)


def test_the_reference_notebooks_need_what_their_environments_lack() -> None:
    root = Path(__file__).parents[2]
    scan = scan_notebooks(root / "tests" / "notebooks")
    tops = {x.module.split(".")[0] for x in scan.imports}
    pypi = {x.name for x in read_requirements("environments/phys398-pypi.in", root).lines}
    names = {"sklearn": "scikit-learn"}
    assert {names.get(t, t) for t in tops} - pypi == {"torch"}  # of the notebook that needs a GPU
    assert scan.local == ("phys398_tools",)
    assert scan.installs == ()


def test_a_folder_that_cannot_be_named_makes_a_course_file_that_does_not_load(tmp_path: Path) -> None:
    folder = tmp_path / "Física nuclear" / "año 2026"
    notebook(folder / "week 1" / "näive notebook.ipynb", "import numpy")
    notebook(folder / "week 2?" / "b.ipynb", "import scipy")
    (folder / "week 2?").rename(folder / "aux")  # Windows can have neither
    report = init(folder, None)
    assert report.notebooks == ("aux/b.ipynb", "week 1/näive notebook.ipynb")
    assert report.warnings == ("aux/*.ipynb is not in the suite: Windows cannot have a file called 'aux'",)
    assert load_course(folder / "course.yaml").notebooks["suite"] == ["week 1/*.ipynb"]


def test_a_spec_that_cannot_be_named_makes_a_course_file_that_does_not_load(tmp_path: Path) -> None:
    source = tmp_path / "nul.yml"
    source.write_text("dependencies: [python]\n")
    with pytest.raises(UsageError, match=r"^nul\.yml cannot be named in course\.yaml$"):
        init(tmp_path, source)
    assert not (tmp_path / "course.yaml").exists()
