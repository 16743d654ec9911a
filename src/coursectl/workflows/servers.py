"""What runs: said, stopped, opened, read. Nothing here starts a server (`up` does)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coursectl.backends import jupyter_state
from coursectl.errors import Hint, ServerError, UsageError

if TYPE_CHECKING:
    from coursectl.model.launch import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which servers are meant; ``None`` means any."""

    course_root: str | None = None
    semester: str | None = None
    environment: str | None = None

    def has(self, server: Server) -> bool:
        """Whether `server` is one of them."""
        wanted = (
            (self.course_root, server.course_root),
            (self.semester, server.semester),
            (self.environment, server.environment),
        )
        return all(want is None or want == is_ for want, is_ in wanted)


ANY = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """What runs now, with the seconds that each server has run; `next_step` is the command to type next."""

    servers: tuple[Server, ...]
    seconds: tuple[int, ...]
    next_step: Hint


@dataclass(frozen=True, slots=True, kw_only=True)
class DownReport:
    """The servers that were ended; none where none ran."""

    stopped: tuple[Server, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReport:
    """Whether the browser shows the server; if not, `reason` and how to log in by hand."""

    server: Server
    opened: bool
    reason: str
    hints: tuple[Hint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """The end of a server's log. `running`: the server is up; else this is the run that began last."""

    path: str
    running: bool
    lines: tuple[str, ...]


def status(selection: Selection = ANY) -> StatusReport:
    """The servers of this user that run.

    Raises:
        ServerError: a newer coursectl started one (code ``newer-state``).
    """
    servers = tuple(server for server in jupyter_state.load_all() if selection.has(server))
    now = time.time()
    step = Hint(text="stop it:", command="coursectl down")
    if not servers:
        step = Hint(text="nothing is running; start it:", command="coursectl up")
    elif len(servers) > 1:
        step = Hint(text="stop them all:", command="coursectl down --all")
    return StatusReport(
        servers=servers,
        seconds=tuple(max(0, round(now - server.started)) for server in servers),
        next_step=step,
    )


def down(selection: Selection = ANY) -> DownReport:
    """End the servers meant, with their kernels; what runs elsewhere stays.

    Raises:
        ServerError: one could not be ended, or a newer coursectl started it.
    """
    from coursectl.backends import jupyter

    found = [server for server in jupyter_state.load_all() if selection.has(server)]
    return DownReport(stopped=tuple(server for server in found if jupyter.stop(server)))


def open_server(selection: Selection = ANY, *, browser: bool = True) -> OpenReport:
    """Show the server meant in the browser.

    Raises:
        ServerError: none runs (code ``not-running``).
        UsageError: several run and `selection` does not tell which is meant.
    """
    from coursectl.backends import jupyter_browser

    server = one(selection)
    opening = jupyter_browser.open_page(server, wanted=browser)
    return OpenReport(server=server, opened=opening.opened, reason=opening.reason, hints=opening.hints)


def one(selection: Selection) -> Server:
    """The one server meant.

    Raises:
        ServerError: none runs (code ``not-running``).
        UsageError: several run.
    """
    found = [server for server in jupyter_state.load_all() if selection.has(server)]
    if not found:
        raise ServerError(
            "no JupyterLab is running here",
            hints=(Hint(text="start it:", command="coursectl up"),),
            code="not-running",
        )
    if len(found) > 1:
        raise UsageError(
            "several JupyterLabs are running: "
            + ", ".join(f"{s.semester} {s.environment} in {s.course_root}" for s in found),
            hints=(
                Hint(text="name the semester, or the course's folder with -C; they are listed by:"),
                Hint(command="coursectl status"),
            ),
        )
    return found[0]


def logs(selection: Selection = ANY, *, lines: int = 50) -> LogReport:
    """The last `lines` lines of the log of the server meant, or of the one that was started last.

    Raises:
        ServerError: there never was such a server (code ``not-running``).
        UsageError: several run and `selection` does not tell which is meant.
    """
    from coursectl.backends import jupyter

    running = any(selection.has(server) for server in jupyter_state.load_all())
    if running:
        server = one(selection)
    else:
        ended = next((s for s in jupyter_state.remembered() if selection.has(s)), None)
        if ended is None:
            raise ServerError(
                "there is no log: JupyterLab has not run here",
                hints=(Hint(text="start it:", command="coursectl up"),),
                code="not-running",
            )
        server = ended
    return LogReport(path=server.log, running=running, lines=jupyter.tail(Path(server.log), lines))
