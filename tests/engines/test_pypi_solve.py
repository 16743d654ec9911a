"""Locks from the real index: the same bytes, for every platform, without a host, accepted by pip and uv."""

from __future__ import annotations

import os
import re
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pytest

from coursectl import process
from coursectl.engines import uv_program
from coursectl.engines.base import Network
from coursectl.engines.pypi_lock import parse
from coursectl.errors import CourseFileError, LockError, NetworkError, SolveError
from coursectl.model.platform import Platform
from engines import pypi_kit as kit

pytestmark = pytest.mark.network


def test_two_solves_of_one_spec_give_other_bytes(tmp_path: Path, shared_cache: Path) -> None:
    network = Network(cache=shared_cache)
    first = kit.solve(tmp_path, network, kit.SMALL)
    elsewhere = tmp_path / "another folder"
    elsewhere.mkdir()
    second = kit.solve(elsewhere, Network(cache=tmp_path / "empty"), kit.SMALL)
    assert first.text == second.text
    assert first.sizes == second.sizes


def test_a_lock_names_a_host_or_a_path_of_the_machine(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.solve(tmp_path, Network(cache=shared_cache), kit.SMALL)
    head, *rest = lock.text.splitlines()
    assert head.startswith(f"# python {kit.PYTHON}: made by coursectl from environments/small.in; ")
    assert "://" not in lock.text
    assert str(tmp_path) not in lock.text
    assert all(re.match(r"[a-z]|    --hash=sha256:", line) for line in rest)


def test_the_day_is_not_respected(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.solve(tmp_path, Network(cache=shared_cache), "packaging\nidna\n", as_of=date(2023, 8, 20))
    assert {p.name: p.version for p in lock.pins} == {"idna": "3.4", "packaging": "23.1"}


def test_a_platform_is_forgotten(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.solve(tmp_path, Network(cache=shared_cache), kit.SMALL)
    assert {p.name: p.marker for p in lock.pins if p.marker} == {"colorama": 'sys_platform == "win32"'}
    yaml = next(p for p in lock.pins if p.name == "pyyaml")
    assert len(yaml.hashes) > 20  # every wheel of every platform, not only this machine's
    assert set(lock.sizes) == set(Platform)
    # colorama (25,335 bytes) is on Windows alone, and each platform has its own wheel of pyyaml
    assert len({size for size in lock.sizes.values() if size is not None}) == len(Platform)


def test_update_moves_more_than_it_was_told(tmp_path: Path, shared_cache: Path) -> None:
    network = Network(cache=shared_cache)
    old = kit.solve(tmp_path, network, "idna\npackaging\nsix\n", as_of=date(2023, 8, 20))
    new = kit.solve(tmp_path, network, "idna\npackaging\nsix\n", keep=old.text, update=("packaging",))
    before, after = ({p.name: p for p in lock.pins} for lock in (old, new))
    assert after["packaging"].version == "24.2"
    assert before["idna"] == after["idna"]
    assert before["six"] == after["six"]
    again = kit.solve(tmp_path, network, "idna\npackaging\nsix\n", keep=new.text)
    assert again.text == new.text


def test_a_package_that_must_be_compiled_somewhere_goes_unsaid(tmp_path: Path, shared_cache: Path) -> None:
    # psutil 5.9.5 has no wheel for linux-aarch64, and no version before it that it could fall back to
    told = kit.Told()
    lock = kit.solve(
        tmp_path,
        Network(cache=shared_cache),
        "psutil\n",
        as_of=date(2023, 8, 20),
        told=told,
        platforms=(Platform.LINUX_64, Platform.LINUX_AARCH64),
    )
    assert [p.version for p in lock.pins] == ["5.9.5"]
    assert told.warned == [
        "no-wheel: psutil has no wheel for linux-aarch64: it would have to be compiled there"
    ]


def test_a_version_without_a_wheel_for_intel_macs_is_taken_there(tmp_path: Path, shared_cache: Path) -> None:
    """cryptography 50 has none, 48 has: Intel Macs get that, the others the newest."""
    lock = kit.solve(tmp_path, Network(cache=shared_cache), "cryptography\n", as_of=date(2026, 11, 15))
    versions = {p.version: p.marker or "" for p in lock.pins if p.name == "cryptography"}
    assert len(versions) == 2
    oldest = min(versions, key=lambda v: int(v.split(".")[0]))
    assert 'platform_machine == "x86_64" and sys_platform == "darwin"' in versions[oldest]


def test_pip_refuses_the_lock(tmp_path: Path, shared_cache: Path) -> None:
    if find_spec("pip") is None:
        pytest.skip("this Python has no pip to try the lock with")
    lock = kit.small_lock(tmp_path, shared_cache)
    target = tmp_path / "target"
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    ended = process.run([*words, "--require-hashes", "-r", lock, "--target", target], timeout=120)
    assert ended.ok, ended.stderr
    assert (target / "six.py").is_file()


def test_plain_uv_pip_sync_refuses_the_lock(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    uv = uv_program.program()
    env = uv_program.variables(Network(cache=shared_cache), os.environ)
    made = process.run([uv, "venv", "--no-project", tmp_path / "v"], timeout=60, env=env)
    assert made.ok, made.stderr
    synced = process.run(
        [uv, "pip", "sync", "--python", tmp_path / "v", lock], timeout=120, cwd=tmp_path, env=env
    )
    assert synced.ok, synced.stderr
    assert " + six==1.17.0" in synced.stderr


def test_a_contradiction_does_not_name_both_sides(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(SolveError) as caught:
        kit.solve(tmp_path, Network(cache=shared_cache), "markdown-it-py>=3\nmdurl>=1\n")
    assert caught.value.message == "environments/small.in cannot be solved"
    assert "mdurl" in str(caught.value.cause)
    assert "conclude" not in str(caught.value.cause)
    assert any("environments/small.in" in str(h) for h in caught.value.hints)


def test_a_version_from_after_the_day_is_not_explained(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(SolveError) as caught:
        kit.solve(tmp_path, Network(cache=shared_cache), "packaging>=24\n", as_of=date(2023, 8, 20))
    assert any("later --as-of" in str(h) for h in caught.value.hints)


def test_a_package_that_does_not_exist_is_not_named(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(SolveError) as caught:
        kit.solve(tmp_path, Network(cache=shared_cache), "no-such-package-of-phys398\n")
    assert any("no-such-package-of-phys398 is spelled" in str(h) for h in caught.value.hints)


def test_a_bad_line_is_not_located(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(CourseFileError, match=r"^environments/small\.in:3: "):
        kit.solve(tmp_path, Network(cache=shared_cache), "six\nidna\nnumpy=>1\n")


def test_a_local_version_is_a_riddle(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(SolveError) as caught:
        kit.solve(tmp_path, Network(cache=shared_cache), "torch==1.5.0+cpu\n")
    assert any("--find-links" in str(h) for h in caught.value.hints)


def test_a_wheel_by_address_is_not_locked(tmp_path: Path, shared_cache: Path) -> None:
    network = Network(cache=shared_cache)
    with uv_program.workplace() as folder:
        url = _address_of_six(folder, network)
    lock = kit.solve(tmp_path, network, f"six @ {url}\n")
    assert [(p.name, p.version, len(p.hashes)) for p in lock.pins] == [("six", "1.17.0", 1)]


def _address_of_six(folder: Path, network: Network) -> str:
    from coursectl.engines.uv_compile import compile_
    from coursectl.engines.uv_errors import Doing
    from coursectl.engines.uv_wheels import read_pylock

    (folder / "in.txt").write_text("six==1.17.0\n", encoding="utf-8")
    arguments = ["--format", "pylock.toml", "--universal", str(folder / "in.txt")]
    text = compile_(arguments, output=folder / "pylock.toml", network=network, doing=Doing(failed="x"))
    return next(f.url for f in read_pylock(text)[0].files if f.is_wheel)


def test_an_index_that_cannot_be_reached_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    network = Network(cache=tmp_path / "empty", mirrors={"pypi": ("http://me:pw-secret@127.0.0.1:9/simple",)})
    with pytest.raises(NetworkError) as caught:
        kit.solve(tmp_path, network, "six\n")
    assert "127.0.0.1:9" in caught.value.message
    assert "refused" in str(caught.value.cause)
    assert "pw-secret" not in f"{caught.value.message}{caught.value.cause}{caught.value.__cause__}"


def test_offline_with_an_empty_cache_asks_the_network(tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        kit.solve(tmp_path, Network(cache=tmp_path / "empty", offline=True), "six\n")
    assert caught.value.code == "offline"
    assert "six" in str(caught.value.cause)


def test_a_pin_without_a_hash_or_version_counts_as_locked() -> None:
    with pytest.raises(LockError, match=r"x:1: six has no sha256 hash"):
        parse("six==1.17.0\n", "x")
    with pytest.raises(LockError, match=r"x:2: six has no exact version"):
        parse("# python 3.11\nsix>=1 --hash=sha256:" + "0" * 64, "x")
    with pytest.raises(LockError, match=r"x:1: this is no pinned requirement"):
        parse("six=>1\n", "x")
