"""What holds while a server runs, in the home of a student who has other Jupyter things."""

from __future__ import annotations

import json
import os
import stat
import sys
import webbrowser
from pathlib import Path

import psutil
import pytest

from coursectl import web
from coursectl.backends import jupyter, jupyter_browser, jupyter_state
from coursectl.errors import ServerError, UsageError
from coursectl.model.launch import Server
from coursectl.model.progress import Silent
from coursectl.workflows import servers
from servers import lab

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which is Linux's")


def test_a_users_kernel_called_python3_does_not_run_the_course(server: Server) -> None:
    code = (
        "import sys, os, shutil, json\n"
        "print(json.dumps([sys.prefix, shutil.which('python'), os.getcwd(), os.environ.get('PYTHONPATH'),"
        " os.environ.get('CONDA_PREFIX'), os.environ.get('JUPYTER_TOKEN')]))"
    )
    prefix, python, folder, *strange = json.loads(lab.execute(server, code))
    assert Path(prefix) == Path(server.prefix)
    assert Path(python).parent.parent == Path(server.prefix)
    assert Path(folder) == Path(server.course_root)
    assert strange == [None, None, None]


def test_files_of_the_course_shadow_no_module_of_the_server(server: Server) -> None:
    names = [entry["name"] for entry in lab.api(server, "/api/contents")["content"]]
    assert names == ["token.py"]


def test_a_users_configuration_does_not_open_the_server_to_others(server: Server) -> None:
    assert web.loopback(server.port, "/api/contents", token=None).status == 403
    assert web.loopback(server.port, "/api/contents", token="known-to-everyone").status == 403
    child = next(p for p in lab.family(server) if "jupyterlab" in p.cmdline())
    listening = {
        (c.laddr.ip, c.laddr.port) for c in child.net_connections() if c.status == psutil.CONN_LISTEN
    }
    assert ("127.0.0.1", server.port) in listening
    assert {ip for ip, _ in listening} == {"127.0.0.1"}


def test_no_news_and_no_update_check(server: Server) -> None:
    answer = lab.api(server, "/lab/api/settings/@jupyterlab/apputils-extension:notification")
    defaults = answer["schema"]["properties"]
    assert defaults["fetchNews"]["default"] == "false"
    assert defaults["checkForUpdates"]["default"] is False
    assert lab.api(server, "/lab/api/update")["notification"] is None
    assert lab.api(server, "/lab/api/news")["news"] == []


