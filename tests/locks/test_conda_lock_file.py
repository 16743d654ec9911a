"""Our conda-lock.yml: what is written is read again, by us and by conda-lock's own program."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from coursectl.errors import LockError
from coursectl.lockfiles import conda_lock, conda_lock_write
from coursectl.model.lock import CondaLock, CondaSolution
from coursectl.model.platform import Platform
from locks.lock_kit import lock, package, pip_package

SPEC = "name: x\nchannels: [conda-forge]\ndependencies:\n  - python >=3.11\n  - numpy >=1.26,<3\n  - scipy\n"


def two_variants() -> CondaLock:
    cpu = lock(package(), package("scipy", "1.14", depends=("numpy <3", "python")), pip_package())
    cuda = lock(
        package(version="2.1.0"),
        package("pytorch", "2.7", build="cuda126_0", depends=("numpy",)),
        variant="cuda",
    )
    mac = lock(package(subdir="osx-arm64"), platform=Platform.OSX_ARM64)
    return CondaLock(
        channels=("conda-forge",),
        solutions=(*cpu.solutions, *cuda.solutions, *mac.solutions),
        sources=("../../environments/x.yml",),
        content_hash={},
        spec_digest="d" * 64,
    )


def conda_lock_program(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "conda_lock", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def course(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "x.yml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def write(course: Path, value: CondaLock) -> Path:
    hashes = conda_lock_write.content_hashes(
        course / "environments" / "x.yml",
        channels=value.channels,
        builds={
            (s.platform, s.variant): ("pytorch",) if s.variant == "cuda" else () for s in value.solutions
        },
    )
    path = course / "lockfiles" / "fall2025" / "x.conda-lock.yml"
    path.parent.mkdir(parents=True)
    value = dataclasses.replace(value, content_hash=hashes)
    path.write_bytes(conda_lock_write.render(value, file_name=path.name))
    return path


def test_what_is_written_is_read_back_whole(course: Path) -> None:
    path = write(course, two_variants())
    back = conda_lock.read_conda_lock(path)
    wanted = two_variants()
    assert back.spec_digest == wanted.spec_digest
    assert back.sources == wanted.sources
    assert set(back.content_hash) == {"linux-64", "linux-64-cuda", "osx-arm64"}
    key = lambda s: (s.platform, s.variant)  # noqa: E731
    assert sorted(back.solutions, key=key) == sorted(wanted.solutions, key=key)


def test_the_bytes_depend_on_the_lock_alone(course: Path, tmp_path: Path) -> None:
    value = two_variants()
    shuffled = dataclasses.replace(
        value,
        solutions=tuple(
            CondaSolution(platform=s.platform, variant=s.variant, packages=s.packages[::-1])
            for s in value.solutions[::-1]
        ),
    )
    one = conda_lock_write.render(value, file_name="x")
    assert one == conda_lock_write.render(shuffled, file_name="x")
    assert not re.search(rb"\d{4}-\d\d-\d\d|created_at|git_", one)
    assert str(tmp_path).encode() not in one


def test_conda_lock_reads_both_variants_and_renders_the_right_addresses(course: Path) -> None:
    path = write(course, two_variants())
    ran = conda_lock_program(
        "render", "--kind", "explicit", "-p", "linux-64", "-p", "linux-64-cuda", path, cwd=course
    )
    assert ran.returncode == 0, ran.stderr
    cpu = (course / "conda-linux-64.lock").read_text()
    cuda = (course / "conda-linux-64-cuda.lock").read_text()
    assert "/linux-64/numpy-2.0.1-py311h_0.conda#" in cpu
    assert "pytorch" not in cpu
    assert "# pip emcee @ https://files.example.org/" in cpu
    assert "/linux-64/numpy-2.1.0-py311h_0.conda#" in cuda
    assert "/linux-64/pytorch-2.7-cuda126_0.conda#" in cuda


@pytest.mark.skipif(sys.platform == "win32", reason="stands in for conda with a POSIX program")
def test_conda_lock_finds_nothing_stale(course: Path) -> None:
    path = write(course, two_variants())
    before = path.read_bytes()
    # conda-lock wants some conda before it looks at anything; it asks it for --version and no more
    arguments = ("lock", "--conda", "/bin/true", "--check-input-hash", "-f", "environments/x.yml")
    ran = conda_lock_program(*arguments, "-p", "linux-64", "-p", "osx-arm64", "--lockfile", path, cwd=course)
    assert ran.returncode == 0, ran.stderr
    assert "Spec hash already locked for ['linux-64', 'linux-64-cuda', 'osx-arm64']" in ran.stderr
    assert path.read_bytes() == before
    (course / "environments" / "x.yml").write_text(SPEC + "  - pandas\n", encoding="utf-8")
    ran = conda_lock_program(*arguments, "-p", "linux-64", "--lockfile", path, cwd=course)
    assert "Locking dependencies for ['linux-64']" in ran.stderr


def test_no_content_hash_applies_to_a_dialect_that_conda_lock_cannot_read(course: Path) -> None:
    source = course / "environments" / "x.yml"
    source.write_text(SPEC + "  - pip:\n      - git+file:///nowhere\n      - '???'\n", encoding="utf-8")
    assert (
        conda_lock_write.content_hashes(
            source, channels=("conda-forge",), builds={(Platform.LINUX_64, "cpu"): ()}
        )
        == {}
    )


def test_a_pip_list_has_a_content_hash_without_any_network(course: Path) -> None:
    source = course / "environments" / "x.yml"
    source.write_text(SPEC + "  - pip:\n      - emcee>=3\n", encoding="utf-8")
    hashes = conda_lock_write.content_hashes(
        source, channels=("conda-forge",), builds={(Platform.LINUX_64, "cpu"): ()}
    )
    assert list(hashes) == ["linux-64"]


def test_an_epoch_and_a_local_version_survive(course: Path) -> None:
    odd = lock(package("x264", "1!164.3095", build="h_2"), package("torch", "1.5.0+cpu", build="0"))
    path = write(course, odd)
    assert conda_lock.read_conda_lock(path).solutions == odd.solutions


def test_damaged_sizes_are_an_error_that_says_so(course: Path) -> None:
    path = write(course, two_variants())
    text = re.sub(r"coursectl\.sizes: '[^']*'", "coursectl.sizes: '[1]'", path.read_text())
    with pytest.raises(LockError, match=r"coursectl\.sizes is damaged"):
        conda_lock.parse(text.encode(), "x.yml")
