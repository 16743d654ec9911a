"""The environment variables, arguments and settings with which a prefix's JupyterLab runs, and nothing else.

What a student has set up at home must not reach into the course: a user kernel called ``python3``, a
``~/.jupyter`` with another address or no password, ``PYTHONPATH``, another conda environment. What is the
student's own taste stays: the theme, the font size, the shortcuts (JupyterLab's user settings).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from coursectl import files, paths
from coursectl.backends import jupyter_state

_STRANGERS = ("CONDA_", "_CE_", "MAMBA_", "JUPYTER", "JPY_")
_STRANGE = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "PYTHONSAFEPATH"}
    | {"PYTHONPLATLIBDIR", "PYTHONUSERBASE", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "__PYVENV_LAUNCHER__"}
)

_LEASH = '''"""By coursectl, for every start: end this server when the process that watches it is gone."""
import os, signal, sys, threading, time

os.chdir(@ROOT@)  # now that modules are looked for elsewhere: kernels and terminals begin here

_keeper = int(os.environ.get("COURSECTL_KEEPER", "0"))
if _keeper and os.name == "posix" and "_coursectl_leash" not in sys.modules:
    sys.modules["_coursectl_leash"] = sys  # Jupyter may read this file twice
    if sys.platform.startswith("linux"):
        try:
            import ctypes
            ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        except (OSError, AttributeError, ImportError):
            pass
    if os.getppid() != _keeper:  # it went before we could ask to be told
        os._exit(1)
    if not sys.platform.startswith("linux"):
        def _watch():
            while os.getppid() == _keeper:
                time.sleep(1.0)
            os.kill(os.getpid(), signal.SIGTERM)
        threading.Thread(target=_watch, daemon=True).start()
'''


_LAB = """# By coursectl, for every start.
from jupyterlab.labapp import LabApp

_wanted = {
    "news_url": None,
    "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    # an extension installed from the browser would change the environment behind the lockfile
    "extension_manager": "readonly",
}
for _name in set(_wanted).intersection(LabApp.class_trait_names()):  # JupyterLab 3 ends on a strange name
    setattr(c.LabApp, _name, _wanted[_name])
"""


def python(prefix: Path) -> Path:
    """The prefix's interpreter: conda and venv differ on Windows."""
    if sys.platform != "win32":
        return prefix / "bin" / "python"
    if (prefix / "conda-meta").is_dir():
        return prefix / "python.exe"
    return prefix / "Scripts" / "python.exe"


def search_path(prefix: Path) -> tuple[Path, ...]:
    """The folders that activation puts before ``PATH``, in conda's order."""
    if sys.platform != "win32":
        return (prefix / "bin",)
    if not (prefix / "conda-meta").is_dir():
        return (prefix / "Scripts",)
    below = ("Library/mingw-w64/bin", "Library/usr/bin", "Library/bin", "Scripts", "bin")
    return (prefix, *(prefix / part for part in below))


def activated(prefix: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base` (our own environment by default) as it is inside `prefix`, without traces of any other.

    A conda prefix's declared variables (``etc/conda/env_vars.d/*.json``, ``conda-meta/state``) are set;
    its activation *scripts* are not run, because that needs a shell.
    """
    given = os.environ if base is None else base
    env = {k: v for k, v in given.items() if k.upper() not in _STRANGE and not k.startswith(_STRANGERS)}
    before = os.pathsep.join(str(part) for part in search_path(prefix))
    env["PATH"] = before + os.pathsep + given.get("PATH", os.defpath)
    env["PYTHONNOUSERSITE"] = "1"
    if (prefix / "conda-meta").is_dir():
        env |= {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": prefix.name, "CONDA_SHLVL": "1"}
        env |= _declared(prefix)
    else:
        env["VIRTUAL_ENV"] = str(prefix)
    return env


def _declared(prefix: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    sources = [*sorted((prefix / "etc/conda/env_vars.d").glob("*.json")), prefix / "conda-meta/state"]
    for source in sources:
        try:
            content = json.loads(source.read_bytes())
        except (OSError, ValueError):
            continue  # absent in most prefixes; a damaged one is for `verify` to name
        values = content.get("env_vars", {}) if source.name == "state" else content
        found |= {str(k): str(v) for k, v in values.items() if v != "***unset***"}
    return found


def server_environment(prefix: Path, home: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the server whose private folder is `home`. It holds no secret.

    Jupyter's configuration, data and runtime folders are ours. The data folder is shared by all our
    servers and lasts, because it holds the signatures of the notebooks that the student trusts.
    """
    given = os.environ if base is None else base
    env = activated(prefix, given)
    taste = given.get("JUPYTERLAB_SETTINGS_DIR") or _user_config(given) / "lab" / "user-settings"
    env |= {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_CONFIG_PATH": str(home / "config"),  # before the prefix's and the system's
        "JUPYTER_DATA_DIR": str(paths.home() / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_TOKEN_FILE": str(home / jupyter_state.TOKEN),
        "JUPYTERLAB_SETTINGS_DIR": str(taste),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),  # the open tabs of this course only
    }
    return env


def _user_config(given: Mapping[str, str]) -> Path:
    chosen = given.get("JUPYTER_CONFIG_DIR")
    return Path(chosen) if chosen else Path.home() / ".jupyter"


def write_settings(home: Path, course_root: Path) -> None:
    """Write the server's configuration: no news, no update check, short patience with kernels at the end,
    the course folder as working directory.

    Sources: jupyterlab's ``LabApp`` traits and the schema of ``@jupyterlab/apputils-extension``.

    Raises:
        CourseError: the folder cannot be written.
    """
    config = home / "config"
    server = {
        "KernelManager": {"shutdown_wait_time": 2.0},
        "MultiKernelManager": {"default_kernel_name": "python3"},
    }
    overrides = {
        "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}
    }
    for name, content in (
        ("jupyter_server_config.json", server),
        ("labconfig/default_setting_overrides.json", overrides),
    ):
        files.write_atomic(config / name, json.dumps(content, indent=1), mode=0o600)
    files.write_atomic(config / "jupyter_lab_config.py", _LAB, mode=0o600)
    leash = _LEASH.replace("@ROOT@", ascii(str(course_root)))
    files.write_atomic(config / "jupyter_server_config.py", leash, mode=0o600)


def server_argv(prefix: Path, course_root: Path, port: int) -> tuple[str, ...]:
    """The command line of the server: everything that no configuration file may change, and no secret."""
    argv = [
        str(python(prefix)),
        *("-m", "jupyterlab", "--no-browser"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={course_root}",
        "--ServerApp.base_url=/",
        "--ServerApp.allow_remote_access=False",
        "--ServerApp.terminals_enabled=True",
    ]
    if sys.platform != "win32" and os.geteuid() == 0:
        argv.append("--ServerApp.allow_root=True")
    return tuple(argv)