@needs_proc
def test_the_token_is_in_no_argument_environment_log_or_record(server: Server) -> None:
    token = jupyter.token(server).encode()
    assert len(token) >= 40
    for member in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                assert token not in (member / name).read_bytes()
            except OSError:
                continue  # it ended, or is not ours
    home = jupyter_state.folder(server.key)
    holders = {p.name for p in home.rglob("*") if p.is_file() and token in p.read_bytes()}
    holders = {n for n in holders if not n.startswith("jpserver-")}  # Jupyter's own, in our private folder
    assert holders == {"token", "open.html"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead of modes")
def test_what_holds_the_token_is_private(server: Server) -> None:
    home = jupyter_state.folder(server.key)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    for name in ("token", "open.html", "state.json", "server.log"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name


def test_the_login_page_leads_into_jupyterlab(server: Server) -> None:
    page = Path(server.open_file).read_text()
    address = page.partition("url=")[2].partition('"')[0]
    assert address.startswith(server.url)
    reply = web.loopback(server.port, address.removeprefix(f"http://127.0.0.1:{server.port}"), token=None)
    assert reply.status == 200
    assert b"jupyter-config-data" in reply.body
    assert jupyter.token(server) not in Path(server.log).read_text()


def _browse_with(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # it reads the variable once a process


@pytest.mark.skipif(sys.platform == "win32", reason="the browser here is a shell script")
def test_the_browsers_argument_list_has_no_token(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$@" > "{seen}"\n')
    browser.chmod(0o755)
    _browse_with(browser, monkeypatch)
    assert jupyter_browser.open_page(server).opened
    assert lab.until(seen.exists, 5)
    assert seen.read_text().startswith("file://")
    assert jupyter.token(server) not in seen.read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="snaps are Linux's")
def test_a_browser_that_sees_no_hidden_folder_gets_a_page_that_it_sees(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, seen = tmp_path / "programs", tmp_path / "seen"
    programs.mkdir()
    for name, script in (
        ("xdg-settings", "echo firefox_firefox.desktop"),
        ("browser", f'echo "$@" > "{seen}"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    _browse_with(programs / "browser", monkeypatch)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    own = Path.home() / "snap" / "firefox" / "common"
    own.mkdir(parents=True)
    assert jupyter_browser.open_page(server).opened
    assert lab.until(seen.exists, 5)
    [page] = own.iterdir()
    assert page.as_uri() in seen.read_text()
    assert page.read_bytes() == Path(server.open_file).read_bytes()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    monkeypatch.setenv("COURSECTL_HOME", str(tmp_path / "elsewhere"))  # the record there: none
    jupyter_state.clear(server.key)
    assert not page.exists()


def test_without_a_display_a_person_is_told_how_to_log_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 5000 10.0.0.2 22")
    monkeypatch.delenv("BROWSER", raising=False)
    report = servers.open_server()
    assert not report.opened
    text = " ".join(str(hint) for hint in report.hints)
    assert f"ssh -N -L {server.port}:127.0.0.1:{server.port}" in text
    assert server.url in text
    assert jupyter.token(server) not in text


def test_a_second_start_finds_the_running_server(server: Server) -> None:
    again = jupyter.start(lab.request(Path(server.prefix), Path(server.course_root), digest="d2"), Silent())
    assert again.found
    assert again.server == server
    assert again.keeper is None


def test_status_and_logs_name_the_server(server: Server) -> None:
    report = servers.status()
    assert report.servers == (server,)
    assert 0 <= report.seconds[0] < 300
    assert servers.status(servers.Selection(semester="fall2025")).servers == ()
    log = servers.logs(lines=5)
    assert log.running
    assert 0 < len(log.lines) <= 5


def _copy_of(
    server: Server, key: str, monkeypatch: pytest.MonkeyPatch, home: Path, **changes: object
) -> Path:
    """The server's record under another home, changed; nothing of it may touch the real server."""
    state = json.loads((jupyter_state.folder(server.key) / "state.json").read_text())
    state["server"] |= {"key": key}
    state |= {k: v for k, v in changes.items() if k in state}
    state["server"] |= {k: v for k, v in changes.items() if k in state["server"]}
    monkeypatch.setenv("COURSECTL_HOME", str(home))
    folder = jupyter_state.folder(key)
    jupyter_state.make_private(folder)
    (folder / "token").write_text("old")
    record = folder / "state.json"
    record.write_text(json.dumps(state))
    return record


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": os.getppid()},
        {"pid": 2**22 + 5},
        {"pid": -1},
        {"pid": "1"},
        {"identity": "other:1"},
        {"port": None},
    ],
    ids=["another process", "no process", "a group", "a word", "a reused id", "no port"],
)
def test_a_record_whose_process_is_another_is_cleaned_and_nothing_is_killed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    _copy_of(server, "abc", monkeypatch, tmp_path / "home", **changes)
    assert servers.down().stopped == ()
    assert psutil.pid_exists(server.pid)
    assert psutil.pid_exists(os.getppid())
    assert jupyter.find_all() == ()


def test_a_record_of_a_newer_version_is_refused_and_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _copy_of(server, "abc", monkeypatch, tmp_path / "home", schema=2)
    before = record.read_bytes()
    for ask in (servers.status, servers.down, servers.open_server, lambda: jupyter.find("abc")):
        with pytest.raises(ServerError) as caught:
            ask()
        assert caught.value.code == "newer-state"
    assert record.read_bytes() == before
    assert (record.parent / "token").exists()


def test_nothing_running_is_said_with_the_next_command() -> None:
    assert servers.status().next_step.command == "coursectl up"
    assert servers.down().stopped == ()
    for ask in (servers.open_server, servers.logs):
        with pytest.raises(ServerError) as caught:
            ask()
        assert caught.value.code == "not-running"
        assert caught.value.hints[0].command == "coursectl up"


def test_several_servers_are_never_guessed_between(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    other = jupyter_state.folder("other")
    jupyter_state.make_private(other)
    state = json.loads((jupyter_state.folder(server.key) / "state.json").read_text())
    state["server"] |= {"key": "other", "semester": "fall2025"}
    (other / "state.json").write_text(json.dumps(state))
    try:
        with pytest.raises(UsageError, match="several"):
            servers.open_server(browser=False)
        assert servers.one(servers.Selection(semester="fall2026")) == server
    finally:
        (other / "state.json").unlink()
