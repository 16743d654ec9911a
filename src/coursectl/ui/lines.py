"""What every text form is made with: marks that do not need colour, and aligned columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coursectl.ui.console import Console


class View:
    """What a text form is given: where it will be shown, and whether more was asked for."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self.console = console
        self.verbose = verbose

    def ok(self) -> str:
        """The mark of what is well."""
        return self.console.style("[ok]", "green")

    def warn(self) -> str:
        """The mark of what a person should look at."""
        return self.console.style("[!]", "yellow")

    def bad(self) -> str:
        """The mark of what has to be mended."""
        return self.console.style("[x]", "bold", "red")


def table(rows: Iterable[tuple[str, ...]], headers: tuple[str, ...] = ()) -> Iterator[str]:
    """Rows in aligned columns.

    >>> list(table([("a", "1"), ("long", "2")]))
    ['a     1', 'long  2']
    """
    body = list(rows)
    everything = [headers, *body] if headers else body
    widths = [max(len(row[n]) for row in everything) for n in range(len(everything[0]))] if everything else []
    for row in everything:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
