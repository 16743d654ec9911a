"""The keys of each command's ``data`` with ``--json``: what a script may build on.

Written by hand from what the commands print, in dotted paths; ``[]`` is "each one of the list". In brackets
stands the case, where a command's answer has more than one form.
"""

from __future__ import annotations


def _under(prefix: str, keys: str) -> str:
    return " ".join(f"{prefix}.{key}" for key in keys.split())


_PLAN = (
    "course course_root digest download_bytes environment free_bytes installed installed_bytes needed_bytes "
    "packages platform prefix reasons[] seconds semester target title variant"
)
_SERVER = (
    "course_root detached digest environment key log open_file pid port prefix semester started url variant"
)
_UP = f"found install_seconds opened {_under('plan', _PLAN)} "
_RECORD = "course digest engine environment installed_bytes packages platform schema semester variant"
_VERDICTS = "repaired verifications[].files verifications[].packages verifications[].prefix "
_FREEZE = "as_of folder missing notes reasons seconds semester state "
_FROZEN = _under("environments[]", "engine lockfile name state ")
_BUILDS = _under("environments[].builds[]", "digest download_bytes installed_bytes packages platform variant")
_TO_SOLVE = f"{_FREEZE} comparisons {_FROZEN} " + _under("environments[]", "builds reasons[] solves[][]")
_CHANGES = _under("comparisons[].diffs[].changes[]", "kind name new old")
_CACHE = "bytes cleaned folder parts[].bytes parts[].name"
_EXPORT = "environment files[].name files[].text format platform semester variant "

KEYS: dict[str, str] = {
    "up (dry run)": _PLAN,
    "up (no launch)": _UP + "server",
    "up (detach)": _UP + _under("server", _SERVER),
    "down": _under("stopped[]", _SERVER),
    "down (nothing)": "stopped",
    "status": "next_step.command next_step.text seconds[] " + _under("servers[]", _SERVER),
    "status (nothing)": "next_step.command next_step.text seconds servers",
    "open": "hints[].command hints[].text opened reason " + _under("server", _SERVER),
    "logs": "lines[] path running",
    "run": "command[] returncode stderr stdout",
    "init": (
        "adopted[] course engine environment folder installs local_modules next_command notebooks packages "
        "semester spec unreadable warnings[] written[]"
    ),
    "freeze (frozen)": f"{_FREEZE} comparisons {_FROZEN} {_BUILDS} "
    + _under("environments[]", "reasons[] solves[][]"),
    "freeze (compared)": f"{_FREEZE} {_FROZEN} {_BUILDS} {_CHANGES} "
    + _under("environments[]", "reasons[] solves[][]")
    + " "
    + _under("comparisons[]", "against environment")
    + " "
    + _under("comparisons[].diffs[]", "new_size old_size platform variant"),
    "freeze (nothing to do)": f"{_FREEZE} comparisons {_FROZEN} {_BUILDS} "
    + _under("environments[]", "reasons solves"),
    "freeze (dry run)": _TO_SOLVE,
    "freeze (stale)": _TO_SOLVE,
    "export": _EXPORT + "notes",
    "export (with notes)": _EXPORT + "notes[]",
    "schema": "text",
    "info": (
        "course course_file platform python system title version "
        + _under("environments[]", "default engine fallback name platforms[] spec variants[]")
        + " "
        + _under("folders", "cache environments home logs servers")
        + " "
        + _under("semesters[]", "as_of current environments[] frozen name starts")
        + " "
        + _under("settings[]", "name origin source value")
        + " "
        + _under("versions", "conda-lock docker nbclient nvidia-ml-py py-rattler uv")
    ),
    "info (no course)": (
        "course course_file environments platform python semesters system title version "
        + _under("folders", "cache environments home logs servers")
        + " "
        + _under("settings[]", "name origin source value")
        + " "
        + _under("versions", "conda-lock docker nbclient nvidia-ml-py py-rattler uv")
    ),
    "env list": "folder "
    + _under("environments[]", "bytes name prefix")
    + " "
    + _under("environments[].record", _RECORD),
    "env verify": _VERDICTS + "verifications[].problems",
    "env verify (damaged)": _VERDICTS + _under("verifications[].problems[]", "kind package path"),
    "env repair": _VERDICTS + "verifications[].problems",
    "env remove": "bytes names[]",
    "cache info": _CACHE,
    "cache clean": _CACHE,
    "--version": "text",
}
