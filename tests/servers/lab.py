"""A real JupyterLab for the tests, a client for it, and what is left of it afterwards."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil

from coursectl import process, web
from coursectl.backends import jupyter
from coursectl.model.launch import Server
from waiting import until as until

LAUNCHER = Path(__file__).with_name("launcher.py")


def install(prefix: Path) -> Path:
    """A virtual environment with JupyterLab and a kernel, from PyPI or uv's cache."""
    import uv

    program = uv.find_uv_bin()
    packages = ("jupyterlab", "ipykernel")
    for words in (
        ("venv", "-q", "--python", sys.executable, str(prefix)),
        ("pip", "install", "-q", "--compile-bytecode", "-p", str(prefix), *packages),
    ):
        done = process.run((program, *words), timeout=280)
        assert done.ok, done.stderr
    return prefix


def request(prefix: Path, root: Path, **changes: Any) -> jupyter.StartRequest:
    """What `up` would ask for; ports from 9300 on leave the person's own servers alone."""
    wanted: dict[str, Any] = {
        "semester": "fall2026",
        "environment": "phys398",
        "variant": "cpu",
        "digest": "d1",
        "port": 9300,
    }
    return jupyter.StartRequest(prefix=prefix, course_root=root, **wanted | changes)


def launch(asked: jupyter.StartRequest) -> tuple[process.Spawned, Server]:
    """Start the server from a process of its own, as the program does; attached unless detached."""
    words = {name: getattr(asked, name) for name in asked.__slots__}
    words |= {"prefix": str(asked.prefix), "course_root": str(asked.course_root)}
    answer = asked.course_root.parent / f"{uuid.uuid4().hex}.answer"
    argv = (sys.executable, str(LAUNCHER), str(answer), json.dumps(words))
    spawned = process.spawn(argv, log=answer.with_suffix(".log"))
    until(lambda: answer.exists() or spawned.popen.poll() is not None, 120)
    assert answer.exists(), answer.with_suffix(".log").read_text()
    return spawned, Server(**json.loads(answer.read_text()))


def api(server: Server, path: str, *, method: str = "GET", body: object = None, timeout: float = 30) -> Any:
    """An answer of Jupyter's REST API."""
    data = json.dumps(body).encode() if body is not None else None
    token = jupyter.token(server)
    reply = web.loopback(server.port, path, token=token, method=method, body=data, timeout=timeout)
    assert 200 <= reply.status < 300, (path, reply)
    return json.loads(reply.body) if reply.body else None


def kernel(server: Server) -> str:
    """The id of a new default kernel."""
    return str(api(server, "/api/kernels", method="POST", body={})["id"])


def execute(server: Server, code: str, *, kernel_id: str | None = None, wait: bool = True) -> str:
    """What `code` prints in a kernel of the server."""
    import websocket

    kernel_id = kernel_id or kernel(server)
    address = f"ws://127.0.0.1:{server.port}/api/kernels/{kernel_id}/channels"
    header = {"Authorization": f"token {jupyter.token(server)}"}
    connection = websocket.create_connection(address, header=header, timeout=60)
    message_id = uuid.uuid4().hex
    connection.send(
        json.dumps(
            {
                "header": {
                    "msg_id": message_id,
                    "msg_type": "execute_request",
                    "username": "",
                    "session": message_id,
                    "version": "5.3",
                    "date": "",
                },
                "parent_header": {},
                "metadata": {},
                "channel": "shell",
                "buffers": [],
                "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
            }
        )
    )
    said = ""
    while True:
        message = json.loads(connection.recv())
        if message["parent_header"].get("msg_id") != message_id:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            said += content["text"]
            if not wait:
                break
        elif kind == "error":
            said += "\n".join(content["traceback"])
        elif kind == "status" and content["execution_state"] == "idle":
            break
    connection.close()
    return said


def family(server: Server) -> list[psutil.Process]:
    """The keeper, the server and everything that they started."""
    keeper = psutil.Process(server.pid)
    return [keeper, *keeper.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs any more; one that waits for its parent to look is gone."""
    return all(_gone(member) for member in processes)


def _gone(member: psutil.Process) -> bool:
    try:
        return not member.is_running() or member.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ended(launcher: process.Spawned, seconds: float = 10) -> int:
    """The exit code of a launcher that is to end by itself."""
    code = launcher.popen.wait(seconds)
    assert launcher.popen.stdin is not None
    launcher.popen.stdin.close()
    return code


def clean(server: Server) -> None:
    """End whatever a failed test left."""
    process.kill_tree(server.pid)


def hostile_home(home: Path) -> None:
    """What students have at home: another kernel called python3, a server open to all, a broken start-up."""
    kernel_folder = home / ".local/share/jupyter/kernels/python3"
    kernel_folder.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-c", "raise SystemExit(1)"],
        "display_name": "Old",
        "language": "python",
    }
    (kernel_folder / "kernel.json").write_text(json.dumps(spec))
    configuration = home / ".jupyter/jupyter_server_config.py"
    configuration.parent.mkdir()
    configuration.write_text(
        "c.ServerApp.ip = '0.0.0.0'\nc.ServerApp.token = ''\nc.IdentityProvider.token = ''\n"
        "c.ServerApp.base_url = '/elsewhere/'\nc.ServerApp.root_dir = '/'\n"
    )
