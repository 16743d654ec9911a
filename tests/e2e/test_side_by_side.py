"""Two at once, two semesters, a lock that changed, an environment that a student changed."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from channel.program import Ran
from channel.served import ServedChannel
from e2e import desk
from e2e.desk import Desk
from servers import lab

UP = ("up", "--no-launch")
WAITS = "another coursectl is installing"


def together(here: Desk, *words: str, times: int = 2) -> list[Ran]:
    """Several programs at the same moment."""
    with ThreadPoolExecutor(times) as pool:
        return [f.result() for f in [pool.submit(here, *words) for _ in range(times)]]


def check_one_worked(runs: list[Ran]) -> None:
    assert [r.code for r in runs] == [0] * len(runs), [r.stderr for r in runs]
    waited = [r for r in runs if WAITS in r.stderr]
    assert len(waited) == len(runs) - 1, [r.stderr for r in runs]


def test_two_at_once_install_twice_or_say_nothing(small: Desk, small_channel: ServedChannel) -> None:
    slow = small_channel.server.slow("*/big-*", rate=6_000_000)  # long enough to be met
    runs = together(small, *UP, times=3)
    check_one_worked(runs)
    assert slow.hits == 1
    assert "all as locked" in small.ok("env", "verify").stdout


@pytest.mark.network
def test_two_at_once_install_twice_from_pypi(small_pypi: Desk) -> None:
    runs = together(small_pypi, *UP)
    check_one_worked(runs)
    assert "all as locked" in small_pypi.ok("env", "verify").stdout


@pytest.mark.network
def test_two_at_once_start_two_servers(reference: Desk) -> None:
    runs = together(reference, "up", "--detach", "--json")
    answers = [desk.envelope(r)["data"] for r in runs]
    assert sorted(a["found"] for a in answers) == [False, True]
    assert answers[0]["server"] == answers[1]["server"]
    [server] = reference.servers()
    # an environment in use is not deleted, nor the server's files under it
    name = Path(server.prefix).name
    refused = reference("env", "remove", name, "--yes")
    assert refused.code == 3
    assert f"{name} is in use" in refused.stderr
    assert "`coursectl down`" in refused.stderr
    assert "45" in lab.execute(server, "print(sum(range(10)))")
    reference.ok("down")


def test_the_cache_is_deleted_under_an_installation(small: Desk, small_channel: ServedChannel) -> None:
    stalled = small_channel.server.stall("*/big-*", after=100_000)
    with ThreadPoolExecutor(1) as pool:
        up = pool.submit(small, *UP)
        assert desk.until(lambda: stalled.hits > 0, 30)
        refused = small("cache", "clean", "--yes")
        small_channel.server.heal()
        assert up.result().code == 0, up.result().stderr
    assert refused.code == 3
    assert "an environment is being installed from it" in refused.stderr
    own = small.cache / "thesis" / "chapter1.tex"  # somebody who takes any folder for the cache
    own.parent.mkdir()
    own.write_text("years of work")
    assert "deleted" in small.ok("cache", "clean", "--yes").stdout
    assert own.exists()
    assert small.data("cache", "info")["bytes"] == 0
    assert "all as locked" in small.ok("env", "verify").stdout
    assert "nothing to do" in small.ok(*UP).stderr


def test_a_second_semester_disturbs_the_first(small: Desk) -> None:
    small.ok("freeze", "fall2025", "--as-of", "2023-12-01")
    first = small.data(*UP)["plan"]
    second = small.data("up", "fall2025", "--no-launch")["plan"]
    assert first["prefix"] != second["prefix"]
    listed = small.data("env", "list")["environments"]
    assert sorted(e["record"]["semester"] for e in listed) == ["fall2025", "fall2026"]
    assert small.ok("env", "verify").stdout.count("all as locked") == 2
    assert "nothing to do" in small.ok("up", "fall2025", "--no-launch").stderr
    small.ok("env", "remove", Path(second["prefix"]).name, "--yes")
    assert "nothing to do" in small.ok(*UP).stderr
    assert "all as locked" in small.ok("env", "verify").stdout


def test_a_semester_that_is_not_frozen_is_not_explained(small: Desk) -> None:
    ran = small("up", "fall2025", "--no-launch")
    assert ran.code == 3
    assert "is not frozen" in ran.stderr
    assert "`coursectl up fall2026`" in ran.stderr
    assert "`coursectl freeze fall2025`" in ran.stderr
    assert small("up", "fall2031", "--no-launch").code in {2, 3}


def test_a_changed_lockfile_is_installed(small: Desk) -> None:
    lockfile = small.course / "lockfiles/fall2026/bench.conda-lock.yml"
    whole = lockfile.read_bytes()
    lockfile.write_bytes(whole + b"\n# a student was here\n")
    ran = small(*UP)
    assert ran.code == 3
    assert "lockfiles/fall2026/bench.conda-lock.yml is not the file that was released" in ran.stderr
    assert "`git checkout -- lockfiles/fall2026/bench.conda-lock.yml`" in ran.stderr
    assert [n for n in small.environments() if not n.endswith(".lock")] == []
    lockfile.unlink()
    ran = small(*UP)
    assert ran.code == 3
    assert "is missing" in ran.stderr
    lockfile.write_bytes(whole)
    small.ok(*UP)
    # what is installed goes on working whatever happens to the lockfile: it is not read again
    lockfile.write_bytes(b"not a lockfile")
    assert "nothing to do" in small.ok(*UP).stderr


def test_a_student_s_edit_goes_unnoticed_or_stays(small: Desk) -> None:
    prefix = Path(small.data(*UP)["plan"]["prefix"])
    edited = prefix / "lib/python3.11/site-packages/pure/__init__.py"
    with edited.open("a") as stream:
        stream.write("# tried something\n")
    (prefix / "etc/prefixed.conf").unlink()

    ran = small("env", "verify")
    assert ran.code == 1
    assert "changed       lib/python3.11/site-packages/pure/__init__.py  (pure" in ran.stdout
    assert "missing       etc/prefixed.conf  (prefixed" in ran.stdout
    assert f"`coursectl env repair {prefix.name}`" in ran.stdout

    mended = small.ok("env", "repair")
    assert "2 files to mend" in mended.stderr
    assert "tried something" not in edited.read_text()
    assert "all as locked" in small.ok("env", "verify").stdout
    assert f"{prefix.name}: nothing to do" in small.ok("env", "repair").stderr
    # the edit was in the cache too, through the hard link: another home gets the clean file
    other = small.another(small.home.with_name("other home"))
    other.ok(*UP)
    assert "all as locked" in other.ok("env", "verify").stdout


@pytest.mark.network
def test_a_student_s_edit_of_a_wheel_goes_unnoticed_or_stays(small_pypi: Desk) -> None:
    prefix = Path(small_pypi.data(*UP)["plan"]["prefix"])
    [edited] = prefix.rglob("site-packages/six.py")
    with edited.open("a") as stream:
        stream.write("# tried something\n")
    ran = small_pypi("env", "verify", "--json")
    assert ran.code == 1
    [verdict] = desk.envelope(ran)["data"]["verifications"]
    [problem] = verdict["problems"]
    assert (problem["kind"], problem["package"].split()[0]) == ("changed", "six")
    assert problem["path"].endswith("site-packages/six.py")
    small_pypi.ok("env", "repair")
    assert "tried something" not in edited.read_text()
    assert "all as locked" in small_pypi.ok("env", "verify").stdout
    other = small_pypi.another(small_pypi.home.with_name("other home"))
    other.ok(*UP)
    assert "all as locked" in other.ok("env", "verify").stdout


@pytest.mark.network
def test_a_fresh_home_asks_the_network_for_what_is_cached(small_pypi: Desk) -> None:
    small_pypi.ok(*UP)
    other = small_pypi.another(small_pypi.home.with_name("other home"), HTTPS_PROXY="http://127.0.0.1:9")
    assert "verified" in other.ok(*UP, "--offline").stderr
    assert "all as locked" in other.ok("env", "verify").stdout


def test_remove_deletes_without_asking(small: Desk) -> None:
    prefix = Path(small.data(*UP)["plan"]["prefix"])
    ran = small("env", "remove", prefix.name)
    assert ran.code == 2
    assert "--yes" in ran.stderr
    assert prefix.is_dir()
    asked = desk.envelope(small("env", "remove", prefix.name, "--json"))
    assert (asked["exit_code"], asked["messages"][-1]["code"]) == (2, "needs-yes")
    assert small("env", "remove", "no-such", "--yes").code == 2
    half = small.home / "envs" / ".removed-killed"  # of a deletion that was killed
    (half / "share").mkdir(parents=True)
    (half / "share/file").touch()
    removed = small.ok("env", "remove", prefix.name[:8], "--yes")
    assert f"removed {prefix.name}" in removed.stdout
    assert [n for n in small.environments() if not n.endswith(".lock")] == []
    assert small.data("env", "list")["environments"] == []


def test_a_damaged_marker_or_prefix_is_taken_for_whole(small: Desk) -> None:
    prefix = Path(small.data(*UP)["plan"]["prefix"])
    marker = prefix / "coursectl.json"
    whole = json.loads(marker.read_text())
    marker.write_text("{")
    assert "verified" in small.ok(*UP).stderr
    assert json.loads(marker.read_text()) == whole
    marker.write_text(json.dumps(whole | {"schema": 99}))
    newer = small(*UP)
    assert newer.code == 3
    assert "newer coursectl" in newer.stderr
    assert "pip install --upgrade coursectl" in newer.stderr
    assert json.loads(marker.read_text())["schema"] == 99  # nothing was written
    shutil.rmtree(prefix)
    prefix.mkdir()
    (prefix / "thesis.tex").write_text("years of work\n")
    ran = small(*UP)
    assert ran.code == 3
    assert "not an environment of coursectl" in ran.stderr
    assert (prefix / "thesis.tex").exists()


def test_a_course_that_moves_loses_its_environment(small: Desk, tmp_path: Path) -> None:
    small.ok(*UP)
    moved = tmp_path / "another place"
    small.course.rename(moved)
    small.course = moved
    assert "nothing to do" in small.ok(*UP).stderr


def test_commands_work_from_a_folder_below_the_course(small: Desk) -> None:
    below = small.course / "week 1" / "notes"
    below.mkdir(parents=True)
    ran = small.cli("info", "--json", cwd=below, env=small.variables())
    assert ran.code == 0
    rows = {r["name"]: r["value"] for r in ran.json()["data"]["settings"]}
    assert rows["course"] == str(small.course)
