"""The entry point. ``--version`` is answered here, before anything is imported: even `typing` is a cost."""

import sys


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    if sys.argv[1:] == ["--version"]:
        from coursectl import __version__

        print(f"coursectl {__version__}")  # noqa: T201 - ui is not imported yet
        return
    try:
        import gc

        gc.set_threshold(50_000, 10, 10)  # modules are no garbage: looking for it as they load costs 4 ms
        from coursectl.cli.dispatch import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are imported: nothing has begun that needs words
        code = 130
    sys.exit(code)
