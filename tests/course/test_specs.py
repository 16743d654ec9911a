"""The dialects of real courses parse, and nothing in them is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursectl.errors import CourseFileError
from coursectl.model.platform import Platform
from coursectl.specs import read_apt, read_conda_spec, read_requirements
from coursectl.specs_conda import spec_problem

ENVIRONMENT = """\
name: mls  # the machine learning course
channels:
  - pytorch
  - conda-forge
  - defaults
  - nodefaults
prefix: /home/prof/miniconda3/envs/mls
variables:
  OMP_NUM_THREADS: 1
dependencies:
  - python=3.8
  - numpy=1.26=py311_0   # a build string
  - scipy >=1.10,<2
  - conda-forge::h5py
  - matplotlib-base[version='>=3.5']
  - pandas 1.5.*
  - m2w64-toolchain  # [win]
  - uvloop  # [not win]
  - pip
  - pip:
      - -r file:reqs/extra.txt
      - -f https://download.example.org/whl/torch_stable.html
      - --find-links=https://wheels.example.org/
      - torch==1.5.0+cpu
      - wpca
      - tensorflow-probability[tf]>=0.20 ; python_version < "3.12"
      - emcee @ https://files.example.org/emcee-3.1.4.tar.gz
"""
EXTRA = """\
# what the pip list includes
--extra-index-url https://${USER}:${TOKEN}@wheels.example.org/simple
-c constraints.txt
autograd==1.6.2 \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000001 \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000002
-r extra.txt
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "env" / "reqs").mkdir(parents=True)
    (tmp_path / "env" / "environment.yml").write_text(ENVIRONMENT)
    (tmp_path / "env" / "apt.txt").write_text("# for the image\nffmpeg\nlibhdf5-dev=1.10.8 # pinned\n")
    (tmp_path / "env" / "reqs" / "extra.txt").write_text(EXTRA)
    (tmp_path / "env" / "reqs" / "constraints.txt").write_text("numpy<2\n")
    return tmp_path


def test_a_line_of_a_real_environment_file_is_lost(folder: Path) -> None:
    spec = read_conda_spec("env/environment.yml", folder)
    assert spec.channels == ("pytorch", "conda-forge")
    assert spec.specs(Platform.LINUX_64) == (
        "python=3.8",
        "numpy=1.26=py311_0",
        "scipy >=1.10,<2",
        "conda-forge::h5py",
        "matplotlib-base[version='>=3.5']",
        "pandas 1.5.*",
        "uvloop",
        "pip",
    )
    assert set(spec.specs(Platform.WIN_64)) ^ set(spec.specs(Platform.OSX_64)) == {
        "m2w64-toolchain",
        "uvloop",
    }
    assert [(x.name, x.line) for x in spec.lines][:4] == [
        ("python", 11),
        ("numpy", 12),
        ("scipy", 13),
        ("h5py", 14),
    ]
    assert spec.variables == (("OMP_NUM_THREADS", "1"),)
    assert spec.files == ("env/environment.yml", "env/reqs/extra.txt", "env/reqs/constraints.txt")


def test_a_line_of_a_pip_list_or_of_a_file_it_includes_is_lost(folder: Path) -> None:
    pip = read_conda_spec("env/environment.yml", folder).pip
    assert [(x.name, x.file, x.line) for x in pip.lines] == [
        ("autograd", "env/reqs/extra.txt", 4),
        ("torch", "env/environment.yml", 24),
        ("wpca", "env/environment.yml", 25),
        ("tensorflow-probability", "env/environment.yml", 26),
        ("emcee", "env/environment.yml", 27),
    ]
    assert [h[-1] for h in pip.lines[0].hashes] == ["1", "2"]
    assert [x.text for x in pip.constraints] == ["numpy<2"]
    assert pip.options == (
        "--extra-index-url https://${USER}:${TOKEN}@wheels.example.org/simple",
        "--find-links https://download.example.org/whl/torch_stable.html",
        "--find-links https://wheels.example.org/",
    )
    assert pip.text().splitlines()[3:5] == ["autograd==1.6.2", "torch==1.5.0+cpu"]


def test_something_has_no_effect_and_nobody_says_so(folder: Path) -> None:
    assert read_conda_spec("env/environment.yml", folder).notices == (
        "env/environment.yml:7: `prefix:` is ignored: coursectl does not use it",
        "env/environment.yml:5: the channel `defaults` is left out: it differs from person to person",
        "env/environment.yml:8: `variables:` are recorded, but coursectl does not set them",
        "env/environment.yml:24: torch==1.5.0+cpu is a build that only its maker's own index has; "
        "name that with --find-links",
    )


def test_debian_packages_beside_the_spec_are_lost(folder: Path) -> None:
    assert [(x.name, x.line) for x in read_apt("env/environment.yml", folder)] == [
        ("ffmpeg", 2),
        ("libhdf5-dev=1.10.8", 3),
    ]
    assert read_apt("requirements.txt", folder) == ()


def test_a_pip_freeze_does_not_parse(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "absl-py==2.1.0\nPillow==10.2.0\n## !! Could not determine repository location\nzipp==3.17.0\r\n"
        "importlib-metadata==7.0.1 ; python_version<'3.10'\n--trusted-host example.org\n--pre\n"
    )
    found = read_requirements("requirements.txt", tmp_path)
    assert [x.name for x in found.lines] == ["absl-py", "pillow", "zipp", "importlib-metadata"]
    assert found.options == ("--pre",)
    assert found.notices == ("requirements.txt:6: --trusted-host is not used: the lock has every hash",)


def test_files_that_include_each_other_never_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\nnumpy\n")
    (tmp_path / "b.txt").write_text("-ra.txt\nscipy\n")
    assert [x.name for x in read_requirements("a.txt", tmp_path).lines] == ["scipy", "numpy"]


def test_an_included_file_is_a_link_out_of_the_course_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("numpy\n")
    course = tmp_path / "course"
    course.mkdir()
    (course / "a.txt").write_text("-r b.txt\n")
    (course / "b.txt").symlink_to("../secret.txt")
    with pytest.raises(CourseFileError, match=r"^a\.txt:1: the included file 'b\.txt' cannot be read$"):
        read_requirements("a.txt", course)


def test_what_powershell_writes_is_read_as_garbage(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("numpy==1.26.4\r\n".encode("utf-16"))
    with pytest.raises(CourseFileError, match=r"^requirements\.txt:1: the file is UTF-16$"):
        read_requirements("requirements.txt", tmp_path)


@pytest.mark.parametrize(
    "spec",
    [
        "numpy",
        "numpy=1.26",
        "numpy==1.26.4",
        "numpy =1.26 py311*",
        "numpy>=1.26,!=1.26.1",
        "numpy 1.26.*",
        "numpy * *openblas",
        "conda-forge/label/dev::numpy",
        "https://repo.example.edu/phys::numpy=1.26",
        "_libgcc_mutex",
        "libblas=*=*mkl",
        "numpy[build='*mkl*']",
        "ruamel.yaml",
    ],
)
def test_a_right_conda_spec_is_refused(spec: str) -> None:
    assert spec_problem(spec) is None
