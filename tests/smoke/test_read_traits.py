"""What is seen in a notebook before it runs. A wrong "needs a GPU" hides a notebook for good."""

from __future__ import annotations

import pytest

from coursectl.model.notebook import NotebookCell
from coursectl.notebooks_code import modules
from smoke.read_kit import book, seen, seen_in

ASKED = "import torch\nuse = torch.cuda.is_available()\n"


@pytest.mark.parametrize(
    "code",
    [
        'import torch\ndevice = torch.device("cuda")',
        'import torch\nx = torch.zeros(3).to("cuda:0")',
        'import torch\nx = torch.zeros(3, device="cuda")',
        "import torch\nmodel.cuda()",
        "import torch\nprint(torch.cuda.get_device_name(0))",
        'import tensorflow as tf\nwith tf.device("/GPU:0"): pass',
        'import tensorflow as tf\nwith tf.device("/device:GPU:0"): pass',
        "import numpy\nimport cupy as cp",
        'import jax\nd = jax.devices("gpu")[0]',
        'import lightning as L\nL.Trainer(accelerator="gpu", devices=1)',
        'import xgboost\nxgboost.XGBClassifier(tree_method="gpu_hist")',
        "import torch\nassert torch.cuda.is_available()",
        'import torch\nif not torch.cuda.is_available(): raise RuntimeError("no GPU")',
        "USE_GPU = True\nif USE_GPU: model.cuda()",
    ],
)
def test_a_notebook_that_cannot_do_without_a_gpu_is_run_without(code: str) -> None:
    assert ("gpu-required", 1, 2) in seen(code) or seen(code)[0][0] == "gpu-required"


@pytest.mark.parametrize(
    "code",
    [
        ASKED + 'device = torch.device("cuda" if use else "cpu")',
        ASKED + "if use:\n    model.cuda()",
        ASKED + 'device = "cuda" if torch.cuda.is_available() else "cpu"\nmodel.to(device)',
        ASKED + 'device = ["cpu", "cuda"][torch.cuda.is_available()]',
        ASKED + "use and model.cuda()",
        "import torch\ndevice = 'cuda'\nif not torch.cuda.is_available():\n    device = 'cpu'",
        "def pick():\n    if torch.cuda.is_available():\n        return 'cuda'\n    return 'cpu'\n"
        "device = pick()\nif device == 'cuda':\n    x = x.cuda()",
        "try:\n    x = x.cuda()\nexcept RuntimeError:\n    pass",
        "class Net:\n    def go(self, use_gpu=False):\n        if use_gpu:\n            self.net.cuda()",
        'import tensorflow as tf\nif tf.config.list_physical_devices("GPU"):\n    tf.device("/GPU:0")',
        "!nvidia-smi",
    ],
)
def test_a_notebook_that_asks_first_is_skipped(code: str) -> None:
    assert {kind for kind, _, _ in seen(code)} == {"gpu-optional"}


@pytest.mark.parametrize(
    "code",
    [
        "USE_CUDA = False\nif USE_CUDA:\n    model.cuda()",
        "torch.cuda.manual_seed(1)",
        "print('buy a GPU:0 today')",
        "# model.cuda()",
    ],
)
def test_a_word_about_gpus_counts_as_one(code: str) -> None:
    assert not [kind for kind, _, _ in seen(code) if kind == "gpu-required"]


def test_what_only_the_metadata_say_stops_a_notebook() -> None:
    for metadata in ({"accelerator": "GPU"}, {"colab": {"gpuType": "T4"}}):
        found = seen_in(book("x = 1", metadata=metadata))
        assert [(t.kind, t.cell, t.line) for t in found] == [("gpu-metadata", 0, 0)]
    assert not seen_in(book("x = 1", metadata={"accelerator": "None", "colab": {"provenance": []}}))


