"""Byte-compiled modules in packages, as conda-forge ships them with every package that is not noarch.

Without them the first start of everything in a new environment compiles it, and every start does where
``PYTHONDONTWRITEBYTECODE`` is set.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime

from channel.archive import File

_SKIPPED = ("/tests/", "/test/", "/testing/")  # a third of the files, imported by nobody


def with_bytecode(files: Mapping[str, File], stamp: datetime) -> dict[str, File]:
    """`files` and a ``.pyc`` for each module; `stamp` is the time that the archive gives to the modules."""
    found = dict(files)
    for path, file in files.items():
        if path.endswith(".py") and file.placeholder is None and file.target is None:
            if any(part in path for part in _SKIPPED):
                continue
            data = _compiled(path, file.data, int(stamp.timestamp()))
            if data is not None:
                folder, _, name = path.rpartition("/")
                cached = f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc"
                found[cached] = File(data=data)
    return found


def _compiled(path: str, source: bytes, seconds: int) -> bytes | None:
    """The content of a ``.pyc`` (PEP 552, checked by time), ``None`` for what is no module of this python."""
    try:
        with warnings.catch_warnings(action="ignore"):
            code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # templates, modules for other pythons
        return None
    head = importlib.util.MAGIC_NUMBER + b"\0\0\0\0"
    head += seconds.to_bytes(4, "little") + len(source).to_bytes(4, "little")
    return head + marshal.dumps(code, 2)  # newer formats depend on reference counts: not the same each time
