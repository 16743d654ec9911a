"""What a script may build on: the envelope, the keys of each command's data, and the exit codes.

`contract.KEYS` is the contract. A key that goes, or is renamed, breaks somebody's script: that needs a new
`schema`. A new key is added there, in the same change.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channel.program import Ran
from coursectl import process
from coursectl.cli.registry import COMMANDS
from e2e.contract import KEYS
from e2e.desk import Desk, envelope
from e2e.terminal import Terminal

_OPEN = {"settings[].value", "packages"}
"""Values with keys of their own making: the addresses of mirrors, the packages that `init` found."""


def keys_of(data: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of everything in `data`; a list counts by what is in it."""
    if path in _OPEN:
        yield path
    elif isinstance(data, dict) and data:
        for name, value in data.items():
            yield from keys_of(value, f"{path}.{name}" if path else name)
    elif isinstance(data, list) and data:
        for value in data:
            yield from keys_of(value, f"{path}[]")
    else:
        yield path


def check(here: Desk, name: str, *words: str, code: int = 0, status: str = "success") -> Any:
    """Run ``words --json`` and compare its data with the contract called `name`."""
    ran = here(*words, "--json") if words[0] != "run" else here(words[0], "--json", *words[1:])
    found = envelope(ran)
    assert ran.code == code, (ran.stdout, ran.stderr)
    assert found["status"] == status
    assert found["command"] == name.split(" (")[0].split()
    for message in found["messages"]:
        assert set(message) == {"level", "code", "text", "hint"}
    keys = set(keys_of(found["data"]))
    wanted = set(KEYS[name].split())
    assert keys == wanted, f"{name}: new {sorted(keys - wanted)}, gone {sorted(wanted - keys)}"
    return found


def check_error(ran: Ran, code: int, message: str) -> None:
    """An error is an envelope too: no data, the error last, with its code and text."""
    found = envelope(ran)
    assert (ran.code, found["status"], found["data"]) == (code, "error", None), ran.stdout
    last = found["messages"][-1]
    assert set(last) == {"level", "code", "text", "hint"}
    assert (last["level"], last["code"]) == ("error", message), last
    assert last["text"]


def test_the_keys_of_installing_change(small: Desk) -> None:
    check(small, "up (dry run)", "up", "--dry-run")
    prefix = check(small, "up (no launch)", "up", "--no-launch")["data"]["plan"]["prefix"]
    check(small, "run", "run", "python", "-c", "print(1)")
    check(small, "run", "run", "python", "-c", "raise SystemExit(7)", code=7, status="error")
    check(small, "env list", "env", "list")
    check(small, "env verify", "env", "verify")
    damaged = next(Path(prefix).rglob("share/many0/0.bin"))
    damaged.write_bytes(b"")
    check(small, "env verify (damaged)", "env", "verify", code=1, status="error")
    check(small, "env repair", "env", "repair")
    check(small, "env remove", "env", "remove", Path(prefix).name, "--yes")
    check(small, "cache info", "cache", "info")
    check(small, "cache clean", "cache", "clean", "--yes")


def test_the_keys_of_staff_s_commands_change(small: Desk, tmp_path: Path) -> None:
    check(small, "freeze (frozen)", "freeze", "fall2025")
    check(small, "freeze (nothing to do)", "freeze", "fall2025")
    check(small, "freeze (dry run)", "freeze", "--update", "alpha", "--dry-run", "--force")
    spec = small.course / "environments/bench.yml"
    spec.write_text(spec.read_text().replace("beta =1.0", "beta =1.0, gamma"))
    check(small, "freeze (stale)", "freeze", "fall2025", "--check", code=1, status="error")
    check(small, "freeze (compared)", "freeze", "--force")
    for fmt, notes in (("explicit", ""), ("environment.yml", " (with notes)"), ("pixi", " (with notes)")):
        check(small, f"export{notes}", "export", "--format", fmt)
    check(small, "schema", "schema")
    check(small, "info", "info")
    check(small, "--version", "--version")
    bare = Desk(cli=small.cli, course=tmp_path / "bare", home=small.home, cache=small.cache)
    bare.course.mkdir()
    (bare.course / "environment.yml").write_text("channels: [conda-forge]\ndependencies: [python, numpy]\n")
    check(bare, "init", "init", "--from", "environment.yml", "--name", "bare")
    elsewhere = Desk(cli=small.cli, course=tmp_path, home=small.home, cache=small.cache)
    check(elsewhere, "info (no course)", "info")