@pytest.mark.parametrize(
    "code",
    [
        "import requests\nr = requests.get(url)",
        "import requests\ns = requests.Session()",
        "from urllib.request import urlretrieve\nurlretrieve(a, b)",
        "import urllib.request\nurllib.request.urlopen(a)",
        "from sklearn.datasets import fetch_openml\nX = fetch_openml('mnist_784')",
        "from sklearn import datasets\ndatasets.fetch_california_housing()",
        "from torchvision import datasets\ndatasets.MNIST('.', download=True)",
        "from tensorflow import keras\n(a, b), c = keras.datasets.mnist.load_data()",
        "from tensorflow.keras.datasets import mnist\nmnist.load_data()",
        "import tensorflow as tf\nmnist = tf.keras.datasets.mnist; mnist.load_data()",
        "import pooch\npooch.retrieve(url=u, known_hash=None)",
        "import gdown\ngdown.download(u)",
        "import seaborn as sns\ntips = sns.load_dataset('tips')",
        "import pandas as pd\npd.read_csv('https://example.org/a.csv')",
        "BASE = 'https://example.org'; import pandas as pd\npd.read_csv(f'{BASE}/a.csv')",
        "BASE = 'https://example.org/'; import numpy as np\nnp.loadtxt(BASE + 'a.txt')",
        "\n!wget https://example.org/a.csv",
        "\n!cd data && curl -O https://example.org/a.csv",
        "%%bash\ngit clone https://example.org/a",
        "import os\nos.system('wget https://example.org/a')",
        "from transformers import AutoModel\nAutoModel.from_pretrained('bert-base-uncased')",
        "from astroquery.gaia import Gaia\nGaia.launch_job('x')",
        "from gwpy.timeseries import TimeSeries\nTimeSeries.fetch_open_data('H1', 0, 1)",
        "import os, wget\nif not os.path.exists('a.csv'): wget.download(url)",
    ],
)
def test_a_notebook_that_fetches_hangs_on_a_machine_without_network(code: str) -> None:
    assert seen(code) == [("network", 1, 2)]


@pytest.mark.parametrize(
    "code",
    [
        "import requests",
        "import pandas as pd\npd.read_csv('data/a.csv')",
        "link = 'https://example.org'\nprint(link)",
        "from IPython.display import IFrame, HTML\nIFrame('https://example.org', 1, 1)",
        "try:\n    requests.get(u)\nexcept Exception:\n    pass",
        "if False:\n    requests.get(u)",
        "DOWNLOAD = False\nif DOWNLOAD:\n    requests.get(u)",
        "if not os.path.exists('/there.csv'):\n    wget.download(url)",
        "from pathlib import Path\nfile = Path('/there.csv')\nif not file.exists():\n    wget.download(url)",
        "%%writefile fetch.sh\nwget https://example.org",
        "from torchvision import datasets\ndatasets.MNIST('.', download=False)",
        "table.get('x'); opener.load('file')",
        "def get(u): return 1\nget('https://example.org')",
        "from sklearn.datasets import load_iris\nload_iris()",
    ],
)
def test_a_notebook_that_fetches_nothing_is_skipped(code: str) -> None:
    assert seen(code, there=["/there.csv"]) == []


def test_an_error_that_is_raised_again_counts_as_caught() -> None:
    code = (
        "import requests\ntry:\n    requests.get(u)\nexcept OSError as exc:\n    raise RuntimeError from exc"
    )
    assert seen(code) == [("network", 1, 3)]


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    from google.colab import drive\n    drive.mount('/content')\nexcept ImportError: pass",
        "import sys\nif 'google.colab' in sys.modules:\n    from google.colab import drive\n    !pip install",
        "IN_COLAB = 'google.colab' in sys.modules\nif IN_COLAB:\n    import google.colab\n    !wget https://e.org/x",
        "try:\n    import google.colab\n    IN_COLAB = True\nexcept ImportError:\n    IN_COLAB = False\n"
        "if IN_COLAB:\n    !pip install emcee",
        "import sys\nif 'google.colab' not in sys.modules:\n    pass\nelse:\n    !pip install emcee",
        "import os\nif os.getenv('COLAB_RELEASE_TAG'):\n    %pip install x",
        "if importlib.util.find_spec('google.colab') is not None:\n    !pip install x",
    ],
)
def test_a_guarded_step_for_colab_stops_the_notebook(code: str) -> None:
    assert seen(code) == []


