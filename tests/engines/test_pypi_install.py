"""Real environments of small real packages: whole or not there, verified, and mended with their cache."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from coursectl import activation, files, process
from coursectl.engines import uv_program
from coursectl.engines.base import Network
from coursectl.engines.pypi import PypiEngine
from coursectl.engines.uv_records import site_packages
from coursectl.errors import DiskSpaceError, InstallError, LockError, NetworkError
from coursectl.model.installed import MARKER, ProblemKind
from coursectl.model.progress import Silent
from engines import pypi_kit as kit

pytestmark = pytest.mark.network
ENGINE = PypiEngine()


def site(prefix: Path) -> Path:
    found = site_packages(prefix)
    assert found is not None
    return found


def leftovers(prefix: Path) -> list[str]:
    return sorted(p.name for p in prefix.parent.iterdir() if p.name.startswith((".staging", ".aside")))


def test_an_environment_does_not_run_where_it_was_renamed_to(tmp_path: Path, shared_cache: Path) -> None:
    """Scripts with a blank, accents and more than 127 characters (a shebang's limit) before them."""
    prefix = tmp_path / ("mécanique des fluides " + "x" * 100) / "small-fall2026-abc"
    record = ENGINE.ensure(
        kit.request(kit.small_lock(tmp_path, shared_cache), prefix, Network(cache=shared_cache)), Silent()
    )
    assert json.loads((prefix / MARKER).read_text())["digest"] == record.digest == "d1"
    assert record.installed_bytes == pytest.approx(files.tree_bytes(prefix), rel=0.01)
    assert Path(kit.runs(prefix, "-c", "import sys; print(sys.prefix)")) == prefix
    script = activation.program_folders(prefix)[0] / ("pygmentize.exe" if os.name == "nt" else "pygmentize")
    ended = process.run([script, "-V"], timeout=60)
    assert ended.ok, ended.stderr
    assert "Pygments version 2.19.1" in ended.stdout
    verdict = ENGINE.verify(prefix)
    assert verdict.ok, verdict.problems
    assert verdict.packages == (9 if os.name == "nt" else 8)  # colorama
    assert leftovers(prefix) == []


def test_the_second_ensure_does_something(tmp_path: Path, shared_cache: Path) -> None:
    request = kit.request(
        kit.small_lock(tmp_path, shared_cache), tmp_path / "e" / "small", Network(cache=shared_cache)
    )
    first = ENGINE.ensure(request, Silent())
    before = (request.prefix / MARKER).stat().st_mtime_ns
    request.requirements.unlink() if request.requirements else None  # it is not even read
    assert ENGINE.ensure(request, Silent()) == first
    assert (request.prefix / MARKER).stat().st_mtime_ns == before


def test_progress_stops_short_of_its_total(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    told = kit.Told()
    request = kit.request(lock, tmp_path / "e" / "small", Network(cache=tmp_path / "empty"))
    ENGINE.ensure(request, told)
    fetching, checking = told.tasks["fetching packages"], told.tasks["checking files"]
    verdict = ENGINE.verify(request.prefix)
    assert fetching.amount == fetching.size == verdict.packages
    assert any(detail.startswith("pygments 1.") and "MiB" in detail for detail in fetching.details)
    assert checking.amount == verdict.files


def test_two_at_once_build_it_twice(tmp_path: Path, shared_cache: Path) -> None:
    request = kit.request(
        kit.small_lock(tmp_path, shared_cache), tmp_path / "e" / "small", Network(cache=shared_cache)
    )
    told = [kit.Told(), kit.Told()]
    threads = [threading.Thread(target=ENGINE.ensure, args=(request, t)) for t in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waited = [line for t in told for line in t.said]
    assert waited == ["another coursectl is installing small: waiting for it"]
    assert ENGINE.verify(request.prefix).ok


def test_a_file_edited_in_place_damages_the_cache_for_ever(tmp_path: Path, shared_cache: Path) -> None:
    """The file is a hard link into uv's cache (a clone on macOS): verify names it, repair mends both."""
    cache = tmp_path / "own-cache"
    lock = kit.small_lock(tmp_path, shared_cache)
    request = kit.request(lock, tmp_path / "e" / "small", Network(cache=cache))
    ENGINE.ensure(request, Silent())
    six = site(request.prefix) / "six.py"
    linked = six.stat().st_nlink > 1
    with six.open("a") as stream:
        stream.write("\nraise SystemExit('a student was here')\n")
    (site(request.prefix) / "idna" / "core.py").unlink()

    verdict = ENGINE.verify(request.prefix)
    inside = site(request.prefix).relative_to(request.prefix).as_posix()
    assert {(p.kind, p.path, p.package) for p in verdict.problems} == {
        (ProblemKind.CHANGED, f"{inside}/six.py", "six"),
        (ProblemKind.MISSING, f"{inside}/idna/core.py", "idna"),
    }
    told = kit.Told()
    assert ENGINE.repair(request, told).ok
    assert kit.runs(request.prefix, "-c", "import six; print(six.__version__)") == "1.17.0"
    if linked:
        assert told.said == ["the download cache is damaged (six): fetching again"]
    # the cache is mended too: another environment from it is whole, and without a word
    told = kit.Told()
    other = kit.request(lock, tmp_path / "e" / "other", Network(cache=cache, offline=True), digest="d2")
    ENGINE.ensure(other, told)
    assert told.said == []
    assert ENGINE.verify(other.prefix).ok
    assert leftovers(request.prefix) == []


def test_a_damaged_cache_installs_offline_all_the_same(tmp_path: Path, shared_cache: Path) -> None:
    cache = tmp_path / "own-cache"
    lock = kit.small_lock(tmp_path, shared_cache)
    ENGINE.ensure(kit.request(lock, tmp_path / "e" / "small", Network(cache=cache)), Silent())
    damaged = [p for p in (cache / "uv").rglob("six.py") if p.is_file()]
    assert damaged
    for file in damaged:
        file.write_text("import this\n")
    other = kit.request(lock, tmp_path / "e" / "other", Network(cache=cache, offline=True), digest="d2")
    with pytest.raises(InstallError) as caught:
        ENGINE.ensure(other, Silent())
    assert caught.value.code == "damaged"
    assert "six" in str(caught.value.cause)
    assert not other.prefix.exists()
    assert leftovers(other.prefix) == []


def test_a_record_cut_short_by_a_power_cut_hides_its_files(tmp_path: Path, shared_cache: Path) -> None:
    request = kit.request(
        kit.small_lock(tmp_path, shared_cache), tmp_path / "e" / "small", Network(cache=shared_cache)
    )
    ENGINE.ensure(request, Silent())
    record = next(site(request.prefix).glob("idna-*.dist-info/RECORD"))
    rows = record.read_text().splitlines(keepends=True)
    record.unlink()  # not through the hard link
    record.write_text("".join(rows[:2]))
    assert [(p.kind, p.package) for p in ENGINE.verify(request.prefix).problems] == [
        (ProblemKind.CHANGED, "idna")
    ]


def test_a_package_put_in_or_taken_out_goes_unseen(tmp_path: Path, shared_cache: Path) -> None:
    request = kit.request(
        kit.small_lock(tmp_path, shared_cache), tmp_path / "e" / "small", Network(cache=shared_cache)
    )
    ENGINE.ensure(request, Silent())
    folder = site(request.prefix)
    gone = next(folder.glob("packaging-*.dist-info"))
    files.remove_tree(gone)
    more = folder / "antigravity-1.0.dist-info"
    more.mkdir()
    (more / "RECORD").write_text("antigravity-1.0.dist-info/RECORD,,\n")
    assert {(p.kind, p.package) for p in ENGINE.verify(request.prefix).problems} == {
        (ProblemKind.NOT_INSTALLED, "packaging"),
        (ProblemKind.NOT_LOCKED, "antigravity 1.0"),
    }


@pytest.mark.skipif(os.name == "nt", reason="a virtual environment has no link to its Python on Windows")
def test_a_python_that_was_removed_goes_unseen(tmp_path: Path, shared_cache: Path) -> None:
    request = kit.request(
        kit.small_lock(tmp_path, shared_cache), tmp_path / "e" / "small", Network(cache=shared_cache)
    )
    ENGINE.ensure(request, Silent())
    python = request.prefix / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert [(p.kind, p.path) for p in ENGINE.verify(request.prefix).problems] == [
        (ProblemKind.MISSING, "bin/python")
    ]


def test_a_folder_without_an_environment_is_faultless(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="there is no environment at"):
        ENGINE.verify(tmp_path)


def test_a_failed_install_takes_the_old_environment_with_it(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    network = Network(cache=shared_cache)
    prefix = tmp_path / "e" / "small"
    ENGINE.ensure(kit.request(lock, prefix, network), Silent())
    text = lock.read_text()
    start = text.index("six==")
    lock.write_text(text[:start] + f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(InstallError) as caught:
        ENGINE.ensure(kit.request(lock, prefix, network, digest="d2"), Silent())
    assert caught.value.code == "hash-mismatch"
    assert "six==1.17.0" in caught.value.message
    assert "0" * 64 in str(caught.value.cause)
    assert "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274" in str(caught.value.cause)
    assert json.loads((prefix / MARKER).read_text())["digest"] == "d1"
    assert ENGINE.verify(prefix).ok
    assert leftovers(prefix) == []


def test_another_digest_leaves_the_old_environment(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    network = Network(cache=shared_cache)
    prefix = tmp_path / "e" / "small"
    prefix.mkdir(parents=True)
    (prefix / "thesis.tex").touch()  # a person's own file in a folder of that name
    with pytest.raises(InstallError, match="cannot install into"):
        ENGINE.ensure(kit.request(lock, prefix, network), Silent())
    (prefix / "pyvenv.cfg").touch()  # half of ours: what has no marker is nothing
    ENGINE.ensure(kit.request(lock, prefix, network), Silent())
    assert not (prefix / "thesis.tex").exists()
    small = tmp_path / "another"
    small.mkdir()
    ENGINE.ensure(kit.request(kit.small_lock(small, shared_cache, "six\n"), prefix, network, "d2"), Silent())
    assert [d.name for d in site(prefix).glob("*.dist-info")] == ["six-1.17.0.dist-info"]
    assert ENGINE.verify(prefix).ok


def test_offline_with_an_empty_cache_is_unclear(tmp_path: Path, shared_cache: Path) -> None:
    lock = kit.small_lock(tmp_path, shared_cache)
    request = kit.request(lock, tmp_path / "e" / "small", Network(cache=tmp_path / "empty", offline=True))
    with pytest.raises(NetworkError) as caught:
        ENGINE.ensure(request, Silent())
    assert caught.value.code == "offline"
    assert leftovers(request.prefix) == []


def test_a_python_that_nobody_has_is_unclear(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9")
    lock = kit.small_lock(tmp_path, shared_cache)
    request = kit.request(lock, tmp_path / "e" / "small", Network(cache=shared_cache))
    with pytest.raises(InstallError, match=r"there is no Python 3\.9") as caught:
        ENGINE.ensure(replace(request, python="3.99"), Silent())
    assert caught.value.code == "no-python"
    assert any("python.org" in str(h) for h in caught.value.hints)


def test_a_path_that_is_too_long_fails_after_the_download(tmp_path: Path) -> None:
    prefix = tmp_path.joinpath(*["x" * 200] * 5, "small")
    with pytest.raises(InstallError) as caught:
        ENGINE.ensure(kit.request(tmp_path / "none", prefix, Network(cache=tmp_path)), Silent())
    assert caught.value.code == "path-too-long"
    assert not (tmp_path / ("x" * 200)).exists()


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0,
    reason="a small disk is mounted as root on Linux",
)
def test_a_full_disk_leaves_half_an_environment(tmp_path: Path, shared_cache: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = process.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], timeout=20)
    if not mounted.ok:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        request = kit.request(
            kit.small_lock(tmp_path, shared_cache), disk / "e" / "small", Network(cache=shared_cache)
        )
        with pytest.raises(DiskSpaceError) as caught:
            ENGINE.ensure(request, Silent())
        assert "bytes are free" in str(caught.value.cause)
        assert not request.prefix.exists()
        assert leftovers(request.prefix) == []
        assert files.free_bytes(disk) > 1_900_000
    finally:
        process.run(["umount", disk], timeout=20)


def test_a_persons_settings_choose_other_packages(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project around the working directory and uv's own variables must not reach the install."""
    (tmp_path / "pyproject.toml").write_text("[tool.uv.pip]\nno-binary = [':all:']\n")
    (tmp_path / "uv.toml").write_text("nonsense = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2001-01-01")
    monkeypatch.setenv("UV_NO_BINARY", "1")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "nowhere"))
    lock = kit.small_lock(tmp_path, shared_cache)
    request = kit.request(lock, tmp_path / "e" / "small", Network(cache=shared_cache))
    ENGINE.ensure(request, Silent())
    assert ENGINE.verify(request.prefix).ok


def test_a_campus_certificate_store_is_overlooked() -> None:
    made = uv_program.variables(
        Network(cache=Path("/c")), {"SSL_CERT_FILE": "/campus.pem", "HTTPS_PROXY": "p"}
    )
    assert made["UV_SYSTEM_CERTS"] == made["UV_NATIVE_TLS"] == "true"
    assert made["SSL_CERT_FILE"] == "/campus.pem"
    assert made["HTTPS_PROXY"] == "p"
    mine = uv_program.variables(Network(cache=Path("/c")), {"UV_SYSTEM_CERTS": "false"})
    assert mine["UV_SYSTEM_CERTS"] == "false"