@pytest.mark.network
def test_the_keys_of_running_change(reference: Desk) -> None:
    check(reference, "status (nothing)", "status")
    check(reference, "down (nothing)", "down")
    check(reference, "up (detach)", "up", "--detach")
    check(reference, "status", "status")
    check(reference, "open", "open")
    check(reference, "logs", "logs", "-n", "2")
    check(reference, "down", "down")
    for fmt in ("requirements", "pylock"):
        check(reference, "export", "export", "--format", fmt)


_ELSEWHERE = {"smoke"}
"""Commands whose answer is not settled yet; whoever settles it takes it from here into `contract.KEYS`."""


def test_a_command_is_not_in_the_contract() -> None:
    assert {e.name for e in COMMANDS} - _ELSEWHERE <= {name.split()[0] for name in KEYS}


# one wrong use of every command; its code and the message's stable code
WRONG: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("up", "fall2025"), 3, "not-frozen"),
    (("up", "--port", "0"), 2, "usage"),
    (("up", "--env", "bnech"), 2, "usage"),
    (("down", "fall2o26"), 2, "usage"),
    (("status", "--all"), 2, "usage"),
    (("open",), 3, "not-running"),
    (("logs",), 3, "not-running"),
    (("run", "no-such-program"), 3, "not-installed"),
    (("run",), 2, "usage"),
    (("init",), 2, "file-exists"),
    (("freeze", "fall2031"), 2, "usage"),
    (("freeze", "--as-of", "2023-13-01"), 2, "usage"),
    (("freeze", "fall2026", "--platform", "vax"), 2, "usage"),
    (("export", "--format", "tarball"), 2, "usage"),
    (("export",), 2, "usage"),
    (("schema", "extra"), 2, "usage"),
    (("info", "--offline"), 2, "usage"),
    (("env", "verify", "nothing"), 2, "not-installed"),
    (("env", "repair", "nothing"), 2, "not-installed"),
    (("env", "remove", "nothing"), 2, "not-installed"),
    (("env",), 2, "usage"),
    (("env", "lsit"), 2, "usage"),
    (("cache",), 2, "usage"),
    (("no-such-command",), 2, "usage"),
    ((), 2, "usage"),
)


@pytest.mark.parametrize(
    ("words", "code", "message"), WRONG, ids=lambda w: " ".join(w) if isinstance(w, tuple) else None
)
def test_an_error_is_no_envelope(small: Desk, words: tuple[str, ...], code: int, message: str) -> None:
    ran = small(*words, "--json") if words[:1] != ("run",) else small("run", "--json", *words[1:])
    check_error(ran, code, message)
    assert ran.stderr == ""


