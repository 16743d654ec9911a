"""``coursectl --help``: every command in a line."""

from __future__ import annotations

from collections.abc import Iterable

from coursectl.ui.console import Console


def show_overview(
    console: Console, commands: Iterable[tuple[str, str, str]], options: Iterable[tuple[str, str]]
) -> None:
    """Print the overview to stdout; `commands` are (group, name, summary) in reading order."""
    console.out("coursectl: a course's exact software stack, on every laptop")
    console.out()
    console.out("  coursectl up                open JupyterLab on this semester's stack")
    console.out("  coursectl COMMAND --help    explain a command")
    last = ""
    for group, name, summary in commands:
        if group != last:
            last = group
            console.out()
            console.out(console.style(group, "bold"))
        console.out(f"  {name:<10} {summary}")
    console.out()
    console.out(console.style("Options of every command, before or after its name", "bold"))
    for option, text in options:
        console.out(f"  {option:<15} {text}")
