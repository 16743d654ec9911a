"""The same small notebooks through both ways of running: verdicts, places, warnings and outputs agree."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coursectl.backends.execution import Executed, Mode
from coursectl.model.suite import Verdict
from smoke import running

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="notebooks share a process on Linux only"
    ),
]

HELPER = """\
import warnings

def broken():
    values = {}
    return values["mass"]

def old():
    warnings.warn("use new() instead", DeprecationWarning, stacklevel=2)

def careless():
    import numpy as np
    warnings.warn("careless", FutureWarning)
    return np.log(np.zeros(1))[0]
"""


@dataclass(frozen=True)
class Case:
    """A notebook and what it comes to. `error`: cell, name, line, helper file, its line; `outputs`: parts of
    the text of cells; `warned`: cell, line, file, category."""

    cells: tuple[str, ...]
    verdict: Verdict = Verdict.OK
    reason: str | None = None
    errors: tuple[tuple[Any, ...], ...] = ()
    warned: tuple[tuple[Any, ...], ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[int, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    loose: bool = False  # how far it came depends on the moment


CASES: dict[str, Case] = {
    "ok": Case(
        ("x = 2", "print('hello')\nx + 40", "y: int = x\ndef f(): pass\nclass C: pass\nimport os.path as p"),
        outputs={2: "hello\n|42"},
    ),
    "error-midway": Case(
        ("a = 1\n\nb = a + missing\nc = 3", "print(a)", "def f():\n    return 1 / 0\n\nf()", "a.b"),
        Verdict.FAILED,
        "cell 1: NameError: name 'missing' is not defined",
        errors=(
            (1, "NameError", 3, None, None),
            (3, "ZeroDivisionError", 2, None, None),
            (4, "AttributeError", 1, None, None),
        ),
        outputs={2: "1\n"},
    ),
    "error-in-helper": Case(
        ("import helper", "x = 1\nhelper.broken()", "from sub import deep"),
        Verdict.FAILED,
        errors=((2, "KeyError", 2, "helper.py", 5), (3, "SyntaxError", 1, "sub/deep.py", 2)),
    ),
    "syntax": Case(
        ("x = 1\ny = = 2", "a = 1\nx ="),
        Verdict.FAILED,
        errors=((1, "SyntaxError", 2, None, None), (2, "SyntaxError", 2, None, None)),
    ),
    "expected-error": Case(
        ("1 / 0", "raise SystemExit", "print('still here')"),
        tags={1: ("raises-exception",), 2: ("skip-execution",)},
        outputs={3: "still here"},
    ),
    "python-loop": Case(
        ("print('before')\nn = 0\nwhile True:\n    n += 1", "print('never')"),
        Verdict.TIMED_OUT,
        "cell 1 ran longer than 1.5 s",
        errors=((1, "CellTimeout", ..., None, None),),
        outputs={1: "before"},
        changes={"cell_timeout": 1.5},
    ),
    "c-loop": Case(
        ("print('before')\nsum(range(10**12))", "1"),
        Verdict.TIMED_OUT,
        "cell 1 ran longer than 1.5 s",
        errors=((1, "CellTimeout", None, None, None),),
        changes={"cell_timeout": 1.5},
    ),
    "stubborn-loop": Case(
        (
            "from time import sleep\nwhile True:\n    try:\n        sleep(60)\n"
            "    except BaseException:\n        pass",
        ),
        Verdict.TIMED_OUT,
        errors=((1, "CellTimeout", None, None, None),),
        changes={"cell_timeout": 1.5},
    ),
    "sleep-in-helper": Case(
        ("import slow", "1\nslow.down()"),
        Verdict.TIMED_OUT,
        errors=((2, "CellTimeout", 2, "slow.py", 3),),
        changes={"cell_timeout": 1.5},
    ),
    "await-for-ever": Case(
        ("import asyncio\nawait asyncio.sleep(1000)",),
        Verdict.TIMED_OUT,
        errors=((1, "CellTimeout", 2, None, None),),
        changes={"cell_timeout": 1.5},
    ),
    "shell-for-ever": Case(
        ("!sleep 1000", "1"),
        Verdict.TIMED_OUT,
        "cell 1 ran longer than 1.5 s",
        changes={"cell_timeout": 1.5},
        loose=True,
    ),
    "slow-in-all": Case(
        ("import time", *["time.sleep(0.8)"] * 9),
        Verdict.TIMED_OUT,
        changes={"timeout": 2.0},
        loose=True,
    ),
    "memory-bomb": Case(
        ("x = 1", "hoard = []\nwhile True:\n    hoard.append(bytearray(10_000_000))"),
        Verdict.KILLED,
        "more than 400 MB of memory in cell 2",
        errors=((2, "KernelDied", None, None, None),),
        changes={"memory_bytes": 400_000_000},
    ),
    "memory-bomb-in-a-child": Case(
        (
            "import subprocess, sys",
            "subprocess.run([sys.executable, '-c', 'x = []\\nwhile True: x.append(bytearray(10_000_000))'])",
        ),
        Verdict.KILLED,
        "more than 400 MB of memory in cell 2",
        errors=((2, "KernelDied", None, None, None),),
        changes={"memory_bytes": 400_000_000},
    ),
    "100-mb-of-lines": Case(
        ("for _ in range(1_000_000):\n    print('x' * 100)",),
        Verdict.KILLED,
        "more than 5 MB of output in cell 1",
        errors=((1, "KernelDied", None, None, None),),
        loose=True,
    ),
    "100-mb-at-once": Case(
        ("print('x' * 100_000_000)",),
        Verdict.KILLED,
        "more than 5 MB of output in cell 1",
        errors=((1, "KernelDied", None, None, None),),
    ),
    "100-mb-past-python": Case(
        ("import subprocess\nsubprocess.run('yes', timeout=60)",),
        Verdict.KILLED,
        "more than 5 MB of output in cell 1",
        loose=True,
    ),
    "os-exit": Case(
        ("x = 1", "import os\nos._exit(3)", "x"),
        Verdict.KILLED,
        "the kernel ended with exit code 3 in cell 2",
        errors=((2, "KernelDied", None, None, None),),
    ),
    "segfault": Case(
        ("import ctypes\nctypes.string_at(0)", "1"),
        Verdict.KILLED,
        "the kernel died of SIGSEGV in cell 1",
        errors=((1, "KernelDied", None, None, None),),
    ),
    "exit": Case(("exit()", "1"), Verdict.KILLED, "cell 1 ended the kernel with exit or quit"),
    "exit-at-the-end": Case(("1", "quit()")),
    "sys-exit": Case(
        ("import sys\nsys.exit('enough')", "print(1)"),
        Verdict.FAILED,
        errors=((1, "SystemExit", 2, None, None),),
        outputs={2: "1"},
    ),
    "input": Case(
        ("input('name? ')", "import getpass\ngetpass.getpass()"),
        Verdict.FAILED,
        errors=(
            (1, "StdinNotImplementedError", 1, None, None),
            (2, "StdinNotImplementedError", 2, None, None),
        ),
    ),
    "writes": Case(
        (
            "from pathlib import Path\nPath('out.txt').write_text('mine')",
            "with open('data.csv', 'a') as f: f.write('9')",
            "print(Path('data.csv').read_text(), Path.cwd().name)",
        ),
        outputs={3: "1,2\n9 writes"},
    ),
    "plots": Case(
        (
            "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
            "fig, ax = plt.subplots()\nax.plot([3, 1])\nplt.show()\nprint(plt.get_backend())",
            "from matplotlib_inline.backend_inline import set_matplotlib_formats\n"
            "%matplotlib inline\nset_matplotlib_formats('svg')\nplt.plot([1])",
        ),
        outputs={1: "<Figure size", 2: "inline", 3: "<matplotlib.lines.Line2D"},
    ),
    "plot-without-pyplot": Case(
        ("import pandas as pd\npd.Series([1, 3, 2]).plot()",), outputs={1: "<Axes: >|<Figure size"}
    ),
    "pandas": Case(
        ("import pandas as pd", "pd.DataFrame({'mass': [91.2, 125.1]})"), outputs={2: "mass|<table border"}
    ),
    "await": Case(
        (
            "import asyncio\nasync def later():\n    await asyncio.sleep(0.01)\n    return 7\nawait later()",
            "task = asyncio.ensure_future(later())",
            "print(await task)",
        ),
        outputs={1: "7", 3: "7"},
    ),
    "magics": Case(
        (
            "%pwd\n%who_ls",
            "!echo from the shell",
            "lines = !echo a b\nlines",
            "%%bash\necho from bash",
            "%%capture kept\nprint('hidden')",
            "print(kept.stdout)",
            "%%writefile note.txt\nhello",
            "%run script.py",
            "import os\nos.system('echo past python')",
            "%%timeit -n1 -r1\npass",
            "%%time\nz = 1",
        ),
        outputs={2: "from the shell", 3: "['a b']", 4: "from bash", 6: "hidden", 8: "ran", 9: "past python"},
        loose=True,  # times
    ),
    "displays": Case(
        (
            "from IPython.display import display, HTML, clear_output, Markdown\ndisplay(HTML('<b>x</b>'), 3)",
            "handle = display('old', display_id='d')",
            "handle.update('new')",
            "print('gone')\nclear_output()\nprint('kept')",
            "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out again')",
            "Markdown('# title')",
        ),
        outputs={1: "<b>x</b>|3", 2: "'new'", 4: "kept", 5: "out"},
    ),
    "widgets": Case(
        (
            "import ipywidgets as w\nw.IntSlider(value=3)",
            "@w.interact(x=2)\ndef f(x):\n    print(x * 2)",
        ),
        outputs={1: "IntSlider(value=3)", 2: "4"},
    ),
    "multiprocessing": Case(
        (
            "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as p:\n"
            "    print(p.map(abs, [-1, -2]))",
        ),
        outputs={1: "[1, 2]"},
    ),
    "many-that-share-memory": Case(
        (
            "import multiprocessing as mp, time\nshared = bytearray(150_000_000)",
            "with mp.get_context('fork').Pool(6) as p:\n    p.map(time.sleep, [0.3] * 6)",
        ),
        changes={"memory_bytes": 600_000_000},
    ),
    "threads": Case(
        (
            "from threading import Thread\nt = Thread(target=print, args=('from a thread',))\n"
            "t.start(); t.join()",
        ),
        outputs={1: "from a thread"},
    ),
    "warnings": Case(
        (
            "import warnings, helper\nwarnings.warn('mine', DeprecationWarning)",
            "x = 1\nhelper.old()\nhelper.careless()",
            "helper.old()",
            "def f():\n    helper.old()\n",
            "f()",
            "with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    helper.old()",
        ),
        warned=(
            (1, 2, None, "DeprecationWarning"),
            (2, 8, "helper.py", "DeprecationWarning"),
            (2, 12, "helper.py", "FutureWarning"),
            (2, 13, "helper.py", "RuntimeWarning"),
            (3, 8, "helper.py", "DeprecationWarning"),
            (5, 8, "helper.py", "DeprecationWarning"),
        ),
        outputs={1: "DeprecationWarning: mine"},
    ),
    "warnings-in-a-library": Case(
        (
            "import helper\n\ndef f():\n    helper.old()\n",
            "1\nf()\nhelper.careless()",
            "helper.old()\nhelper.broken()",
        ),
        Verdict.FAILED,
        errors=((3, "KeyError", 2, None, None),),
        warned=(
            (1, 4, None, "DeprecationWarning"),
            (2, 3, None, "FutureWarning"),
            (2, 3, None, "RuntimeWarning"),
            (3, 1, None, "DeprecationWarning"),
        ),
        changes={"own": ()},
    ),
    "numbers": Case(
        (
            "import numpy as np\nmass = {'h': np.float64(125.25)}\n"
            "# coursectl: mass['h'] = 125.1 +- 0.3\nx = 7",
            "# coursectl: x = 7\n# coursectl: absent = 1\n# coursectl: np.pi * 2 = 6.28 +- 1%",
            "x = 9\n1 / 0\n# coursectl: x = 9",
        ),
        Verdict.FAILED,
        numbers={"mass['h']": 125.25, "x": 7.0, "np.pi * 2": 6.283185307179586},
        errors=((3, "ZeroDivisionError", 2, None, None),),
    ),
    "seeds": Case(
        (
            "import random, numpy as np\nprint(random.random(), np.random.rand())",
            "print(hash('coursectl'), {'a', 'b', 'c'})",
        ),
        outputs={1: "0."},
    ),
    "no-network": Case(
        (
            "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)",
            "socket.getaddrinfo('example.org', 80)",
            "s = socket.create_server(('127.0.0.1', 0))\n"
            "c = socket.create_connection(('localhost', s.getsockname()[1]))\nprint('loopback works')",
        ),
        Verdict.FAILED,
        errors=((1, "ConnectionRefusedError", 2, None, None), (2, "gaierror", 1, None, None)),
        outputs={3: "loopback works"},
    ),
    "early-warnings": Case(
        ("# warns when it is imported\nimport pandas, deprecated_here", "import deprecated_here"),
        warned=((1, 2, None, "DeprecationWarning"),),
    ),
    "empty": Case(("", "   \n", "# only a comment")),
    "nested": Case(("get_ipython().run_cell('inner = 5')", "inner\n1 / 0"), Verdict.FAILED, loose=True),
    "shadows": Case(("import sys\nprint(sys.path)", "import token, mine_own\nprint(mine_own.__file__)")),
}
FILES = {
    "helper.py": HELPER,
    "sub/deep.py": "x = 1\ny = = 2\n",
    "slow.py": "import time\ndef down():\n    time.sleep(1000)\n",
    "data.csv": "1,2\n",
    "script.py": "print('ran')\n",
    "token.py": "raise ImportError('a file of the student')\n",
    "mine_own.py": "",
}


UNLIKE = {
    ("100-mb-at-once", 1),  # how much of it was seen
    ("c-loop", 1),  # a kernel sends text from a thread, which C code that keeps the interpreter holds up
    ("displays", 5),  # a kernel puts two streams in an order of its own, a fork in the order of writing
}


@dataclass(frozen=True)
class Outcome:
    executed: Executed
    notebook: dict[str, Any]


Outcomes = Mapping[Mode, Mapping[str, Outcome]]


@pytest.fixture(scope="module")
def outcomes(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Every case in both modes, run once."""
    found = {}
    for mode in Mode:
        root = tmp_path_factory.mktemp(str(mode))
        jobs = []
        for name, case in CASES.items():
            content = running.notebook(*case.cells, tags=case.tags)
            jobs.append(running.job(root, name, content, **case.changes))
            for file, text in FILES.items():
                path = jobs[-1].folder / file
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
        done = running.run(mode, prefix, jobs, parallel=3)
        found[mode] = {
            job.name: Outcome(done[job.name], json.loads(job.executed.read_text(encoding="utf-8")))
            for job in jobs
        }
    return found


