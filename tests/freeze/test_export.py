"""Each exported format, read by the tool that it is for."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from coursectl import config, process
from coursectl.engines import uv_program
from coursectl.engines.base import Network
from coursectl.errors import LockError, UsageError
from coursectl.lockfiles import conda_lock, conda_lock_write, requirements
from coursectl.model.platform import Platform
from coursectl.model.semester import Semester
from coursectl.workflows.export import ExportFormat, ExportReport, export

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "lockfiles" / "fall2025"


def exported(fmt: ExportFormat, cache: Path, **options: object) -> ExportReport:
    course = config.load_course(ROOT / "course.yaml")
    return export(course, Semester.parse("fall2025"), fmt, network=Network(cache=cache), **options)  # type: ignore[arg-type]


def ran(*argv: str | Path, cwd: Path) -> process.Completed:
    ended = process.run(argv, timeout=240, cwd=cwd)
    assert ended.ok, ended.stderr
    return ended


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_explicit_is_what_conda_lock_renders(tmp_path: Path, variant: str) -> None:
    report = exported(ExportFormat.EXPLICIT, tmp_path, platform=Platform.LINUX_64, variant=variant)
    (file,) = report.files
    key = "linux-64" if variant == "cpu" else "linux-64-cuda"
    assert file.name == f"conda-{key}.lock"
    program = (sys.executable, "-W", "ignore", "-m", "conda_lock", "render", "--kind", "explicit", "-p", key)
    ran(*program, LOCKS / "phys398.conda-lock.yml", cwd=tmp_path)
    theirs = (tmp_path / f"conda-{key}.lock").read_text().split("@EXPLICIT")[1].split()
    assert sorted(file.text.split("@EXPLICIT")[1].split()) == sorted(theirs)


def test_explicit_names_a_package_after_all_it_needs(tmp_path: Path) -> None:
    (file,) = exported(ExportFormat.EXPLICIT, tmp_path, platform=Platform.LINUX_64).files
    order = [line.rpartition("/")[2].rsplit("-", 2)[0] for line in file.text.splitlines() if "://" in line]
    assert order.index("python") < order.index("numpy") < order.index("scipy") < order.index("scikit-learn")


def test_rattler_reads_the_explicit_file(tmp_path: Path) -> None:
    (file,) = exported(ExportFormat.EXPLICIT, tmp_path, platform=Platform.OSX_ARM64).files
    path = tmp_path / file.name
    path.write_text(file.text, encoding="utf-8")
    script = (
        "import sys\nfrom rattler.explicit_environment import ExplicitEnvironmentSpec as S\nimport os\n"
        "from pathlib import Path\n"
        "found = S.from_path(Path(sys.argv[1]))\nprint(len(found.packages), flush=True)\nos._exit(0)\n"
    )
    ended = process.run([sys.executable, "-c", script, path], timeout=60)
    assert ended.stdout.strip() == str(file.text.count("https://")), ended.stderr


def test_environment_yml_pins_version_and_build_for_conda_lock(tmp_path: Path) -> None:
    (file,) = exported(ExportFormat.ENVIRONMENT, tmp_path, platform=Platform.LINUX_64).files
    path = tmp_path / "environment.yml"
    path.write_text(file.text, encoding="utf-8")
    conda_lock_write.require()
    from conda_lock.src_parser import make_lock_spec

    spec = make_lock_spec(src_files=[path], platform_overrides=["linux-64"], mapping_url="")
    solution = conda_lock.read_conda_lock(LOCKS / "phys398.conda-lock.yml").solution(Platform.LINUX_64, "cpu")
    assert solution is not None
    asked = {d.name: (d.version, d.build) for d in spec.dependencies["linux-64"]}
    assert {n: (str(v).lstrip("="), b) for n, (v, b) in asked.items()} == {
        p.name: (p.version, p.build) for p in solution.packages
    }
    assert [c.url for c in spec.channels] == ["conda-forge"]


def test_requirements_are_the_lock_itself(tmp_path: Path) -> None:
    report = exported(ExportFormat.REQUIREMENTS, tmp_path)
    assert report.environment == "phys398-pypi"
    assert report.files[0].text == (LOCKS / "phys398-pypi.requirements.txt").read_text(encoding="utf-8")


@pytest.mark.network
def test_uv_takes_the_requirements(tmp_path: Path) -> None:
    (file,) = exported(ExportFormat.REQUIREMENTS, tmp_path).files
    (tmp_path / file.name).write_text(file.text, encoding="utf-8")
    ran(uv_program.program(), "venv", "--python", sys.executable, "there", cwd=tmp_path)
    sync = ("pip", "sync", "--dry-run", "--require-hashes", "--python", "there", file.name)
    ended = ran(uv_program.program(), *sync, cwd=tmp_path)
    assert "Would install" in ended.stderr


@pytest.mark.network
def test_pylock_follows_pep_751_and_has_the_locked_pins(tmp_path: Path) -> None:
    from packaging.pylock import Pylock, is_valid_pylock_path

    (file,) = exported(ExportFormat.PYLOCK, tmp_path).files
    assert is_valid_pylock_path(Path(file.name))
    pylock = Pylock.from_dict(tomllib.loads(file.text))
    lock = requirements.read_requirements_lock(LOCKS / "phys398-pypi.requirements.txt")
    assert {(p.name, str(p.version)) for p in pylock.packages} == {(p.name, p.version) for p in lock.pins}
    hashes = {h for p in lock.pins for h in p.hashes}
    assert {w.hashes["sha256"] for p in pylock.packages for w in p.wheels or ()} <= hashes
    (tmp_path / "pylock.toml").write_text(file.text, encoding="utf-8")
    ran(uv_program.program(), "venv", "--python", sys.executable, "there", cwd=tmp_path)
    ended = ran(
        uv_program.program(), "pip", "sync", "--dry-run", "--python", "there", "pylock.toml", cwd=tmp_path
    )
    assert "Would install" in ended.stderr


READ = """
import json, os, sys
from rattler.lock import LockFile
lock = LockFile.from_path(sys.argv[1])
found = [
    [name, platform.name, package.name, package.location, package.hashes.sha256.hex()]
    for name, environment in lock.environments()
    for platform in environment.platforms()
    for package in environment.packages(platform)
]
print(json.dumps(found), flush=True)
os._exit(0)
"""


def test_pixi_lock_is_read_by_rattler_with_every_package(tmp_path: Path) -> None:
    import json

    report = exported(ExportFormat.PIXI, tmp_path)
    manifest, locked = report.files
    path = tmp_path / "pixi.lock"
    path.write_text(locked.text, encoding="utf-8")
    ended = process.run([sys.executable, "-c", READ, path], timeout=60)
    assert ended.stdout.startswith("["), ended.stderr
    found = {tuple(row) for row in json.loads(ended.stdout)}
    lock = conda_lock.read_conda_lock(LOCKS / "phys398.conda-lock.yml")
    assert found == {
        ("default" if s.variant == "cpu" else s.variant, str(s.platform), p.name, p.url, p.sha256)
        for s in lock.solutions
        for p in s.packages
    }
    toml = tomllib.loads(manifest.text)
    assert toml["environments"]["default"]["features"] == ["cpu"]
    assert toml["feature"]["cuda"]["system-requirements"] == {"cuda": "12.6"}
    wanted = toml["feature"]["cuda"]["target"]["linux-64"]["dependencies"]
    solution = lock.solution(Platform.LINUX_64, "cuda")
    assert solution is not None
    versions = {p.name: p.version for p in solution.packages}
    assert "pytorch" in wanted
    assert wanted == {name: f"=={versions[name]}" for name in wanted}


@pytest.mark.parametrize(
    ("fmt", "options", "words"),
    [
        (ExportFormat.EXPLICIT, {"environment": "phys398-pypi"}, "cannot be exported as explicit"),
        (ExportFormat.PYLOCK, {"environment": "phys398"}, "cannot be exported as pylock"),
        (ExportFormat.EXPLICIT, {"environment": "other"}, "has no environment other"),
        (ExportFormat.EXPLICIT, {"platform": Platform.WIN_64}, "has nothing for win-64"),
        (
            ExportFormat.EXPLICIT,
            {"platform": Platform.OSX_64, "variant": "cuda"},
            r"has nothing for osx-64 \(cuda\)",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_a_usage_error(
    tmp_path: Path, fmt: ExportFormat, options: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        exported(fmt, tmp_path, **options)


def test_a_semester_that_is_not_frozen_cannot_be_exported(tmp_path: Path) -> None:
    course = config.load_course(ROOT / "course.yaml")
    with pytest.raises(LockError, match="not frozen"):
        export(course, Semester.parse("fall2031"), ExportFormat.EXPLICIT, network=Network(cache=tmp_path))
