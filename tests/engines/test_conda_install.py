"""Installing, verifying and repairing with the real installer, on a channel served here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channel.archive import File, Package
from channel.served import ServedChannel
from coursectl.engines import conda_install
from coursectl.engines.base import InstallRequest
from coursectl.engines.conda import CondaEngine
from coursectl.engines.conda_call import Outcome, call
from coursectl.engines.conda_child import build_number
from coursectl.engines.conda_verify import check
from coursectl.errors import DiskSpaceError, InstallError, LockError, NetworkError
from coursectl.files import lock
from coursectl.model.installed import MARKER, Problem, ProblemKind
from coursectl.model.lock import CondaSolution
from coursectl.model.progress import Silent
from engines.conda_kit import Ears, install_request, solve

TinyChannel = Callable[..., ServedChannel]
SITE = "lib/python3.11/site-packages"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the tiny channel is solved for linux-64")
pytestmark = linux_only


@pytest.fixture
def channel(tiny_channel: TinyChannel) -> ServedChannel:
    return tiny_channel()


@pytest.fixture
def solution(channel: ServedChannel, tmp_path: Path) -> CondaSolution:
    return solve(tmp_path / "cache", channel.url, "pure", "prefixed", "alpha", "gamma")


@pytest.fixture
def request_(solution: CondaSolution, tmp_path: Path) -> InstallRequest:
    return install_request(solution, tmp_path / "envs" / "phys398", tmp_path / "cache")


def ensure(request: InstallRequest) -> Ears:
    ears = Ears()
    CondaEngine().ensure(request, ears)
    return ears


def faults(prefix: Path) -> set[tuple[ProblemKind, str, str]]:
    return {(p.kind, p.path, p.package) for p in CondaEngine().verify(prefix).problems}


def left_in(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()} - {".install.lock"}


def test_an_environment_is_installed_marked_and_whole(request_: InstallRequest) -> None:
    ears = ensure(request_)
    prefix = request_.prefix
    marker = json.loads((prefix / MARKER).read_text())
    assert marker["digest"] == request_.record.digest
    assert marker["engine"] == "conda"
    assert marker["installed_bytes"] > 0
    verdict = CondaEngine().verify(prefix)
    assert verdict.ok
    assert verdict.packages == 5
    assert verdict.files > 10
    assert left_in(prefix.parent) == {"phys398"}
    tasks = {t.label: t for t in ears.tasks}
    assert tasks["downloading"].unit == "bytes"
    assert tasks["downloading"].amount == tasks["downloading"].size
    assert (tasks["installing"].unit, tasks["installing"].amount) == ("packages", 5)
    assert set(tasks["installing"].details) == {"alpha", "gamma", "prefixed", "pure", "python"}


def test_a_noarch_package_lands_where_python_looks_though_the_lock_does_not_say_noarch(
    request_: InstallRequest,
) -> None:
    ensure(request_)
    prefix = request_.prefix
    assert (prefix / SITE / "pure" / "__init__.py").is_file()
    said = subprocess.run([prefix / "bin" / "pure-hello"], capture_output=True, text=True, check=True)
    assert said.stdout == "hello from pure\n"
    assert (prefix / "bin" / "pure-script").stat().st_mode & 0o111


def test_files_name_the_final_prefix_and_never_the_staging_folder(request_: InstallRequest) -> None:
    ensure(request_)
    prefix = request_.prefix
    assert (prefix / "etc" / "prefixed.conf").read_text() == f"root = {prefix}/share\n"
    for path in prefix.rglob("*"):
        if path.is_file():
            assert b".staging-" not in path.read_bytes(), path


def test_the_second_ensure_touches_nothing_and_asks_nobody(
    request_: InstallRequest, channel: ServedChannel
) -> None:
    ensure(request_)
    before = {p: p.lstat().st_mtime_ns for p in request_.prefix.rglob("*")}
    channel.server.forget()
    ears = ensure(request_)
    assert not ears.tasks
    assert channel.server.requests == []
    assert {p: p.lstat().st_mtime_ns for p in request_.prefix.rglob("*")} == before


def test_another_digest_replaces_the_environment(request_: InstallRequest) -> None:
    ensure(request_)
    (request_.prefix / "stray").write_text("x")
    ensure(replace(request_, record=replace(request_.record, digest="0" * 40)))
    assert not (request_.prefix / "stray").exists()
    assert left_in(request_.prefix.parent) == {"phys398"}


def test_a_folder_that_is_no_environment_is_left_alone(request_: InstallRequest) -> None:
    request_.prefix.mkdir(parents=True)
    (request_.prefix / "thesis.tex").write_text("years of work")
    with pytest.raises(InstallError, match="cannot install into"):
        ensure(request_)
    assert (request_.prefix / "thesis.tex").read_text() == "years of work"
    assert left_in(request_.prefix.parent) == {"phys398"}


@pytest.mark.parametrize("name", ["with space", "ünï-ßø", "x" * 120])
def test_spaces_accents_and_long_names_work(name: str, request_: InstallRequest, tmp_path: Path) -> None:
    request = replace(request_, prefix=tmp_path / name / "env")
    ensure(request)
    said = subprocess.run([request.prefix / "bin" / "prefixed"], capture_output=True, check=True)
    assert os.fsdecode(said.stdout).strip() == str(request.prefix)
    assert CondaEngine().verify(request.prefix).ok


def _prefix_of_length(folder: Path, length: int) -> Path:
    while length - len(str(folder)) > 200:
        folder = folder / ("d" * 60)
    return folder / ("p" * (length - len(str(folder)) - 1))


def test_a_path_of_255_characters_works_and_of_256_is_refused_before_anything_is_done(
    request_: InstallRequest, tmp_path: Path
) -> None:
    longest = _prefix_of_length(tmp_path / "l", 255)
    ensure(replace(request_, prefix=longest))
    assert CondaEngine().verify(longest).ok
    too_long = _prefix_of_length(tmp_path / "m", 256)
    with pytest.raises(InstallError) as caught:
        ensure(replace(request_, prefix=too_long))
    assert caught.value.cause == "its path has 256 characters; packages leave room for 255"
    assert not (tmp_path / "m").exists()


def test_offline_works_from_the_cache_and_without_it_lists_what_is_missing(
    request_: InstallRequest, channel: ServedChannel, tmp_path: Path
) -> None:
    offline = replace(request_, network=replace(request_.network, offline=True))
    with pytest.raises(NetworkError) as caught:
        ensure(offline)
    assert "offline: 5 packages are not in the cache" in caught.value.message
    assert "gamma-1.1-0.conda" in (caught.value.cause or "")
    ensure(request_)
    shutil.rmtree(request_.prefix)
    with channel.server.down():
        ensure(offline)
    assert CondaEngine().verify(request_.prefix).ok


@pytest.mark.parametrize("fault", ["503", "404", "truncated", "corrupt", "portal", "down"])
def test_a_failed_download_leaves_what_stood_and_the_next_run_converges(
    fault: str, request_: InstallRequest, channel: ServedChannel, tmp_path: Path
) -> None:
    ensure(request_)
    newer = replace(
        request_,
        record=replace(request_.record, digest="1" * 40),
        network=replace(request_.network, cache=tmp_path / "empty"),
    )
    server = channel.server
    if fault in {"503", "404"}:
        server.fail("*gamma*.conda", status=int(fault))
    elif fault == "truncated":
        server.truncate("*gamma*.conda", after=100)
    elif fault == "corrupt":
        server.corrupt("*gamma*.conda")
    elif fault == "portal":
        server.portal("*.conda")
    if fault == "down":
        with server.down(), pytest.raises(NetworkError, match="phys398 cannot be installed") as caught:
            ensure(newer)
    else:
        with pytest.raises(NetworkError, match="phys398 cannot be installed") as caught:
            ensure(newer)
    assert channel.url.removeprefix("http://") in caught.value.message
    assert CondaEngine().verify(request_.prefix).ok
    assert json.loads((request_.prefix / MARKER).read_text())["digest"] == request_.record.digest
    server.heal()
    ensure(newer)
    assert CondaEngine().verify(request_.prefix).ok
    assert left_in(request_.prefix.parent) == {"phys398"}


def test_a_download_cut_once_is_tried_again(request_: InstallRequest, channel: ServedChannel) -> None:
    fault = channel.server.reset("*gamma*.conda", after=50, times=1)
    ensure(request_)
    assert fault.hits == 1


def test_another_file_under_the_locked_name_is_refused(
    request_: InstallRequest, channel: ServedChannel
) -> None:
    channel.add([Package(name="gamma", version="1.1", files={"share/evil": File(data=b"evil")})])
    with pytest.raises(NetworkError, match="sends something else than was asked for"):
        ensure(request_)
    assert not request_.prefix.exists()


def test_a_mirror_serves_packages_that_the_lock_has_from_elsewhere(
    channel: ServedChannel, tmp_path: Path
) -> None:
    forge = "https://conda.anaconda.org/conda-forge"
    mirrors = {forge: ("http://127.0.0.1:9/dead", channel.url)}  # the first is down: the next is asked
    solved = solve(tmp_path / "cache", "conda-forge", "pure", mirrors={forge: (channel.url,)})
    request = install_request(solved, tmp_path / "envs" / "e", tmp_path / "cache", mirrors=mirrors)
    ensure(request)
    assert CondaEngine().verify(request.prefix).ok


def test_every_kind_of_damage_is_named_with_its_package(request_: InstallRequest) -> None:
    ensure(request_)
    prefix = request_.prefix
    with (prefix / SITE / "pure" / "__init__.py").open("a") as module:
        module.write("# a student was here\n")
    (prefix / "share" / "alpha" / "version.txt").unlink()
    (prefix / "etc" / "prefixed.conf").write_text(f"root = {prefix}/Share\n")  # the same length
    (prefix / "lib" / "link.conf").unlink()
    (prefix / "lib" / "link.conf").symlink_to("../etc/other.conf")
    shutil.rmtree(prefix / "share" / "gamma")
    next((prefix / "conda-meta").glob("gamma-*.json")).unlink()
    assert faults(prefix) == {
        (ProblemKind.CHANGED, f"{SITE}/pure/__init__.py", "pure"),
        (ProblemKind.MISSING, "share/alpha/version.txt", "alpha"),
        (ProblemKind.CHANGED, "etc/prefixed.conf", "prefixed"),
        (ProblemKind.CHANGED, "lib/link.conf", "prefixed"),
        (ProblemKind.NOT_INSTALLED, "gamma-1.1-0", "gamma"),
    }


def test_a_torn_package_record_is_a_fault_and_not_a_crash(request_: InstallRequest) -> None:
    ensure(request_)
    record = next((request_.prefix / "conda-meta").glob("alpha-*.json"))
    record.write_text(record.read_text()[:100])
    assert (ProblemKind.UNREADABLE, f"conda-meta/{record.name}", "alpha") in faults(request_.prefix)


def test_a_package_that_the_lock_does_not_have_is_seen(request_: InstallRequest) -> None:
    ensure(request_)
    info = request_.prefix / SITE / "emcee-3.1.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: emcee\nVersion: 3.1.4\n")
    (info / "RECORD").write_text("emcee-3.1.4.dist-info/RECORD,,\n")
    assert faults(request_.prefix) == {(ProblemKind.NOT_LOCKED, "emcee-3.1.4.dist-info", "emcee")}


def test_what_python_compiles_itself_is_no_damage(request_: InstallRequest) -> None:
    ensure(request_)
    cached = request_.prefix / SITE / "pure" / "__pycache__"
    cached.mkdir()
    (cached / "__init__.cpython-311.pyc").write_bytes(b"whatever")
    assert CondaEngine().verify(request_.prefix).ok


def test_a_packaged_pyc_is_compared_unless_python_wrote_it_anew(
    tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    source = tmp_path / "m.py"
    source.write_text("x = 1\n")
    pyc = f"share/__pycache__/m.{sys.implementation.cache_tag}.pyc"
    import py_compile

    py_compile.compile(str(source), cfile=str(tmp_path / "m.pyc"))
    files = {"share/m.py": File(data=b"x = 1\n"), pyc: File(data=(tmp_path / "m.pyc").read_bytes())}
    channel = tiny_channel([Package(name="mine", version="1.0", files=files, noarch="generic")])
    solved = solve(tmp_path / "cache", channel.url, "mine")
    request = install_request(solved, tmp_path / "envs" / "e", tmp_path / "cache")
    ensure(request)
    assert CondaEngine().verify(request.prefix).ok
    module = request.prefix / "share" / "m.py"
    (request.prefix / pyc).unlink()
    py_compile.compile(str(module), cfile=str(request.prefix / pyc))  # its mtime is the package's, not m.py's
    assert CondaEngine().verify(request.prefix).ok
    (request.prefix / pyc).write_bytes(b"rubbish" * 20)
    assert faults(request.prefix) == {(ProblemKind.CHANGED, pyc, "mine")}


def test_verify_only_reads(request_: InstallRequest) -> None:
    ensure(request_)
    before = {p: (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in request_.prefix.rglob("*")}
    CondaEngine().verify(request_.prefix)
    after = {p: (p.lstat().st_mtime_ns, p.lstat().st_ctime_ns) for p in request_.prefix.rglob("*")}
    assert after == before


def test_verify_of_nothing_says_how_to_install(tmp_path: Path) -> None:
    with pytest.raises(LockError) as caught:
        CondaEngine().verify(tmp_path / "nothing")
    assert caught.value.hints[0].command == "coursectl up"


def test_an_edited_hard_link_damages_the_cache_and_repair_mends_both(request_: InstallRequest) -> None:
    ensure(request_)
    module = request_.prefix / SITE / "pure" / "__init__.py"
    cached = next((request_.network.cache / "conda" / "pkgs").glob("pure-*/site-packages/pure/__init__.py"))
    good = cached.read_bytes()
    assert module.samefile(cached)
    with module.open("a") as stream:
        stream.write("# a student was here\n")
    assert cached.read_bytes() != good
    assert faults(request_.prefix) == {(ProblemKind.CHANGED, f"{SITE}/pure/__init__.py", "pure")}
    assert CondaEngine().repair(request_, Silent()).ok
    assert module.read_bytes() == good
    assert cached.read_bytes() == good
    assert left_in(request_.prefix.parent) == {"phys398"}


@pytest.mark.parametrize("same_size", [True, False])
def test_a_damaged_cache_never_reaches_a_new_environment(same_size: bool, request_: InstallRequest) -> None:
    ensure(request_)
    cached = next((request_.network.cache / "conda" / "pkgs").glob("gamma-*/share/gamma/version.txt"))
    good = cached.read_bytes()
    cached.write_bytes(good[::-1] if same_size else b"")
    second = replace(request_, prefix=request_.prefix.parent / "second")
    ears = ensure(second)
    assert (second.prefix / "share" / "gamma" / "version.txt").read_bytes() == good
    assert CondaEngine().verify(second.prefix).ok
    assert any("gamma: share/gamma/version.txt is changed" in said for said in ears.said)


def test_a_file_missing_from_the_cache_is_fetched_again(request_: InstallRequest) -> None:
    ensure(request_)
    next((request_.network.cache / "conda" / "pkgs").glob("gamma-*/share/gamma/version.txt")).unlink()
    second = replace(request_, prefix=request_.prefix.parent / "second")
    ensure(second)
    assert CondaEngine().verify(second.prefix).ok


def test_an_unchanged_file_is_not_hashed_again_and_a_changed_one_is(request_: InstallRequest) -> None:
    ensure(request_)
    prefix = request_.prefix
    seals = check(prefix).seals
    wrong = dict.fromkeys(seals, "0" * 32)
    assert check(prefix, seals=seals).problems == check(prefix, seals=wrong).problems == ()
    file = prefix / "share" / "alpha" / "version.txt"
    stamp = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    assert [p.path for p in check(prefix, seals=seals).problems] == ["share/alpha/version.txt"]
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the one lie that a seal believes
    assert check(prefix, seals=seals).problems == ()
    assert [p.path for p in check(prefix).problems] == ["share/alpha/version.txt"]  # `verify` does not


def test_repair_without_a_network_leaves_the_damaged_environment_standing(
    request_: InstallRequest, channel: ServedChannel
) -> None:
    ensure(request_)
    module = request_.prefix / SITE / "pure" / "__init__.py"
    with module.open("a") as stream:
        stream.write("# a student was here\n")
    with channel.server.down(), pytest.raises(NetworkError):
        CondaEngine().repair(request_, Silent())
    assert "a student was here" in module.read_text()
    assert left_in(request_.prefix.parent) == {"phys398"}


def test_what_a_kill_between_two_renames_left_is_put_back(request_: InstallRequest) -> None:
    ensure(request_)
    aside = request_.prefix.parent / ".old-phys398"
    request_.prefix.rename(aside)
    other = replace(request_, prefix=request_.prefix.parent / "other")
    ensure(other)
    assert CondaEngine().verify(request_.prefix).ok
    assert not aside.exists()


def test_leftovers_of_killed_runs_are_collected(request_: InstallRequest) -> None:
    environments, pkgs = request_.prefix.parent, request_.network.cache / "conda" / "pkgs"
    for folder in (environments / ".staging-abc-123", pkgs / ".gamma-1.1-0Xy12Za"):
        folder.mkdir(parents=True)
        (folder / "half").write_text("half")
    ensure(request_)
    assert left_in(environments) == {"phys398"}
    assert not [p for p in pkgs.iterdir() if p.name.startswith(".") and p.is_dir()]


def test_two_at_once_one_works_the_other_waits_and_says_so(request_: InstallRequest) -> None:
    heard: list[Ears] = []
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(request_.prefix.parent / ".install.lock"):
            held.set()
            release.wait(30)

    def second() -> None:
        heard.append(ensure(request_))

    holder, waiter = threading.Thread(target=hold), threading.Thread(target=second)
    holder.start()
    assert held.wait(10)
    waiter.start()
    waiter.join(0.5)
    assert waiter.is_alive()
    release.set()
    waiter.join(60)
    holder.join(10)
    assert heard[0].said == ["another coursectl is installing: waiting for it to end"]
    assert CondaEngine().verify(request_.prefix).ok


_PROGRAM = """
import pickle, sys
from coursectl.engines.conda import CondaEngine
from coursectl.errors import CourseError
from coursectl.model.progress import Silent
try:
    CondaEngine().ensure(pickle.load(open(sys.argv[1], "rb")), Silent())