def text(notebook: Mapping[str, Any], number: int) -> str:
    """What a cell says, kernels' temporary names left out."""
    parts = []
    for output in notebook["cells"][number - 1]["outputs"]:
        if output["output_type"] == "stream":
            parts.append(output["text"])
        elif output["output_type"] == "error":
            parts.append(f"{output['ename']}: {output['evalue']}")
        else:
            data = sorted(output["data"].items())
            parts += [str(v) for k, v in data if "widget" not in k and "image" not in k]
    said = "\n".join(parts)
    said = re.sub(r"\S*ipykernel_\d+/\d+\.py", "CELL", said)
    return re.sub(r"(?<=/)(shared|isolated)\d+/|0x[0-9a-f]+", "", said)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("name", CASES)
def test_a_notebook_comes_to_what_it_should(outcomes: Outcomes, name: str, mode: Mode) -> None:
    case, outcome = CASES[name], outcomes[mode][name]
    executed = outcome.executed
    assert executed.verdict is case.verdict, executed
    if case.verdict is Verdict.OK:
        assert executed.reason is None
    else:
        assert executed.reason if case.reason is None else executed.reason == case.reason
    errors = [c.error for c in executed.cells if c.error]
    if not case.loose:
        seen = [(e.cell, e.name, e.line, e.file, e.file_line) for e in errors]
        assert len(seen) == len(case.errors), errors
        for one, wanted in zip(seen, case.errors, strict=True):
            assert all(w is ... or w == s for s, w in zip(one, wanted, strict=True)), (one, wanted)
        warned = [(w.cell, w.line, w.file, w.category) for c in executed.cells for w in c.warnings]
        assert warned == list(case.warned)
    assert executed.numbers == dict(case.numbers)
    for number, wanted_text in case.outputs.items():
        for part in wanted_text.split("|"):
            assert part in text(outcome.notebook, number).replace("\r\n", "\n")
    assert executed.peak_bytes
    assert executed.peak_bytes > 20_000_000


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.loose])
def test_both_ways_give_the_same(outcomes: Outcomes, name: str) -> None:
    one, other = (outcomes[mode][name] for mode in Mode)
    assert one.executed.reason == other.executed.reason
    assert len(one.executed.cells) == len(other.executed.cells)
    for left, right in zip(one.executed.cells, other.executed.cells, strict=True):
        assert left.cell == right.cell
        assert left.defined == right.defined
        assert left.warnings == right.warnings
        assert bool(left.error) == bool(right.error)
        if left.error and right.error and left.error.name != "CellTimeout":
            assert left.error.message == right.error.message
            assert left.error.line == right.error.line
    for number in range(1, len(CASES[name].cells) + 1):
        if (name, number) not in UNLIKE:
            assert text(one.notebook, number) == text(other.notebook, number)
        counts = [o.notebook["cells"][number - 1]["execution_count"] for o in (one, other)]
        assert counts[0] == counts[1]


def test_pictures_are_the_same_and_there(outcomes: Outcomes) -> None:
    kinds = []
    for cell in range(3):
        both = [outcomes[m]["plots"].notebook["cells"][cell]["outputs"] for m in Mode]
        data = [[o["data"] for o in outputs if "data" in o] for outputs in both]
        kinds.append({kind for one in data[0] for kind in one if kind.startswith("image/")})
        if cell < 2:  # an SVG has random ids
            assert data[0] == data[1]
    assert kinds == [{"image/png"}, {"image/png"}, {"image/svg+xml"}]


def test_names_are_seen_where_they_are_bound(outcomes: Outcomes) -> None:
    for mode in Mode:
        cells = outcomes[mode]["ok"].executed.cells
        assert [c.defined for c in cells] == [("x",), (), ("C", "f", "p", "y")]
        assert outcomes[mode]["error-midway"].executed.cells[0].defined == ("a",)


def test_executed_notebooks_are_valid_nbformat(outcomes: Outcomes) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat belongs to the extra `staff`")
    for mode in Mode:
        for outcome in outcomes[mode].values():
            nbformat.validate(outcome.notebook, version=4, version_minor=5)
            assert outcome.notebook["metadata"]["kernelspec"]["name"] == "python3"
