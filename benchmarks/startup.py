"""How long coursectl takes to start, against the bare interpreter.

    python benchmarks/startup.py [--rounds 40] [--fresh]

Peer: ``python -c pass`` of the same interpreter, the least that any Python program costs. pipx and hatch are
shown where they are installed beside it. ``--fresh`` makes a virtual environment of its own with coursectl
installed the way a student has it; without, the one that runs this script is used.
"""

from __future__ import annotations

import sys
from pathlib import Path

import measure
from measure import Row


def main() -> None:
    parser = measure.arguments(__doc__, rounds=40)
    parser.add_argument("--fresh", action="store_true", help="install coursectl into a new environment first")
    options = parser.parse_args()
    with measure.sandbox() as folder:
        python = _fresh(folder) if options.fresh else Path(sys.executable)
        ours = measure.program("coursectl", python)
        if ours is None:
            raise measure.BenchmarkError(f"coursectl is not installed beside {python}")
        env = measure.isolated(folder)
        if options.fresh:
            env.pop("PYTHONPYCACHEPREFIX")  # it was compiled where it lies
        commands: dict[str, list[str | Path]] = {
            "python -c pass": [python, "-c", "pass"],
            "coursectl --version": [ours, "--version"],
            "coursectl status": [ours, "status"],
            "coursectl --help": [ours, "--help"],
            "python -c 'import typer'": [python, "-c", "import typer"],
        }
        for peer in ("pipx", "hatch"):
            path = measure.program(peer)
            if path is not None:
                commands[f"{peer} --version"] = [path, "--version"]
        actions = {name: lambda argv=argv: _run(argv, env, folder) for name, argv in commands.items()}
        times = measure.alternate(actions, rounds=options.rounds, warm_up=3)
    base = times.pop("python -c pass")
    aims = {"coursectl --version": 3.0, "coursectl status": 8.0}
    print(measure.machine())
    measure.show(
        [
            Row(what=name, ours=found, peer=base, peer_name="python -c pass", aim=aims.get(name))
            for name, found in times.items()
        ]
    )


def _run(argv: list[str | Path], env: dict[str, str], folder: Path) -> None:
    measure.call(argv, env=env, cwd=folder)


def _fresh(folder: Path) -> Path:
    import uv

    where = folder / "fresh"
    measure.call([uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, where])
    python = where / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install: list[str | Path] = [
        uv.find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
        python,
    ]
    install.append(measure.ROOT)
    measure.call(install)
    return python


if __name__ == "__main__":
    measure.main(main)