class TestExitCodes:
    """Each exit code, shown by a command that ends with it (0 everywhere above)."""

    def test_1_is_a_negative_verdict(self, small: Desk) -> None:
        assert small("freeze", "--check").code == 0
        (small.course / "environments/bench.yml").write_text(
            "channels: [conda-forge]\ndependencies: [alpha]\n"
        )
        assert small("freeze", "--check").code == 1

    def test_2_is_a_wrong_course_file(self, small: Desk) -> None:
        course = small.course / "course.yaml"
        course.write_text(course.read_text().replace("semesters:", "semester:"))
        check_error(small("up", "--json"), 2, "course-file")
        assert "course.yaml:3" in small("up").stderr

    def test_3_is_what_could_not_be_done(self, small: Desk) -> None:
        spec = small.course / "environments/bench.yml"
        spec.write_text("channels: [conda-forge]\ndependencies: [impossible]\n")
        ran = small("freeze", "--force")
        assert ran.code == 3
        assert "impossible" in ran.stderr

    def test_4_is_the_network(self, small: Desk) -> None:
        small.env["COURSECTL_MIRRORS"] = "https://conda.anaconda.org/conda-forge=http://127.0.0.1:9"
        check_error(small("up", "--no-launch", "--json"), 4, "network")

    def test_70_is_our_bug_with_a_report(self, small: Desk, tmp_path: Path) -> None:
        """A library that breaks in a way nobody foresaw, as a half-upgraded installation does."""
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "filelock.py").write_text("raise RuntimeError('half an upgrade')\n")
        ran = small("up", "--no-launch", env={"PYTHONPATH": str(broken)})
        assert ran.code == 70
        assert "this is a bug in coursectl" in ran.stderr
        assert "RuntimeError: half an upgrade" in ran.stderr
        assert "Traceback" not in ran.stderr
        [report] = (small.home / "logs").glob("crash-*.txt")
        assert str(report) in ran.stderr
        assert "half an upgrade" in report.read_text()
        check_error(small("up", "--no-launch", "--json", env={"PYTHONPATH": str(broken)}), 70, "bug")

    @pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
    def test_130_is_an_interruption(self, small: Desk, small_channel: Any) -> None:
        small_channel.server.stall("*/big-*")
        argv = small.argv("up", "--no-launch", "--json")
        with Terminal(argv, cwd=small.course, env=small.environment()) as window:
            assert not window.read_until("{", 3)
            window.type("\x03")
            assert window.wait(15) == 130
        last = json.loads(window.shown.strip().removeprefix("^C").strip())
        assert (last["exit_code"], last["messages"][-1]["code"]) == (130, "interrupted")


@pytest.mark.network
@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
def test_an_attached_up_prints_two_envelopes(reference: Desk) -> None:
    """The answer comes when JupyterLab answers; how it ends later is said in words and by the exit code."""
    import psutil

    argv = reference.argv("up", "--json")
    with Terminal(argv, cwd=reference.course, env=reference.environment()) as window:
        assert window.read_until("}\r\n", 60), window.shown
        answer = json.loads(window.shown)
        assert answer["data"]["server"]["detached"] is False
        keeper = psutil.Process(answer["data"]["server"]["pid"])
        [server] = [p for p in keeper.children() if "jupyterlab" in p.cmdline()]
        server.kill()
        assert window.wait(20) == 3
    assert window.shown.count('"schema"') == 1
    assert "JupyterLab ended by itself" in window.shown


def test_quiet_and_verbose_change_the_answer(small: Desk) -> None:
    first = small.ok("up", "--no-launch", "-q")
    assert first.stderr == ""
    assert first.stdout == "bench of fall2026 is ready; start it: `coursectl up`\n"
    assert small.ok("-v", "up", "--no-launch").stdout == first.stdout


def test_an_answer_with_accents_breaks_a_c_locale(small: Desk) -> None:
    course = small.course / "course.yaml"
    course.write_text('title: "Études, 物理: ondes"\n' + course.read_text(), encoding="utf-8")
    plain = {
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    for words in (("info",), ("info", "--json"), ("up", "--dry-run"), ("--help",), ("up", "--help")):
        ran = small(*words, env=plain)
        assert ran.code == 0, ran.stderr
        assert "Traceback" not in ran.stderr
    assert json.loads(small("info", "--json", env=plain).stdout)["data"]["title"]
    done = process.run(small.argv("info"), timeout=60, cwd=small.course, env=small.environment(**plain))
    assert done.ok
