"""However a run ends, nothing of it goes on; and what surrounds a notebook is not what is at home."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from coursectl import process
from coursectl.backends.execution import Executed, Job, Mode, executor
from coursectl.backends.execution_shared import imported, needs_kernel
from coursectl.errors import CourseError, EnvironmentDamagedError
from coursectl.model.suite import Verdict
from smoke import running

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="notebooks share a process on Linux only"
    ),
]
MODES = pytest.mark.parametrize("mode", list(Mode))

# a child in a session of its own, one that was orphaned on purpose, and the notebook's own process
HANGERS_ON = """\
import os, subprocess, sys, time
own = subprocess.Popen(["sleep", "1000"], start_new_session=True)
orphan = subprocess.run(
    ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True).stdout
time.sleep(0.3)
with open("pids.part", "w") as f:
    f.write(f"{os.getpid()} {own.pid} {orphan}")
os.rename("pids.part", "pids")
"""
STYLE = "import matplotlib\nmatplotlib.rcParams['lines.linewidth']"
FOR_EVER = "n = 0\nwhile True:\n    n += sum(range(10**6))"


def pids(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "pids").read_text().split()]


def test_two_notebooks_are_started_to_be_ended(prefix: Path, tmp_path: Path) -> None:
    """What the other tests here rely on: the children do run while the notebook does."""
    look = "print(own.poll(), os.path.exists(f'/proc/{own.pid}'))"
    job = running.job(tmp_path, "one", running.notebook(HANGERS_ON, look))
    running.run(Mode.SHARED, prefix, [job], preload=())
    assert "None True" in job.executed.read_text()
    assert len(pids(job.folder)) == 3


@MODES
@pytest.mark.parametrize("end", ["pass", "os._exit(1)", "1 / 0", "os.kill(os.getpid(), 9)"])
def test_what_a_notebook_started_ends_with_it(prefix: Path, tmp_path: Path, mode: Mode, end: str) -> None:
    job = running.job(tmp_path, "one", running.notebook(HANGERS_ON, end))
    running.run(mode, prefix, [job], preload=())
    assert running.alive(pids(job.folder)) == []


@MODES
def test_stopping_in_mid_run_leaves_nothing(prefix: Path, tmp_path: Path, mode: Mode) -> None:
    jobs = [running.job(tmp_path, f"n{k}", running.notebook(HANGERS_ON, FOR_EVER)) for k in range(3)]
    stop = threading.Event()
    done: list[Job] = []
    chosen = executor(mode, prefix, preload=("numpy",))

    def stopper() -> None:
        running.until(lambda: all((job.folder / "pids").exists() for job in jobs[:2]), 60)
        stop.set()

    thread = threading.Thread(target=stopper)
    thread.start()
    chosen.run(jobs, parallel=2, on_done=lambda job, _: done.append(job), stop=stop)
    thread.join()
    assert done == []
    assert not (jobs[2].folder / "pids").exists()
    assert running.alive([pid for job in jobs[:2] for pid in pids(job.folder)]) == []
    chosen.close()


@MODES
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_or_a_kill_of_coursectl_leaves_nothing(
    prefix: Path, tmp_path: Path, mode: Mode, number: signal.Signals
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(running.notebook(HANGERS_ON, FOR_EVER)))
    argv = (sys.executable, "-m", "smoke.launcher", tmp_path, mode, prefix)
    # a killed run leaves its scratch folder: here, where pytest deletes it
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(tmp_path)}
    launched = process.spawn(argv, log=tmp_path / "log", env=env)
    folders = [tmp_path / "notebook0", tmp_path / "notebook1"]
    there = running.until(lambda: all((f / "pids").exists() for f in folders), 90)
    assert there, (tmp_path / "log").read_text()
    started = [pid for folder in folders for pid in pids(folder)]
    assert len(running.alive(started)) == 6
    os.kill(launched.pid, number)
    launched.popen.wait(60)
    assert running.until(lambda: not running.alive(started), 20), running.alive(started)
    assert launched.popen.stdin is not None
    launched.popen.stdin.close()


@MODES
def test_an_error_of_ours_ends_the_run(prefix: Path, tmp_path: Path, mode: Mode) -> None:
    jobs = [
        running.job(tmp_path, "quick", running.notebook("1")),
        running.job(tmp_path, "long", running.notebook(HANGERS_ON, FOR_EVER)),
    ]

    def fail(job: Job, executed: Executed) -> None:
        running.until((jobs[1].folder / "pids").exists, 60)
        raise CourseError("the disk is full")

    chosen = executor(mode, prefix, preload=())
    with pytest.raises(CourseError, match="the disk is full"):
        chosen.run(jobs, parallel=2, on_done=fail, stop=threading.Event())
    chosen.close()
    assert running.alive(pids(jobs[1].folder)) == []


@MODES
def test_an_environment_without_a_kernel_is_named(tmp_path: Path, mode: Mode) -> None:
    import uv

    bare = tmp_path / "bare"
    assert process.run((uv.find_uv_bin(), "venv", "-q", "--python", sys.executable, bare), timeout=60).ok
    chosen = executor(mode, bare, preload=())
    job = running.job(tmp_path, "one", running.notebook("1"))
    with pytest.raises(EnvironmentDamagedError, match="notebook kernel ended with exit code 1") as raised:
        chosen.run([job], parallel=1, on_done=lambda *_: None, stop=threading.Event())
    assert raised.value.cause == "ModuleNotFoundError: No module named 'ipykernel'"
    chosen.close()


@MODES
def test_the_same_seed_gives_the_same_and_another_does_not(prefix: Path, tmp_path: Path, mode: Mode) -> None:
    draw = running.notebook(
        "import random, numpy as np\nprint(random.random(), np.random.normal(), list({'a', 'b', 'c', 'd'}))"
    )
    jobs = [running.job(tmp_path, f"s{k}", draw, seed=seed) for k, seed in enumerate((7, 7, 8))]
    running.run(mode, prefix, jobs)
    said = [json.loads(job.executed.read_text())["cells"][0]["outputs"] for job in jobs]
    assert said[0] == said[1]
    assert said[0] != said[2]


@MODES
def test_a_persons_own_habits_stay_outside(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    startup = tmp_path / "user/.ipython/profile_default/startup/00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("leaked = True\n")
    for name, value in {
        "PYTHONPATH": str(tmp_path),
        "MPLBACKEND": "agg",
        "PYTHONWARNINGS": "error",
        "IPYTHONDIR": str(tmp_path / "user/.ipython"),
        "COLUMNS": "17",
    }.items():
        monkeypatch.setenv(name, value)
    look = (
        "import os, sys, tempfile, matplotlib\nassert 'leaked' not in globals()\n"
        f"assert {str(tmp_path)!r} not in sys.path and '' in sys.path\n"
        "assert not {'PYTHONPATH', 'PYTHONWARNINGS', 'COLUMNS'} & set(os.environ)\n"
        "assert 'inline' in matplotlib.get_backend()\n"
        "print(tempfile.gettempdir(), os.environ.get('OMP_NUM_THREADS'))"
    )
    jobs = [running.job(tmp_path, f"n{k}", running.notebook(look)) for k in range(2)]
    done = running.run(mode, prefix, jobs, preload=("matplotlib",))
    assert {executed.verdict for executed in done.values()} == {Verdict.OK}, done
    for job in jobs:
        folder, threads = json.loads(job.executed.read_text())["cells"][0]["outputs"][0]["text"].split()
        assert threads == "1"
        assert not Path(folder).exists()


@MODES
def test_the_network_is_there_where_it_is_declared(prefix: Path, tmp_path: Path, mode: Mode) -> None:
    """No address is asked: the guard's own text is the sign of it."""
    look = "import socket\nprint(socket.socket.connect.__name__, socket.getaddrinfo.__name__)"
    jobs = [running.job(tmp_path, f"net{on}", running.notebook(look), network=on) for on in (True, False)]
    running.run(mode, prefix, jobs)
    said = [json.loads(job.executed.read_text())["cells"][0]["outputs"][0]["text"] for job in jobs]
    assert "guarded" not in said[0]
    assert "guarded guarded_lookup" in said[1]


