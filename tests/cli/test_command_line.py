"""The command line itself: what is typed, what is answered, and with which exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coursectl import __version__
from coursectl.cli.globals import Globals, split
from coursectl.cli.registry import COMMANDS
from coursectl.errors import UsageError

ENVELOPE = {"schema", "command", "status", "data", "messages", "exit_code"}


@pytest.mark.parametrize(
    ("argv", "rest"),
    [
        (["up", "--json"], ["up"]),
        (["--json", "up"], ["up"]),
        (["up", "--port", "8890", "--json", "fall2026"], ["up", "--port", "8890", "fall2026"]),
        (["run", "python", "--json"], ["run", "python", "--json"]),
        (["run", "--json", "--env", "a", "python", "-q"], ["run", "--env", "a", "python", "-q"]),
        (["up", "--", "--json"], ["up", "--", "--json"]),
    ],
)
def test_global_options_are_taken_wherever_they_stand(argv: list[str], rest: list[str]) -> None:
    assert split(argv)[1] == rest


def test_a_command_of_run_keeps_its_own_flags() -> None:
    assert split(["run", "jupyter", "-v"])[0] == Globals()


def test_the_course_folder_is_taken_before_and_after_the_command() -> None:
    assert split(["-C", "a", "up"])[0].folder == split(["up", "-C", "a"])[0].folder == Path("a")


def test_a_missing_folder_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="-C needs a folder"):
        split(["up", "-C"])


def test_version_is_one_line(cli: Any) -> None:
    ran = cli("--version")
    assert (ran.code, ran.stdout, ran.stderr) == (0, f"coursectl {__version__}\n", "")


def test_help_names_every_command(cli: Any) -> None:
    ran = cli("--help")
    assert ran.code == 0
    for entry in COMMANDS:
        assert f"\n  {entry.name} " in ran.stdout


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda e: e.name)
def test_every_command_explains_itself(cli: Any, entry: Any) -> None:
    ran = cli(entry.name, "--help")
    assert ran.code == 0, ran.stderr
    assert f"coursectl {entry.name}" in ran.stdout
    assert ran.stderr == ""


def test_no_command_shows_the_overview_and_is_a_usage_error(cli: Any) -> None:
    ran = cli()
    assert ran.code == 2
    assert "coursectl up" in ran.stdout


def test_a_misspelt_command_is_corrected(cli: Any) -> None:
    ran = cli("statsu")
    assert ran.code == 2
    assert "there is no command statsu" in ran.stderr
    assert "`coursectl status`" in ran.stderr


def test_a_misspelt_option_is_corrected(cli: Any) -> None:
    ran = cli("up", "--ofline")
    assert ran.code == 2
    assert "--offline" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("entry", [e for e in COMMANDS if e.name not in {"run"}], ids=lambda e: e.name)
def test_a_usage_error_is_one_json_document(cli: Any, entry: Any) -> None:
    ran = cli(entry.name, "--no-such-option", "--json")
    assert ran.code == 2
    envelope = ran.json()
    assert set(envelope) == ENVELOPE
    assert envelope["schema"] == 1
    assert envelope["command"][0] == entry.name
    assert envelope["status"] == "error"
    assert envelope["exit_code"] == 2
    assert envelope["messages"][0]["level"] == "error"


@pytest.mark.parametrize(
    "command", [("up",), ("freeze", "fall2026"), ("run", "python"), ("export", "--format", "pylock")]
)
def test_without_a_course_the_way_to_one_is_named(cli: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    ran = cli(*command, cwd=tmp_path)
    assert ran.code == 2
    assert "there is no course.yaml here" in ran.stderr
    assert "coursectl -C DIR" in ran.stderr


def test_deleting_without_a_terminal_asks_for_the_flag(cli: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "uv"
    cache.mkdir(parents=True)
    (cache / "wheel").write_bytes(b"x" * 1000)
    ran = cli("cache", "clean")
    assert ran.code == 2
    assert "--yes" in ran.stderr
    assert (cache / "wheel").exists()
    ran = cli("cache", "clean", "--yes")
    assert ran.code == 0
    assert not cache.exists()
    assert "nothing to do" in cli("cache", "clean", "--yes").stdout


def test_our_own_bug_leaves_a_report_and_exits_70(cli: Any, tmp_path: Path) -> None:
    """A home that is a file breaks `env list` in a way that nobody foresaw, or is a clear error."""
    home = tmp_path / "home"
    home.write_text("not a folder")
    ran = cli("env", "list")
    assert ran.code in {0, 3, 70}
    assert "Traceback" not in ran.stderr


def test_the_schema_is_json_and_names_the_course_keys(cli: Any) -> None:
    import json

    ran = cli("schema")
    assert ran.code == 0
    assert {"name", "semesters", "environments"} <= set(json.dumps(json.loads(ran.stdout)).split('"'))


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    ended = subprocess.run(
        f"{sys.executable} -m coursectl schema | head -1",
        shell=True, capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert ended.returncode == 0
    assert ended.stderr == ""
