"""Opening a server in the person's browser without telling the token to other users of the machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from coursectl import files, process
from coursectl.backends import jupyter_state
from coursectl.errors import CourseError, Hint
from coursectl.model.launch import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Whether a browser was asked to show the server; if not, why, and how a person logs in."""

    opened: bool
    reason: str = ""
    hints: tuple[Hint, ...] = ()


def no_browser_reason() -> str | None:
    """Why no browser can be shown here, ``None`` where one can.

    A browser that runs in the terminal (lynx) is not wanted: it would block, and JupyterLab needs more.
    """
    if os.environ.get("SSH_CONNECTION") and not os.environ.get("BROWSER"):
        return "this is a remote terminal (ssh)"
    if not sys.platform.startswith("linux") or os.environ.get("BROWSER"):
        return None
    if not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("WSL_DISTRO_NAME")
    ):
        return "there is no display"
    return None


def open_page(server: Server, *, wanted: bool = True) -> Opening:
    """Show the server in the browser by way of a private page (0600), so that the token is in no argument
    list. With ``wanted=False``, or without a display, nothing is opened and the hints say how to log in.
    """
    reason = "it was not wanted" if not wanted else no_browser_reason()
    if reason is None:
        import webbrowser

        try:
            if webbrowser.open(_page(server).as_uri()):
                return Opening(opened=True)
            reason = "no browser was found"
        except (webbrowser.Error, OSError) as exc:
            reason = f"the browser could not be started: {exc}"
    return Opening(opened=False, reason=reason, hints=login_hints(server))


def _page(server: Server) -> Path:
    """The login page where the default browser may read it.

    Ubuntu's Firefox is a snap, which sees no hidden folder of the home, such as ``~/.local``; a copy in the
    browser's own folder is as private. Source: snapd's ``home`` interface.
    """
    page = Path(server.open_file)
    snaps = Path.home() / "snap"
    if not sys.platform.startswith("linux") or not snaps.is_dir():
        return page
    try:
        asked = process.run(("xdg-settings", "get", "default-web-browser"), timeout=3)
    except CourseError:
        return page
    name = asked.stdout.strip().partition("_")  # firefox_firefox.desktop is a snap's, firefox.desktop is not
    own = snaps / name[0] / "common"
    if not name[1] or not own.is_dir():
        return page
    copy = own / jupyter_state.snap_page(server.key)
    files.write_atomic(copy, page.read_bytes(), mode=0o600)
    return copy


def login_hints(server: Server) -> tuple[Hint, ...]:
    """How a person logs in by hand; the token itself is named by its file, never printed."""
    token = jupyter_state.folder(server.key) / jupyter_state.TOKEN
    read = f'type "{token}"' if sys.platform == "win32" else f"cat '{token}'"
    hints = [
        Hint(text=f"open {server.url} in a browser"),
        Hint(text="it asks for a token; this prints it:", command=read),
    ]
    if os.environ.get("SSH_CONNECTION"):
        there = f"{os.environ.get('USER', 'you')}@{os.environ['SSH_CONNECTION'].split()[2]}"
        tunnel = f"ssh -N -L {server.port}:127.0.0.1:{server.port} {there}"
        hints.insert(0, Hint(text="first, on your own computer:", command=tunnel))
    return tuple(hints)