except CourseError as exc:
    print(type(exc).__name__, exc.message, exc.cause, sep="|")
"""


def _elsewhere(request: InstallRequest, tmp_path: Path, mount: str) -> str:
    """Install in a process that sees one more mount; what it printed."""
    import pickle

    pickled = tmp_path / "request.pickle"
    pickled.write_bytes(pickle.dumps(request))
    script = f'{mount} && exec "$0" -c "$1" "$2"'
    ended = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, sys.executable, _PROGRAM, str(pickled)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if ended.returncode != 0 and ("unshare" in ended.stderr or "mount" in ended.stderr):
        pytest.skip(f"this machine lets nobody mount: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_full_disk_says_so_and_leaves_nothing(channel: ServedChannel, tmp_path: Path) -> None:
    solved = solve(tmp_path / "cache", channel.url, "big", "alpha")  # 8 MB
    small = tmp_path / "small"
    small.mkdir()
    request = install_request(solved, small / "envs" / "e", small / "cache")
    said = _elsewhere(request, tmp_path, f"mount -t tmpfs -o size=4m none '{small}'")
    assert said.startswith(f"{DiskSpaceError.__name__}|phys398 cannot be installed: the disk is full")


def test_a_read_only_cache_is_used_as_a_layer(request_: InstallRequest, tmp_path: Path) -> None:
    ensure(request_)
    cache = request_.network.cache
    second = replace(request_, prefix=request_.prefix.parent / "second")
    before = sorted(p.relative_to(cache) for p in cache.rglob("*"))
    mount = f"mount --bind '{cache}' '{cache}' && mount -o remount,ro,bind '{cache}'"
    assert _elsewhere(second, tmp_path, mount) == ""
    assert CondaEngine().verify(second.prefix).ok
    assert sorted(p.relative_to(cache) for p in cache.rglob("*")) == before


def test_damage_in_a_read_only_cache_is_fetched_into_the_other(
    request_: InstallRequest, tmp_path: Path
) -> None:
    ensure(request_)
    cache = request_.network.cache
    bad = next((cache / "conda" / "pkgs").glob("gamma-*/share/gamma/version.txt"))
    bad.write_bytes(b"9.9 9\n")
    second = replace(request_, prefix=request_.prefix.parent / "second")
    mount = f"mount --bind '{cache}' '{cache}' && mount -o remount,ro,bind '{cache}'"
    assert _elsewhere(second, tmp_path, mount) == ""
    assert CondaEngine().verify(second.prefix).ok
    assert bad.read_bytes() == b"9.9 9\n"


def test_a_home_that_cannot_be_written_names_the_variable_that_moves_it(
    request_: InstallRequest, tmp_path: Path
) -> None:
    home = tmp_path / "readonly"
    home.mkdir()
    request = replace(request_, prefix=home / "envs" / "e")
    said = _elsewhere(
        request, tmp_path, f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'"
    )
    assert "Read-only file system" in said
    assert said.startswith("CourseError|")


def test_pip_packages_without_a_hash_are_refused(request_: InstallRequest) -> None:
    pip = replace(request_.packages[0], name="emcee", manager="pip", sha256=None, url="")
    with pytest.raises(InstallError) as caught:
        ensure(replace(request_, packages=(*request_.packages, pip)))
    assert caught.value.cause == "the lock has no sha256 for emcee"
    assert not request_.prefix.exists()


def test_a_child_that_dies_without_a_word_is_judged_by_what_it_left(
    request_: InstallRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(request_)

    def mute(*arguments: Any) -> Outcome:
        outcome = call(*arguments)
        assert outcome.done
        return replace(outcome, kind="crashed", text="Segmentation fault")

    monkeypatch.setattr(conda_install, "call", mute)
    second = replace(request_, prefix=request_.prefix.parent / "second")
    ensure(second)
    assert CondaEngine().verify(second.prefix).ok


def test_numbers_of_builds_are_read_from_every_form() -> None:
    forms = ["0", "pyhd8ed1ab_1", "py311h64a7726_2", "hab00c5b_0_cpython", "cuda126_py311_302", "cpython"]
    assert [build_number(build) for build in forms] == [0, 1, 2, 0, 302, 0]


def test_a_problem_names_its_file_relative_to_the_prefix() -> None:
    problem = Problem(kind=ProblemKind.MISSING, path="bin/x", package="x")
    assert not problem.path.startswith("/")
