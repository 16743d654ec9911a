"""Where uv is started: its variables, a leash, and its failures in our words.

uv is a dependency of coursectl and is called as a program (its command line and its texts are what its
documentation promises: docs.astral.sh/uv/reference). Nothing of a project in the working directory counts:
every call runs in a folder of its own with a ``pyproject.toml`` that ends uv's search for one.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from coursectl import process
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import Doing, translate
from coursectl.errors import CourseError, Hint

MIRROR = "pypi"
"""The key of `Network.mirrors` for the package index: ``{"pypi": ("https://pypi.example.edu/simple",)}``."""

QUICK, LONG = 600.0, 4 * 3600.0  # seconds: a solve; an install over a bad line

# What of the person's own UV_ variables still counts: how packages are *reached*. The others (UV_RESOLUTION,
# UV_EXCLUDE_NEWER, UV_NO_BINARY, UV_SYSTEM_PYTHON ...) change *what* is chosen, and the lock decides that.
_KEPT = (
    "UV_CONCURRENT_",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_",
    "UV_INDEX",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_LINK_MODE",
    "UV_LOCK_TIMEOUT",
    "UV_NATIVE_TLS",
    "UV_PYTHON_CPYTHON_BUILD",
    "UV_PYTHON_DOWNLOADS",
    "UV_PYTHON_INSTALL_",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
)
_DROPPED = ("CONDA_", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "FORCE_COLOR", "CLICOLOR_FORCE")


def program() -> Path:
    """The uv that was installed with coursectl.

    Raises:
        CourseError: it is not there (code ``no-program``).
    """
    import uv

    try:
        return Path(uv.find_uv_bin())
    except FileNotFoundError as exc:
        raise CourseError(
            "there is no program uv",
            cause="it is a dependency of coursectl, but its file is gone",
            hints=(Hint(text="bring it back:", command="pip install --force-reinstall uv"),),
            code="no-program",
        ) from exc


def variables(network: Network, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of uv, made from ours; pure.

    Certificates come from the system's store, where a campus puts its own authority; ``SSL_CERT_FILE`` still
    wins. pip's index is taken over where uv's is not set: many a campus documents only that.

    >>> made = variables(Network(cache=Path("/c")), {"UV_RESOLUTION": "lowest", "PIP_INDEX_URL": "https://m/s"})
    >>> made["UV_DEFAULT_INDEX"], "UV_RESOLUTION" in made, made["UV_SYSTEM_CERTS"]
    ('https://m/s', False, 'true')
    """
    made = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_DROPPED) and (not name.startswith("UV_") or name.startswith(_KEPT))
    }
    made["UV_CACHE_DIR"] = str(cache_folder(network))
    made["NO_COLOR"] = "1"
    made["UV_NO_PROGRESS"] = "1"
    made.setdefault("UV_NATIVE_TLS", "true")  # its name before uv 0.10
    made.setdefault("UV_SYSTEM_CERTS", made["UV_NATIVE_TLS"])
    if mirrors := network.mirrors.get(MIRROR):
        made["UV_DEFAULT_INDEX"] = mirrors[0]
        made.pop("UV_INDEX_URL", None)
    elif "PIP_INDEX_URL" in made and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & set(made):
        made["UV_DEFAULT_INDEX"] = made["PIP_INDEX_URL"]
    return made


def cache_folder(network: Network) -> Path:
    """uv's part of coursectl's cache. It has to lie on the disk of the environments to be linked from."""
    return network.cache / "uv"


@contextlib.contextmanager
def workplace(**settings: Sequence[str]) -> Iterator[Path]:
    """A folder to run uv in, with `settings` as its ``[tool.uv]`` table; gone afterwards.

    A person's own ``uv.toml`` still counts: it is where a mirror is often named.
    """
    lines = ["[tool.uv]", *(f"{name} = {json.dumps(list(value))}" for name, value in settings.items())]
    with tempfile.TemporaryDirectory(prefix="coursectl-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield folder


def run(
    arguments: Sequence[str | Path],
    *,
    network: Network,
    doing: Doing,
    folder: Path,
    timeout: float = QUICK,
    leash: bool = False,
    on_line: Callable[[str], None] | None = None,
    extra: Mapping[str, str] | None = None,
) -> process.Completed:
    """Run uv to its end.

    Args:
        arguments: uv's own, subcommand first; ``--offline`` is added where the network says so.
        doing: what fails, in the reader's words, if it fails.
        folder: the working directory: see `workplace`.
        leash: end uv when *we* are killed, so that nobody goes on writing into a folder that is collected.
        on_line: called with each line of standard error, from a thread.
        extra: variables on top.

    Raises:
        CourseError: the kind follows the remedy; see `uv_errors.translate`.
    """
    words: list[str | Path] = [program(), *arguments]
    if network.offline:
        words.append("--offline")
    if leash:
        words = [sys.executable, "-P", "-m", "coursectl.engines.uv_leash", *words]
    ended = process.run(
        words,
        timeout=timeout,
        cwd=folder,
        env=variables(network, os.environ) | dict(extra or {}),
        on_stderr=on_line,
        keep_stdin_open=leash,
        secrets=tuple(_passwords(os.environ, network)),
    )
    if not ended.ok:
        raise translate(ended, doing)
    return ended


def _passwords(environ: Mapping[str, str], network: Network) -> Iterator[str]:
    """Passwords in index addresses, and those that uv takes from variables: no message may repeat them."""
    from urllib.parse import urlsplit

    addresses = [
        v for n, v in environ.items() if n.startswith(("UV_INDEX", "UV_DEFAULT", "UV_EXTRA", "PIP_"))
    ]
    for address in (*addresses, *network.mirrors.get(MIRROR, ())):
        for word in address.split():
            with contextlib.suppress(ValueError):
                yield urlsplit(word).password or ""
    yield from (v for n, v in environ.items() if n.startswith("UV_INDEX_") and n.endswith("_PASSWORD"))