def test_what_only_a_kernel_can_do_gets_one(prefix: Path, tmp_path: Path) -> None:
    jobs = [
        running.job(tmp_path, "asks", running.notebook("get_ipython().kernel.implementation")),
        running.job(tmp_path, "shadow", running.notebook("import pandas\npandas.mine")),
        running.job(tmp_path, "style", running.notebook(STYLE)),
        running.job(tmp_path, "plain", running.notebook("import numpy\n1")),
    ]
    (jobs[1].folder / "pandas.py").write_text("mine = 42\n")
    (jobs[2].folder / "matplotlibrc").write_text("lines.linewidth: 7\n")
    done = running.run(Mode.SHARED, prefix, jobs)
    assert {e.verdict for e in done.values()} == {Verdict.OK}, done
    shown = [json.loads(job.executed.read_text())["cells"][0]["outputs"][0] for job in jobs]
    said = [output["data"]["text/plain"] for output in shown]
    assert said == ["'ipython'", "42", "7.0", "1"]
    assert [needs_kernel(job, ("pandas",)) for job in jobs] == [True, True, True, False]


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("%matplotlib inline", False),
        ("%matplotlib widget", True),
        ("%matplotlib notebook", True),
        ("%matplotlib\nplt.plot()", False),
        ("%connect_info", True),
        ("ip = get_ipython()\nip.run_line_magic('pwd', '')", False),
        ("kernel = 'rbf'; svm.kernel", False),
    ],
)
def test_which_sources_need_a_kernel(tmp_path: Path, source: str, needs: bool) -> None:
    assert needs_kernel(running.job(tmp_path, "n", running.notebook(source)), ()) is needs


def test_only_what_notebooks_import_is_loaded(tmp_path: Path) -> None:
    job = running.job(
        tmp_path,
        "n",
        running.notebook(
            "%matplotlib inline\nimport matplotlib.pyplot as plt\nfrom scipy import stats",
            "import torch.nn\ntry:\n    import scipy.fft\nexcept ImportError: pass",
        ),
    )
    assert imported([job], ("scipy", "matplotlib")) == (
        "scipy",
        "matplotlib",
        "matplotlib.pyplot",
        "scipy.stats",
    )
