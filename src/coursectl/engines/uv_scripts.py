"""The scripts of pip packages, when the prefix that they were installed into is renamed."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from coursectl import files
from coursectl.engines import uv_records

_LONGEST_SHEBANG = 127  # bytes; Linux cuts the line there (BINPRM_BUF_SIZE), macOS at 512


def move(staging: Path, final: Path, names: Collection[str]) -> None:
    """Make the scripts of the packages `names` start the Python of `final`; correct RECORD.

    Raises:
        CourseError: a script cannot be written.
    """
    site = uv_records.site_packages(staging)
    for distribution in uv_records.distributions(site) if site else ():
        if distribution.name in names:
            _move(distribution.folder, staging, final)


def _move(folder: Path, staging: Path, final: Path) -> None:
    record = folder / "RECORD"
    with record.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.reader(stream) if row]
    changed: list[list[str]] = []
    for row in rows:
        script = Path(os.path.normpath(folder.parent / row[0]))
        if script.parent not in {staging / "bin", staging / "Scripts"} or not script.is_file():
            changed.append(row)
        elif script.suffix == ".exe":
            changed += [_row(made, folder) for made in _replace_launcher(script, folder)]
        else:
            _rewrite(script, staging, final)
            changed.append(_row(script, folder))
    if changed != rows:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(changed)
        files.write_atomic(record, text.getvalue())


def _row(file: Path, folder: Path) -> list[str]:
    data = file.read_bytes()
    path = Path(os.path.relpath(file, folder.parent)).as_posix()
    return [path, uv_records.encoded(hashlib.sha256(data).digest()), str(len(data))]


def _rewrite(script: Path, staging: Path, final: Path) -> None:
    content = script.read_bytes()
    moved = relocated(content, str(staging), str(final))
    if moved != content:
        files.write_atomic(script, moved, mode=script.stat().st_mode & 0o777)


def relocated(content: bytes, staging: str, final: str) -> bytes:
    """A script with the interpreter of `final` in its first lines, where it had that of `staging`.

    A path that is long or has a blank cannot stand in ``#!``; sh finds it then (as pip and uv write it).

    >>> print(relocated(b"#!/s/bin/python3\\nimport x", "/s", "/my course").decode())
    #!/bin/sh
    '''exec' '/my course/bin/python3' "$0" "$@"
    ' '''
    import x
    >>> relocated(b"#!/s/bin/python3\\nimport x\\n", "/s", "/f")
    b'#!/f/bin/python3\\nimport x\\n'
    """
    direct = re.match(rb"#!([^\n]*)\n", content)
    through_sh = re.match(rb"#!/bin/sh\n'''exec' (['\"]?)([^\n]+?)\1 \"\$0\" \"\$@\"\n' '''\n", content)
    found = through_sh or direct
    if found is None:
        return content
    old = (through_sh[2] if through_sh else found[1]).decode("utf-8", "surrogateescape")
    if not old.startswith(staging):
        return content
    interpreter = final + old[len(staging) :]
    body = content[found.end() :]
    if len(os.fsencode(interpreter)) + 2 <= _LONGEST_SHEBANG and " " not in interpreter:
        return b"#!" + os.fsencode(interpreter) + b"\n" + body
    quoted = "'" + interpreter.replace("'", "'\"'\"'") + "'"
    return b"#!/bin/sh\n'''exec' " + os.fsencode(quoted) + b" \"$0\" \"$@\"\n' '''\n" + body


def _replace_launcher(launcher: Path, folder: Path) -> list[Path]:
    """Replace uv's launcher of an entry point on Windows, which holds the path of the staging folder.

    A ``.bat`` beside a ``-script.py`` starts the Python one folder above it, wherever that is.
    """
    target = _entry_point(folder, launcher.stem)
    if target is None or sys.platform != "win32":
        return [launcher]
    module, _, attribute = target.partition(":")
    script = launcher.with_name(f"{launcher.stem}-script.py")
    name = attribute.split(".")[0]
    files.write_atomic(script, f"import sys\nfrom {module} import {name}\nsys.exit({attribute}())\n")
    start = launcher.with_suffix(".bat")
    files.write_atomic(start, f'@"%~dp0..\\python.exe" "%~dp0{script.name}" %*\r\n')
    launcher.unlink()
    return [script, start]


def _entry_point(folder: Path, name: str) -> str | None:
    from configparser import ConfigParser

    points = folder / "entry_points.txt"
    if not points.is_file():
        return None
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(points.read_text(encoding="utf-8"))
    for section in ("console_scripts", "gui_scripts"):
        if parser.has_option(section, name):
            return parser.get(section, name).split("[")[0].strip()
    return None
