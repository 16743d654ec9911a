"""Which calls reach the network, a GPU or a person: tables of full names, as the libraries document them."""

from __future__ import annotations

import ast
import re

from coursectl.notebooks_flow import Names

NETWORK = re.compile(
    r"requests\.(get|post|put|patch|head|request|Session|session)"
    r"|urllib2?\.(request\.)?(urlopen|urlretrieve|URLopener)|urllib3\.(PoolManager|request)"
    r"|httpx\.(get|post|stream|request|Client|AsyncClient)|aiohttp\.ClientSession"
    r"|ftplib\.FTP(_TLS)?|paramiko\.SSHClient|socket\.create_connection"
    r"|wget\.download|gdown\.\w+|pooch\.(retrieve|create)|kagglehub\.\w+|kaggle\.api\..+"
    r"|sklearn\.datasets\.(\w+\.)?fetch_\w+|seaborn\.(load_dataset|get_dataset_names)"
    r"|statsmodels\..*get_rdataset|scipy\.datasets\.(face|ascent|electrocardiogram|download_all)"
    r"|(tensorflow\.|tf_)?keras\.(datasets\.(\w+\.)*load_data|utils\.get_file)"
    r"|tensorflow_datasets\.load|tensorflow_hub\.(load|KerasLayer)|deeplake\.\w+"
    r"|torch\.hub\.(load|load_state_dict_from_url|download_url_to_file)"
    r"|torchvision\.datasets\.utils\.download\w*|datasets\.load_dataset|huggingface_hub\.\w+"
    r"|nltk\.download|spacy\.cli\.download|openml\..*get_\w+|wandb\.(init|login)|yfinance\.\w+"
    r"|astroquery\..+|pyvo\..+|gwosc\..+|astropy\.utils\.data\.download_files?\w*|lightkurve\.search_\w+"
    r"|.*\.(fetch_open_data|SkyCoord\.from_name|EarthLocation\.(of_site|of_address))"
)
"""Functions that ask another computer, whatever their arguments."""
_READER = re.compile(r"(read|load|open|imread|genfromtxt|fetch|download|retrieve|urlopen|get)")
_ADDRESS = re.compile(r"(https?|ftp|s3|gs|root)://")
NETWORK_PROGRAM = re.compile(
    r"(?:^|[;&|(]\s*|\bsudo\s+)(?:wget|curl|gdown|git\s+clone|kaggle\s+\w+|gsutil|aws\s+s3|rsync|scp|sftp|xrdcp)\b"
)
"""Programs that fetch something, where a command begins."""

_GPU_TEXT = re.compile(r"cuda(:\d+)?|(/?(job:\w+/)?(device:)?)?GPU:\d+|/gpu:\d+|gpu_hist", re.IGNORECASE)
_GPU_CALL = re.compile(
    r"torch\.cuda\.(get_device_\w+|current_device|set_device|synchronize|Stream|Event|mem_get_info|\w+Tensor)"
    r"|jax\.devices|numba\.cuda\.\w+|pycuda\..+"
)
GPU_MODULES = frozenset({"cupy", "cudf", "cuml", "cugraph", "pycuda"})
"""Modules that are of no use without a GPU."""

PERSON = frozenset(
    {
        *("input", "raw_input", "breakpoint", "getpass.getpass", "pdb.set_trace", "ipdb.set_trace"),
        *("IPython.core.debugger.set_trace", "code.interact", "matplotlib.pyplot.ginput"),
        *("matplotlib.pyplot.waitforbuttonpress", "pylab.ginput"),
    }
)
"""Functions that wait for a person."""


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((k.value for k in node.keywords if k.arg == name), None)


def is_true(node: ast.expr | None) -> bool:
    """Whether an argument is written as ``True``."""
    return isinstance(node, ast.Constant) and node.value is True


def asks_network(node: ast.Call, names: Names) -> bool:
    """Whether a call reaches another computer.

    >>> call = ast.parse("pd.read_csv('https://example.org/x.csv')", mode="eval").body
    >>> asks_network(call, Names(modules={"pd": "pandas"}))
    True
    """
    full = names.full(node.func)
    if full.split(".")[0] in names.defined and full.split(".")[0] not in names.modules.values():
        return False  # a function of the notebook's own that is called alike
    if NETWORK.fullmatch(full) or is_true(keyword(node, "download")):
        return True
    last = full.rpartition(".")[2]
    if last == "from_pretrained" or re.match(r"(tensorflow\.)?keras\.applications\.(\w+\.)*[A-Z]\w+$", full):
        weights = keyword(node, "weights")
        return not (isinstance(weights, ast.Constant) and weights.value is None) and not is_true(
            keyword(node, "local_files_only")
        )
    if full.startswith("torchvision.models."):
        weights = keyword(node, "weights")
        named = weights is not None and not (isinstance(weights, ast.Constant) and weights.value is None)
        return named or is_true(keyword(node, "pretrained"))
    if not _READER.match(last):
        return False
    places = [*node.args[:2], *(k.value for k in node.keywords)]
    return any(_ADDRESS.match(names.text(place) or "") for place in places)


def uses_gpu(node: ast.AST, names: Names) -> bool:
    """Whether an expression itself is of no use without a GPU: ``x.cuda()``, ``"cuda:0"``.

    >>> [uses_gpu(ast.parse(t, mode="eval").body, Names()) for t in ("x.cuda()", "'cuda:1'", "torch.cuda")]
    [True, True, False]
    """
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and _GPU_TEXT.fullmatch(node.value) is not None
    if isinstance(node, ast.Attribute):  # a type of tensor is named, not called
        return re.fullmatch(r"torch\.cuda\.\w+Tensor", names.full(node)) is not None
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
        return True
    full = names.full(node.func)
    if full == "jax.devices":
        return bool(node.args) and names.text(node.args[0]) in ("gpu", "cuda")
    accelerator, count = keyword(node, "accelerator"), keyword(node, "gpus")
    if accelerator is not None and names.text(accelerator) in ("gpu", "cuda"):
        return True
    if isinstance(count, ast.Constant) and count.value not in (None, 0, False):
        return True
    return _GPU_CALL.fullmatch(full) is not None
