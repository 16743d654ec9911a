"""A launcher to be killed: starts a server, writes what it started into a file, and waits for its end.

Arguments: the file of the answer, and the request as JSON.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from coursectl import files
from coursectl.backends import jupyter
from coursectl.model.progress import Silent

if __name__ == "__main__":
    words = json.loads(sys.argv[2])
    words |= {"prefix": Path(words["prefix"]), "course_root": Path(words["course_root"])}
    running = jupyter.start(jupyter.StartRequest(**words), Silent())
    files.write_atomic(Path(sys.argv[1]), json.dumps(asdict(running.server)))
    if running.keeper is not None:
        print(jupyter.watch(running).value, flush=True)
