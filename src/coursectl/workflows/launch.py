"""The last step of `up`: start the JupyterLab of what is installed, show it, and stay with it."""

from __future__ import annotations

from pathlib import Path

from coursectl.backends import jupyter
from coursectl.backends.jupyter import EndReason, Running
from coursectl.errors import Hint, ServerError
from coursectl.model.launch import Server
from coursectl.model.progress import Progress
from coursectl.workflows.up import Ready


def start(ready: Ready, port: int, *, detached: bool, progress: Progress) -> Running:
    """Start the JupyterLab of a plan whose environment is installed, or find the one that runs.

    Raises:
        ServerError: it did not start.
    """
    plan = ready.plan
    running = jupyter.start(
        jupyter.StartRequest(
            prefix=Path(plan.prefix),
            course_root=Path(plan.course_root),
            semester=plan.semester,
            environment=plan.environment,
            variant=plan.variant,
            digest=plan.digest,
            port=port,
            detached=detached,
        ),
        progress,
    )
    if running.found and running.server.digest != plan.digest:
        progress.warn(
            f"the JupyterLab that runs is on an earlier lock of {plan.semester}",
            code="old-server",
            hint="save your work, then: `coursectl down` and `coursectl up`",
        )
    return running


def wait(running: Running) -> EndReason:
    """Stay until an attached server ends; Ctrl-C ends it.

    Raises:
        ServerError: it crashed.
    """
    reason = jupyter.watch(running)
    if reason is jupyter.EndReason.CRASHED:
        last = "\n".join(jupyter.tail(Path(running.server.log), 10))
        raise ServerError(
            "JupyterLab ended by itself",
            cause=f"the end of its log:\n{last}",
            hints=(
                Hint(text="the whole log:", command="coursectl logs"),
                Hint(text="start it again:", command="coursectl up"),
            ),
            code="crashed",
        )
    return reason


def open_browser(server: Server, progress: Progress, *, wanted: bool) -> bool:
    """Send the browser to a server; where there is none, say how to log in. Returns whether it opened."""
    from coursectl.backends import jupyter_browser

    opening = jupyter_browser.open_page(server, wanted=wanted)
    if not opening.opened:
        if wanted:
            progress.say(f"no browser was opened: {opening.reason}")
        for hint in opening.hints:
            progress.say(f"     {hint}")
    return opening.opened
