"""freeze over a real channel: what it writes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import dataclasses
import sys
from datetime import date
from pathlib import Path

import pytest

from channel.served import TinyChannel
from coursectl import process
from coursectl.errors import CourseFileError, ExitCode, LockError, SolveError, UsageError
from coursectl.model.frozen import FreezeState
from coursectl.model.lock import ChangeKind
from coursectl.model.platform import Platform
from freeze.freeze_kit import COURSE, SPEC, Kit, make

LOCK = "fall2025/main.conda-lock.yml"
RELEASE = "fall2025/release.yaml"


def test_every_platform_and_variant_is_locked_from_one_machine(kit: Kit) -> None:
    report = kit.freeze()
    assert report.state is FreezeState.FROZEN
    assert list(kit.files()) == [LOCK, RELEASE]
    assert kit.versions() == "alpha 2.0, beta 2.0, gamma 1.1"
    assert kit.versions("osx-arm64") == "alpha 2.0, beta 2.0, gamma 1.1"
    assert kit.versions(variant="cuda") == "alpha 2.0, beta 2.0, gamma 1.1, torchlike 2.5"
    (environment,) = kit.release().environments
    assert [(b.platform, b.variant, b.packages) for b in environment.builds] == [
        (Platform.LINUX_64, "cpu", 3),
        (Platform.LINUX_64, "cuda", 4),
        (Platform.OSX_ARM64, "cpu", 3),
    ]
    assert all(b.download_bytes and b.installed_bytes for b in environment.builds)
    assert kit.release().as_of == date(2024, 6, 1)


def test_no_address_or_path_of_this_machine_is_written(kit: Kit) -> None:
    kit.freeze()
    for name, content in kit.files().items():
        for word in (b"127.0.0.1", b"localhost", str(kit.root).encode(), b"/tmp", b"/home"):
            assert word not in content, name
    assert b"https://conda.anaconda.org/conda-forge/noarch/alpha-2.0-0.conda" in kit.files()[LOCK]


def test_two_freezes_of_the_same_inputs_give_the_same_bytes(
    tmp_path: Path, tiny_channel: TinyChannel, kit: Kit
) -> None:
    kit.freeze()
    other = make(tmp_path / "elsewhere", tiny_channel())
    other.freeze()
    assert other.files() == kit.files()


def test_unchanged_inputs_touch_neither_network_nor_files(kit: Kit) -> None:
    kit.freeze()
    before = {p: p.stat().st_mtime_ns for p in kit.root.rglob("*")}
    asked = len(kit.channel.server.requests)
    report = kit.freeze()
    assert report.state is FreezeState.UNCHANGED
    assert report.environments[0].builds
    assert len(kit.channel.server.requests) == asked
    assert {p: p.stat().st_mtime_ns for p in kit.root.rglob("*")} == before


def test_a_past_day_gives_the_stack_of_that_day(kit: Kit) -> None:
    kit.freeze("spring2025")
    assert kit.versions(semester="spring2025") == "alpha 1.0, beta 1.0, gamma 1.0"
    kit.freeze("fall2025", as_of=date(2023, 10, 1))
    assert kit.versions() == "alpha 1.1, beta 1.0, gamma 1.0"
    assert kit.release().as_of == date(2023, 10, 1)


def test_the_day_of_the_release_stays_where_the_course_names_none(kit: Kit) -> None:
    kit.write("course.yaml", COURSE.replace("  fall2025:\n    as_of: 2024-06-01\n", "  fall2025:\n"))
    kit.freeze(as_of=date(2023, 10, 1))
    assert kit.freeze().state is FreezeState.UNCHANGED


def test_a_release_is_not_replaced_without_force(kit: Kit) -> None:
    kit.freeze()
    before = kit.files()
    kit.write("environments/main.yml", SPEC.replace("- gamma", "- gamma <1.1"))
    with pytest.raises(UsageError) as caught:
        kit.freeze()
    assert caught.value.code == "released"
    assert caught.value.hints[0].command == "coursectl freeze fall2025 --force"
    assert caught.value.cause is not None and "what is asked has changed" in caught.value.cause
    assert kit.files() == before
    report = kit.freeze(force=True)
    assert report.state is FreezeState.FROZEN
    assert kit.versions() == "alpha 2.0, beta 2.0, gamma 1.0"
    (comparison,) = report.comparisons
    assert [(c.kind, c.name) for c in comparison.diffs[0].changes] == [(ChangeKind.DOWNGRADED, "gamma")]


def test_check_answers_and_changes_nothing(kit: Kit) -> None:
    assert kit.freeze(check=True).stale
    assert not (kit.root / "lockfiles").exists()
    kit.freeze()
    assert not kit.freeze(check=True).stale
    before = kit.files()
    kit.write("environments/main.yml", SPEC + "  - pure\n")
    asked = len(kit.channel.server.requests)
    report = kit.freeze(check=True)
    assert report.stale
    assert report.environments[0].reasons
    assert kit.files() == before
    assert len(kit.channel.server.requests) == asked


def test_dry_run_lists_what_would_be_solved(kit: Kit) -> None:
    report = kit.freeze(dry_run=True)
    assert report.state is FreezeState.PLANNED
    assert report.environments[0].solves == (
        (Platform.LINUX_64, "cpu"),
        (Platform.OSX_ARM64, "cpu"),
        (Platform.LINUX_64, "cuda"),
    )
    assert not (kit.root / "lockfiles").exists()
    assert kit.channel.server.requests == []


def test_every_failure_is_told_at_once_and_nothing_is_written(kit: Kit) -> None:
    kit.write(
        "course.yaml", COURSE.replace('"12.6"', '"11.8"').replace("[torchlike]", "['torchlike=*=cuda*']")
    )
    kit.write("environments/main.yml", SPEC + "  - needs-osx\n")
    with pytest.raises(SolveError) as caught:
        kit.freeze()
    error = caught.value
    assert error.message == "fall2025 cannot be frozen: 2 of 3 builds have no solution"
    assert error.cause is not None
    assert "main linux-64" in error.cause and "needs-osx" in error.cause
    assert "main linux-64 (cuda)" in error.cause
    assert not (kit.root / "lockfiles").exists()


def test_a_failure_names_the_line_to_change(kit: Kit) -> None:
    kit.write(
        "course.yaml", COURSE.replace('"12.6"', '"11.8"').replace("[torchlike]", "['torchlike=*=cuda*']")
    )
    with pytest.raises(SolveError) as caught:
        kit.freeze()
    error = caught.value
    assert error.message == "fall2025: main cannot be solved for linux-64 (cuda)"
    assert error.cause == "torchlike 2.5 needs __cuda >=12.6; this variant declares 11.8"
    hint = 'set `__cuda: "12.6"` under environments.main.variants.cuda in course.yaml (line 13)'
    assert str(error.hints[0]) == hint


def test_a_failure_names_the_line_of_the_environment_file(kit: Kit) -> None:
    kit.write("environments/main.yml", SPEC + "  - impossible\n")
    with pytest.raises(SolveError) as caught:
        kit.freeze()
    assert [str(h) for h in caught.value.hints] == ["change the version of alpha in environments/main.yml:3"]


KILLED = """
import os, sys
from pathlib import Path
from coursectl import files
from coursectl.workflows import freeze_write
from coursectl.lockfiles.release import read_release
after = int(sys.argv[2])
rename = files.replace
def fatal(source, target):
    global after
    if after == 0:
        os._exit(9)
    after -= 1
    rename(source, target)
