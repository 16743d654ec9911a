"""A command inside the semester's environment (``coursectl run``)."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from coursectl import process
from coursectl.activation import activated, program_folders
from coursectl.errors import Hint, LockError, UsageError
from coursectl.model.launch import LaunchPlan

_NO_LIMIT = 7 * 24 * 3600.0  # seconds; how long a student's program runs is the student's affair


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """A program that ran inside the environment; what it printed only where it was captured."""

    command: tuple[str, ...]
    returncode: int
    stdout: str | None
    stderr: str | None


def run_inside(plan: LaunchPlan, command: tuple[str, ...], *, capture: bool = False) -> CommandResult:
    """Run `command` with the environment's programs first on PATH, on the person's own terminal.

    Args:
        capture: keep what it prints instead of showing it (``--json``); it gets no input then.

    Raises:
        LockError: the environment is not installed yet.
        UsageError: there is no such program.
    """
    if not plan.installed:
        raise LockError(
            f"the environment {plan.environment} of {plan.semester} is not installed",
            hints=(Hint(text="install it first:", command=f"coursectl up {plan.semester} --no-launch"),),
            code="not-installed",
        )
    prefix = Path(plan.prefix)
    variables = activated(os.environ, prefix)
    program = shutil.which(command[0], path=variables["PATH"])
    if program is None:
        folder = program_folders(prefix)[0]
        raise UsageError(
            f"there is no program {command[0]}",
            cause=f"neither in the environment ({folder}) nor on this machine",
            hints=(Hint(text="what the environment has:", command="coursectl run python -m pip list"),),
            code="no-program",
        )
    words = (program, *command[1:])
    if capture:
        done = process.run(words, env=variables, timeout=_NO_LIMIT)
        return CommandResult(
            command=command, returncode=done.returncode, stdout=done.stdout, stderr=done.stderr
        )
    code = process.attach(words, env=variables)
    return CommandResult(command=command, returncode=code, stdout=None, stderr=None)
