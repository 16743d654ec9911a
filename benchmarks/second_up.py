"""How long ``coursectl up --no-launch`` takes when there is nothing to do, against ``uv pip sync``.

    python benchmarks/second_up.py [--rounds 30]

Peer: ``uv pip sync`` of the same lock into the same prefix, which finds everything installed. Both answer "is
this environment the one of the lock?": uv compares the lock's names and versions with what is in
site-packages, coursectl a digest with the one that the prefix was marked with. uv asks the index again while
it does so; ``--offline`` it does not, which is shown for information: a program in Rust answers before a
Python program has imported its option parser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import measure
import stacks
from measure import Row


def main() -> None:
    options = measure.arguments(__doc__, rounds=30).parse_args()
    with measure.sandbox() as folder, stacks.pypi(folder) as stack:
        uv, env = stacks.uv(stack)
        sync: list[str | Path] = [
            uv,
            "pip",
            "sync",
            "--require-hashes",
            "--python",
            stack.prefix,
            stack.lockfile,
        ]
        times = measure.alternate(
            {
                "ours": lambda: stack.up("--no-launch"),
                "uv": lambda: _run(sync, env),
                "offline": lambda: _run([*sync, "--offline"], env),
            },
            rounds=options.rounds,
            warm_up=3,
        )
    print(measure.machine())
    peer = "uv pip sync, nothing to do"
    measure.show(
        [
            Row(what=f"up --no-launch again, {stack.packages} packages", ours=times["ours"],
                peer=times["uv"], peer_name=peer, aim=1.0),
            Row(what="the same", ours=times["ours"], peer=times["offline"], peer_name=f"{peer}, --offline"),
        ]
    )  # fmt: skip


def _run(argv: Sequence[str | Path], env: Mapping[str, str]) -> None:
    measure.call(argv, env=env)


if __name__ == "__main__":
    measure.main(main)
