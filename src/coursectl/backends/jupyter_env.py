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

from coursectl import activation, files, paths
from coursectl.backends import jupyter_state

_OTHER_JUPYTERS = ("JUPYTER", "JPY_")

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


def server_environment(prefix: Path, home: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the server whose private folder is `home`. It holds no secret.

    Jupyter's configuration, data and runtime folders are ours. The data folder is shared by all our
    servers and lasts, because it holds the signatures of the notebooks that the student trusts.
    """
    given = os.environ if base is None else base
    env = activation.activated(given, prefix)
    env = {k: v for k, v in env.items() if not k.startswith(_OTHER_JUPYTERS)}
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
    wanted = {
        config / "jupyter_server_config.json": json.dumps(server),
        config / "jupyter_server_config.py": _LEASH.replace("@ROOT@", ascii(str(course_root))),
        config / "jupyter_lab_config.py": _LAB,
        config / "labconfig" / "default_setting_overrides.json": json.dumps(overrides),
    }
    for path in config.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()  # an older version's
    for path, content in wanted.items():
        # a write waits for the disk, and the student for us: leave what is right already
        if not path.is_file() or path.read_text() != content:
            files.write_atomic(path, content, mode=0o600)


def server_argv(prefix: Path, course_root: Path, port: int) -> tuple[str, ...]:
    """The command line of the server: everything that no configuration file may change, and no secret."""
    argv = [
        str(activation.python_of(prefix)),
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