files.replace = fatal
release = read_release(Path(sys.argv[1]) / "fall2025" / "release.yaml")
freeze_write.put_in_place(Path(sys.argv[1]) / "fall2025", {"main.conda-lock.yml": b"new"}, release)
"""


@pytest.mark.parametrize("renames", [0, 1], ids=["before-the-lock", "between-lock-and-release"])
def test_a_freeze_that_is_killed_leaves_no_release(kit: Kit, renames: int) -> None:
    kit.freeze()
    whole = kit.files()
    ended = process.run([sys.executable, "-c", KILLED, kit.root / "lockfiles", str(renames)], timeout=60)
    assert ended.returncode == 9, ended.stderr
    assert RELEASE not in kit.files()
    with pytest.raises(LockError, match="is not frozen"):
        kit.release()
    assert kit.freeze().state is FreezeState.FROZEN  # nothing stands, so nothing has to be forced
    assert kit.files() == whole  # and what the killed one left behind is gone


def test_a_full_disk_leaves_the_release_that_stood(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    kit.freeze()
    before = kit.files()
    kit.write("environments/main.yml", SPEC.replace("- gamma", "- gamma <1.1"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    from coursectl.errors import DiskSpaceError

    with pytest.raises(DiskSpaceError):
        kit.freeze(force=True)
    assert kit.files() == before


def test_update_moves_one_package_and_leaves_the_rest(kit: Kit) -> None:
    kit.freeze(as_of=date(2023, 6, 1))
    report = kit.freeze(as_of=date(2024, 6, 1), update=("gamma",), force=True)
    assert report.state is FreezeState.FROZEN
    assert kit.versions() == "alpha 1.0, beta 1.0, gamma 1.1"
    assert kit.versions(variant="cuda") == "alpha 1.0, beta 1.0, gamma 1.1, torchlike 2.5"
    (comparison,) = report.comparisons
    assert {(c.name, c.kind) for d in comparison.diffs for c in d.changes} == {("gamma", ChangeKind.UPGRADED)}
    assert kit.freeze(check=True).stale is False  # the release is of the day that course.yaml names


def test_update_brings_along_only_what_must_move(kit: Kit) -> None:
    kit.freeze(as_of=date(2023, 6, 1))
    kit.freeze(as_of=date(2024, 6, 1), update=("beta",), force=True)
    versions = dict(v.split(" ") for v in kit.versions().split(", "))
    assert versions["beta"] == "2.0"
    assert versions["alpha"] != "1.0"  # beta 2.0 needs alpha >=1.1
    assert versions["gamma"] == "1.0"


def test_an_update_that_finds_nothing_newer_does_nothing(kit: Kit) -> None:
    kit.freeze()
    before = kit.files()
    assert kit.freeze(update=("gamma",), force=True).state is FreezeState.UNCHANGED
    assert kit.files() == before


def test_update_needs_force_on_a_released_semester(kit: Kit) -> None:
    kit.freeze()
    with pytest.raises(UsageError) as caught:
        kit.freeze(update=("gamma",))
    assert caught.value.code == "released"


def test_update_of_a_package_that_is_not_locked_is_refused(kit: Kit) -> None:
    kit.freeze()
    with pytest.raises(UsageError, match="gama") as caught:
        kit.freeze(update=("gama",), force=True)
    assert str(caught.value.hints[0]) == "did you mean gamma?"


def test_update_where_more_has_changed_is_refused(kit: Kit) -> None:
    kit.freeze()
    kit.write("environments/main.yml", SPEC + "  - pure\n")
    with pytest.raises(UsageError, match="more than that has changed"):
        kit.freeze(update=("gamma",), force=True)


def test_platform_by_platform_makes_the_same_release(
    kit: Kit, tmp_path: Path, tiny_channel: TinyChannel
) -> None:
    first = kit.freeze(platforms=(Platform.OSX_ARM64,))
    assert first.state is FreezeState.LOCKED
    assert first.missing == ("main for linux-64 (cpu)", "main for linux-64 (cuda)")
    assert list(kit.files()) == [LOCK]  # half a semester is none
    second = kit.freeze(platforms=(Platform.LINUX_64,))
    assert second.state is FreezeState.FROZEN
    whole = make(tmp_path / "whole", tiny_channel())
    whole.freeze()
    assert kit.files() == whole.files()


def test_parts_that_answer_another_question_are_not_joined(kit: Kit) -> None:
    kit.freeze(platforms=(Platform.OSX_ARM64,))
    kit.write("environments/main.yml", SPEC + "  - pure\n")
    report = kit.freeze(platforms=(Platform.LINUX_64,))
    assert report.state is FreezeState.LOCKED
    assert report.missing == ("main for osx-arm64 (cpu)",)


def test_a_part_of_a_release_is_not_replaced_where_the_rest_would_not_fit(kit: Kit) -> None:
    kit.freeze()
    before = kit.files()
    kit.write("environments/main.yml", SPEC.replace("- gamma", "- gamma <1.1"))
    with pytest.raises(UsageError, match="without main for osx-arm64"):
        kit.freeze(platforms=(Platform.LINUX_64,), force=True)
    assert kit.files() == before


TWO = COURSE + "  other:\n    spec: environments/other.yml\n"


def test_environment_by_environment_makes_a_release(kit: Kit) -> None:
    kit.write("course.yaml", TWO.replace("current:", "environment: main\ncurrent:"))
    kit.write("environments/other.yml", "channels: [conda-forge]\ndependencies: [gamma]\n")
    first = kit.freeze(environments=("other",))
    assert (first.state, first.missing) == (FreezeState.LOCKED, ("main",))
    second = kit.freeze(environments=("main",))
    assert second.state is FreezeState.FROZEN
    assert [e.name for e in kit.release().environments] == ["main", "other"]
    assert kit.freeze().state is FreezeState.UNCHANGED
    kit.write("environments/other.yml", "channels: [conda-forge]\ndependencies: [gamma <1.1]\n")
    third = kit.freeze(environments=("other",), force=True)
    assert third.state is FreezeState.FROZEN
    assert [e.name for e in third.environments] == ["other"]
    assert not kit.freeze(check=True).stale


def test_an_environment_that_left_the_course_leaves_the_release(kit: Kit) -> None:
    kit.write("course.yaml", TWO)
    kit.write("environments/other.yml", "channels: [conda-forge]\ndependencies: [gamma]\n")
    kit.freeze()
    kit.write("course.yaml", COURSE)
    assert kit.freeze(check=True).stale
    kit.freeze(force=True)
    assert [e.name for e in kit.release().environments] == ["main"]


def test_changes_since_the_semester_before_are_reported(kit: Kit) -> None:
    assert kit.freeze("spring2025").comparisons == ()
    (comparison,) = kit.freeze("fall2025").comparisons
    assert str(comparison.against) == "spring2025"
    assert [(d.platform, d.variant) for d in comparison.diffs] == [
        ("linux-64", "cpu"),
        ("osx-arm64", "cpu"),
        ("linux-64", "cuda"),
    ]
    first = comparison.diffs[0]
    assert [(c.kind, c.name, c.old, c.new) for c in first.changes] == [
        (ChangeKind.UPGRADED, "alpha", "1.0", "2.0"),
        (ChangeKind.UPGRADED, "beta", "1.0", "2.0"),
        (ChangeKind.UPGRADED, "gamma", "1.0", "1.1"),
    ]
    assert first.old_size and first.new_size


def test_a_lockfile_that_was_edited_is_stale_and_mended_with_force(kit: Kit) -> None:
    kit.freeze()
    before = kit.files()
    path = kit.root / "lockfiles" / LOCK
    path.write_bytes(before[LOCK] + b"# edited\n")
    report = kit.freeze(check=True)
    assert report.stale
    assert report.environments[0].reasons == ("main.conda-lock.yml is not the file that was released",)
    kit.freeze(force=True)
    assert kit.files() == before


def test_a_release_by_a_newer_coursectl_is_not_touched_even_with_force(kit: Kit) -> None:
    kit.freeze()
    path = kit.root / "lockfiles" / RELEASE
    path.write_text(path.read_text().replace("schema: 1", "schema: 2"), encoding="utf-8")
    before = kit.files()
    with pytest.raises(LockError, match="newer coursectl"):
        kit.freeze(force=True)
    assert kit.files() == before


def test_a_damaged_release_is_an_error_that_force_mends(kit: Kit) -> None:
    kit.freeze()
    before = kit.files()
    (kit.root / "lockfiles" / RELEASE).write_text("schema: 1\n", encoding="utf-8")
    with pytest.raises(LockError, match="damaged"):
        kit.freeze()
    kit.freeze(force=True)
    assert kit.files() == before


def test_notes_are_kept_from_freeze_to_freeze(kit: Kit) -> None:
    kit.freeze(notes=("tried in July",))
    assert kit.release().notes == ("tried in July",)
    assert kit.freeze().state is FreezeState.UNCHANGED
    kit.write("environments/main.yml", SPEC.replace("- gamma", "- gamma <1.1"))
    kit.freeze(force=True)
    assert kit.release().notes == ("tried in July",)


def test_an_index_without_sizes_is_named_in_the_release(tmp_path: Path, tiny_channel: TinyChannel) -> None:
    import json

    channel = tiny_channel()
    for index in channel.root.glob("*/repodata.json"):
        document = json.loads(index.read_bytes())
        for group in ("packages", "packages.conda"):
            for record in document.get(group, {}).values():
                record.pop("size", None)
        index.write_text(json.dumps(document), encoding="utf-8")
        index.with_suffix(".json.zst").unlink(missing_ok=True)
    kit = make(tmp_path, channel)
    kit.freeze()
    note = "main was solved from a partial index of conda-forge, which states no sizes"
    assert kit.release().notes == (note,)
    assert kit.release().environments[0].builds[0].download_bytes is None
    assert kit.freeze().state is FreezeState.UNCHANGED


def test_an_unsafe_channel_is_refused_at_freeze_and_not_at_the_students(kit: Kit) -> None:
    channel = kit.channel
    host = channel.url.replace("127.0.0.1", "10.255.255.1")
    kit.write("environments/main.yml", SPEC.replace("conda-forge", host))
    kit.network = dataclasses.replace(kit.network, mirrors={host: (channel.url,)})
    kit.freeze()  # a mirror that the person configured may be anything
    assert b"10.255.255.1" in kit.files()[LOCK]


@pytest.mark.parametrize(
    ("semester", "options", "words"),
    [
        ("fall2024", {}, "no semester fall2024"),
        ("fall2025", {"environments": ("mian",)}, "no environment mian"),
        ("fall2025", {"platforms": (Platform.WIN_64,)}, "no platform win-64"),
        ("fall2025", {"update": ("gamma",)}, "--update moves one package"),
    ],
    ids=["semester", "environment", "platform", "update-of-nothing"],
)
def test_what_does_not_exist_is_a_usage_error(
    kit: Kit, semester: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        kit.freeze(semester, **options)
    assert caught.value.exit_code is ExitCode.USAGE
    assert not (kit.root / "lockfiles").exists()


def test_a_name_too_long_for_windows_is_refused_before_anything_is_solved(kit: Kit) -> None:
    long = "main-" + 40 * "n"
    text = (kit.root / "course.yaml").read_text(encoding="utf-8")
    (kit.root / "course.yaml").write_text(
        text.replace("main:", f"{long}:").replace("osx-arm64]", "win-64]"), encoding="utf-8"
    )
    with pytest.raises(CourseFileError, match="is too long a name for Windows") as caught:
        kit.freeze()
    assert "at most " in str(caught.value.hints[0])
    assert not kit.files()
