"""The main job on PyPI: a student unpacks the reference course, types one command and is in JupyterLab."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from coursectl import process
from e2e import desk
from e2e.desk import Desk
from servers import lab

pytestmark = pytest.mark.network

CLOSED = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9"
)
"""No proxy answers: whoever asks the network fails."""

CELL = """
import sys, numpy, scipy, pandas, matplotlib, sklearn, h5py, astropy
print("prefix", sys.prefix)
print("inside", all(m.__file__.startswith(sys.prefix) for m in (numpy, scipy, pandas, matplotlib)))
print("sum", int(numpy.arange(10).sum()))
"""


def test_the_first_up_does_not_say_what_it_takes(reference: Desk) -> None:
    first = reference.first
    assert first is not None
    assert "PHYS 398 · fall2026 · cpu" in first.stderr
    assert " needs " in first.stderr
    assert " free" in first.stderr
    assert "phys398 is not part of fall2026" in first.stderr  # why it is the fallback
    assert "136 in phys398-pypi, verified" in first.stderr
    assert first.stdout == "phys398-pypi of fall2026 is ready; start it: `coursectl up`\n"


def test_a_day_in_class(reference: Desk) -> None:
    """Everything a student types in a day, on one server; every proxy leads to a closed port."""
    reference.env = CLOSED
    before = desk.files_below(reference.course)
    up = reference.data("up", "--detach")
    assert (up["install_seconds"], up["found"]) == (0, False)
    [server] = reference.servers()
    assert server.url == up["server"]["url"]
    kernel = lab.kernel(server)
    said = lab.execute(server, CELL, kernel_id=kernel)
    assert f"prefix {up['plan']['prefix']}\n" in said
    assert "inside True" in said
    assert "sum 45" in said

    for cell in _first_notebook(reference):
        assert "Traceback" not in lab.execute(server, cell, kernel_id=kernel)

    again = reference.ok("up", "--detach")
    assert "136 in phys398-pypi, nothing to do" in again.stderr
    assert "nothing to do: JupyterLab is running already" in again.stdout
    assert [s.pid for s in reference.servers()] == [server.pid]

    status = reference.ok("status")
    assert server.url in status.stdout
    assert "fall2026" in status.stdout
    assert "`coursectl down`" in status.stdout

    opened = reference.ok("open")
    assert server.url in opened.stdout
    private = Path(server.log).parent
    assert private.stat().st_mode & 0o077 == 0
    for secret in (private / "token", Path(server.open_file), private / "state.json"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600, secret

    logs = reference.ok("logs", "-n", "20")
    assert "ServerApp" in logs.stdout
    assert len(logs.stdout.splitlines()) <= 20

    ran = reference.ok("run", "python", "-c", "import numpy, sys; print(sys.prefix, numpy.__version__)")
    assert ran.stdout.startswith(up["plan"]["prefix"])

    listed = reference.ok("env", "list")
    assert Path(up["plan"]["prefix"]).name in listed.stdout
    verified = reference.ok("env", "verify")
    assert "136 packages" in verified.stdout
    assert "all as locked" in verified.stdout

    down = reference.ok("down")
    assert down.stdout.startswith("stopped JupyterLab")
    assert desk.until(lambda: reference.processes() == [], 5), reference.processes()
    assert "nothing to do" in reference.ok("down").stdout
    assert "nothing is running" in reference.ok("status").stdout
    assert not list((reference.home / "servers").glob("*/token"))
    assert desk.files_below(reference.course) == before


def _first_notebook(here: Desk) -> list[str]:
    notebook = json.loads((here.course / "tests/notebooks/01-resonance-fit.ipynb").read_text())
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def test_a_program_s_own_exit_code_and_input_are_lost_in_run(reference: Desk) -> None:
    assert reference("run", "python", "-c", "raise SystemExit(7)").code == 7
    assert reference("run", "--json", "python", "-c", "print(1)").json()["data"]["stdout"] == "1\n"
    missing = reference("run", "no-such-program")
    assert missing.code == 2
    assert "there is no program no-such-program" in missing.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's")
def test_the_second_run_needs_a_network_interface(reference: Desk) -> None:
    """In a namespace with nothing but loopback: no route, no DNS, no way out."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs root, unshare and ip to make a network namespace")
    story = (
        "ip link set lo up && python -m coursectl up --detach && python -m coursectl up --detach && "
        "python -m coursectl run python -c 'import numpy; print(int(numpy.ones(5).sum()))' && "
        "python -m coursectl down"
    ).replace("python -m coursectl", f"'{sys.executable}' -m coursectl")
    done = process.run(
        ("unshare", "--net", "sh", "-c", story),
        timeout=90,
        cwd=reference.course,
        env=reference.environment(),
    )
    assert done.ok, done.stdout + done.stderr
    assert "nothing to do: JupyterLab is running already" in done.stdout
    assert "\n5\n" in done.stdout
    assert "stopped JupyterLab" in done.stdout
    assert reference.processes() == []
