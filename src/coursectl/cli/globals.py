"""The options that every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coursectl.errors import UsageError

HELP = (
    ("-C DIR", "the course folder (default: found upward from here)"),
    ("-q, --quiet", "say only warnings and errors"),
    ("-v, --verbose", "say more"),
    ("--json", "print the result as one JSON document"),
    ("-y, --yes", "answer every question with yes"),
    ("--no-color", "no colours (also: NO_COLOR=1)"),
    ("--version", "print the version"),
    ("-h, --help", "explain a command"),
)

_FLAGS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--json": "json",
    "-y": "yes",
    "--yes": "yes",
    "--no-color": "no_color",
}
# `coursectl run CMD...` hands everything from CMD on to CMD, flags with our names too
_PASSES_ON = "run"
_RUN_VALUES = frozenset({"--semester", "--env", "--variant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Globals:
    """What was asked of every command alike. `folder` is ``-C``, ``None`` where it was not given."""

    folder: Path | None = None
    quiet: bool = False
    verbose: bool = False
    json: bool = False
    yes: bool = False
    no_color: bool = False


def split(argv: Sequence[str]) -> tuple[Globals, list[str]]:
    """Take the global options out of a command line, wherever they stand before ``--``.

    >>> split(["up", "--json", "-C", "phys398", "fall2026"])[1]
    ['up', 'fall2026']
    >>> split(["run", "-q", "python", "-q"])[1]
    ['run', 'python', '-q']

    Raises:
        UsageError: ``-C`` has no folder after it.
    """
    options = Globals()
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            return options, [*rest, word, *words]
        if word in _FLAGS:
            options = replace(options, **{_FLAGS[word]: True})  # type: ignore[arg-type]
        elif word == "-C":
            if not words:
                raise UsageError("-C needs a folder after it", hints=("write -C DIR",))
            options = replace(options, folder=Path(words.pop(0)))
        elif word.startswith("-C") and len(word) > 2:
            options = replace(options, folder=Path(word[2:].removeprefix("=")))
        elif rest[:1] == [_PASSES_ON] and not word.startswith("-"):
            return options, [*rest, word, *words]
        else:
            rest.append(word)
            if rest[0] == _PASSES_ON and word in _RUN_VALUES and words:
                rest.append(words.pop(0))
    return options, rest