def test_colab_alone_is_tried_elsewhere() -> None:
    assert seen("from google.colab import drive\ndrive.mount('/content/drive')\n") == [
        ("colab", 1, 1),
        ("colab", 1, 2),
    ]
    assert seen("import sys\nif 'google.colab' not in sys.modules:\n    !pip install x") == [
        ("install", 1, 3)
    ]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("x = open('/home/jdoe/a.csv')", [("cluster-path", 1, 1)]),
        ("p = f'/scratch/{user}/a.h5'", [("cluster-path", 1, 1)]),
        (r"p = r'C:\Users\me\a.csv'", [("cluster-path", 1, 1)]),
        ("p = '/eos/home-x/a.root'", [("cluster-path", 1, 1)]),
        ("p = '/scratch/there.csv'", []),
        ("import os\nif os.path.exists('/scratch/there.csv'):\n    p = '/scratch/no.csv'", []),
        ("print('/home/jdoe is full')", []),
        ("p = '/home.csv'; q = 'see /home/x'", []),
        ("import sys\nsys.path.append('/home/jdoe/lib')", []),
        ("# /home/jdoe\n'''/home/jdoe'''", []),
        ("if host.startswith('/home/x') or d == '/afs/x': pass", []),
    ],
)
def test_a_path_of_another_computer_is_a_missing_file(code: str, found: list[tuple[str, int, int]]) -> None:
    assert seen(code, there=["/scratch/there.csv"]) == found


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("def f(x):\n    '''Text.'''\n    raise NotImplementedError", 3),
        ("# YOUR CODE HERE\nraise NotImplementedError()", 1),
        ("x = ...", 1),
        ("a, b = ..., ...", 1),
        ("def f(x):\n    ...", 2),
        ("def f(x):\n    # YOUR CODE HERE\n    return result", 2),
        ("### ADD YOUR CODE HERE ###\n\nassert f(2) == 4", 1),
        ("x = None  # your code", 1),
        ("mean = ____", 1),
        ("# Write your code here\n# and plot it", 1),
    ],
)
def test_a_students_blank_is_a_failure(code: str, line: int) -> None:
    assert ("blank", 1, line) in seen(code)


@pytest.mark.parametrize(
    "code",
    [
        "x = a[..., 0]",
        "# YOUR CODE HERE\nx = 1 + 1",
        "### BEGIN SOLUTION\nx = 1\n### END SOLUTION",
        "from abc import ABC\nclass A(ABC):\n    def f(self):\n        raise NotImplementedError",
        "class A:\n    def f(self):\n        raise NotImplementedError\nclass B(A):\n    f = print",
        "from typing import Protocol\nclass P(Protocol):\n    def f(self) -> int: ...",
        "def f(d):\n    if d == 2:\n        return 1\n    else:\n        raise NotImplementedError('2d')",
        "for _ in range(3): __ = 1",
        "try:\n    f()\nexcept NotImplementedError:\n    pass",
    ],
)
def test_a_solved_exercise_is_skipped(code: str) -> None:
    assert seen(code) == []


def test_a_class_that_another_cell_completes_is_a_blank() -> None:
    first = "class Base:\n    def f(self):\n        raise NotImplementedError"
    assert seen(first, "class Mine(Base):\n    def f(self): return 1") == []
    assert seen(first, "x = 1") == [("blank", 1, 3)]


def test_an_empty_nbgrader_solution_is_run() -> None:
    metadata = {"nbgrader": {"solution": True, "grade": False}}
    empty = NotebookCell(number=1, kind="code", source="# think", metadata=metadata)
    solved = NotebookCell(number=2, kind="code", source="x = 1", metadata=metadata)
    assert [(t.kind, t.cell) for t in seen_in(book(empty, solved))] == [("blank", 1)]


def test_an_install_is_missed_or_one_for_others_counts() -> None:
    assert seen("%pip install emcee", "import os\nos.system('pip install x')", "%%bash\npip install y") == [
        ("install", 1, 1),
        ("install", 2, 2),
        ("install", 3, 2),
    ]
    assert seen("try:\n    import emcee\nexcept ImportError:\n    !pip install emcee\n    import emcee") == []
    assert seen("# !pip install emcee") == []


def test_a_question_to_a_person_waits_for_ever() -> None:
    code = "import getpass, pdb\nname = input('name?')\ngetpass.getpass()\npdb.set_trace()\n%debug"
    assert [line for kind, _, line in seen(code) if kind == "input"] == [2, 3, 4, 5]
    assert seen("def input(x): return 1\ninput('x')") == []
    assert seen("try:\n    n = input()\nexcept EOFError:\n    n = 3") == []


def test_a_cell_that_is_only_shown_counts() -> None:
    shown = NotebookCell(number=1, kind="code", source="x = input()", tags=("skip-execution",))
    text = NotebookCell(number=2, kind="markdown", source="x = input()")
    assert seen_in(book(shown, text)) == ()


def test_code_that_is_no_python_hides_the_rest() -> None:
    assert seen("print 'python 2'\n!pip install x\nimport google.colab", "import os\nbreakpoint()") == [
        ("install", 1, 2),
        ("colab", 1, 3),
        ("input", 2, 2),
    ]


def test_imports_for_type_checkers_count() -> None:
    assert modules("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch") == (
        ("typing", 1),
    )
