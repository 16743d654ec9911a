"""``coursectl init``: a first course.yaml and environment from what is there.

First everything is decided, then it is written, course.yaml last: an error leaves the folder as it was.
Existing spec files are adopted byte for byte, and nothing that a person wrote is overwritten.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from coursectl import files
from coursectl.config import COURSE_FILE
from coursectl.errors import Hint, UsageError
from coursectl.model.course import EngineKind, name_problem
from coursectl.model.platform import Platform
from coursectl.model.semester import Semester
from coursectl.workflows.init_sources import FirstEnvironment, InitOptions, first_environment, slug
from coursectl.workflows.notebook_scan import InNotebookInstall

__all__ = ["InitOptions", "InitReport", "init"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InitReport:
    """What `init` did. Paths are relative to `folder`; `warnings` are what a person should act on beside
    `installs` (lines of notebooks that install past the lock) and `unreadable` (notebook, why).

    `packages` maps each package asked for to the import that it was found by ("" where it was not an
    import); `next_command` is what to type next.
    """

    folder: str
    course: str
    semester: str
    environment: str
    engine: EngineKind
    spec: str
    written: tuple[str, ...]
    adopted: tuple[str, ...]
    notebooks: tuple[str, ...]
    packages: dict[str, str]
    local_modules: tuple[str, ...]
    installs: tuple[InNotebookInstall, ...]
    unreadable: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    next_command: str


def init(folder: Path, source: Path | None, options: InitOptions | None = None) -> InitReport:
    """Write course.yaml, and an environment where there is none to adopt.

    Args:
        folder: the course folder; it is made.
        source: an environment.yml, a requirements file or a folder of notebooks; ``None``: what lies in
            `folder`.

    Raises:
        UsageError: there is a course.yaml already (with `force` it is kept as course.yaml.old), or a file
            of another content is in the way; nothing was written.
        CourseFileError: the spec file holds what cannot be locked; nothing was written.
    """
    options = options or InitOptions()
    folder = folder.absolute()
    target = folder / COURSE_FILE
    if target.exists() and not options.force:
        raise UsageError(
            f"{target} is there already",
            cause="init begins a course and changes none",
            hints=(
                Hint(text="to see what it says:", command="coursectl info"),
                Hint(
                    text="to begin again (the old one is kept beside it):", command="coursectl init --force"
                ),
            ),
            code="file-exists",
        )
    name = _course_name(folder, options.name)
    environment = first_environment(folder, source, name, options)
    text = _course_text(name, environment, folder, options)
    written = _write(folder, environment, text)
    return _report(folder, name, environment, written, options)


def _write(folder: Path, environment: FirstEnvironment, text: str) -> tuple[str, ...]:
    written: list[str] = []
    for path, content, copied in environment.files:
        place = folder / path
        if copied and place.exists() and place.read_bytes() != content:
            raise UsageError(
                f"{place} is there already with another content",
                cause="the adopted file would overwrite it",
                hints=("move one of the two away, or name the one in the course folder",),
                code="file-exists",
            )
    for path, content, copied in environment.files:
        place = folder / path
        if copied:
            if not place.exists():
                files.write_atomic(place, content)
                written.append(path)
        else:
            files.write_generated(place, content.decode())
            written.append(path)
    target = folder / COURSE_FILE
    if target.exists():
        old = next(p for n in range(1000) if not (p := folder / f"{COURSE_FILE}.old{n or ''}").exists())
        files.write_atomic(old, target.read_bytes())
        written.append(old.name)
    files.write_atomic(target, text)
    return (*written, COURSE_FILE)


def _course_name(folder: Path, given: str | None) -> str:
    if given is not None:
        problem = name_problem(given)
        if problem is not None:
            raise UsageError(f"{given!r} cannot name a course", cause=problem)
        return given
    return slug(folder.name) or "course"


def _semester(options: InitOptions) -> Semester:
    if options.semester is not None:
        return options.semester
    today = options.today or date.today()
    season = "spring" if today.month <= 5 else "summer" if today.month <= 7 else "fall"
    return Semester.parse(f"{season}{today.year}")


def _course_text(name: str, environment: FirstEnvironment, folder: Path, options: InitOptions) -> str:
    semester = _semester(options)
    platforms = options.platforms or tuple(Platform)
    rows = [
        "# The course, for coursectl. `coursectl schema` prints what may stand here.",
        f"name: {name}",
        f"title: {json.dumps(options.title or folder.name or name, ensure_ascii=False)}",
        "",
        f"current: {semester}",
        "semesters:",
        f"  {semester}:",
        "    # starts: 2026-08-24   the first day of class",
        "    # as_of: 2026-08-01    solve with packages up to this day, to get the same answer again",
        "",
        f"platforms: [{', '.join(platforms)}]",
        "",
        "environments:",
        f"  {environment.name}:",
        f"    spec: {_quoted(environment.spec)}",
    ]
    if environment.engine is EngineKind.CONDA and not environment.channels:
        rows.append("    channels: [conda-forge]")
    if environment.python is not None:
        rows.append(f'    python: "{environment.python}"')
    if environment.suite:
        patterns = ", ".join(json.dumps(p, ensure_ascii=False) for p in environment.suite)
        rows += ["", "notebooks:", f"  suite: [{patterns}]"]
    return "\n".join(rows) + "\n"


def _quoted(text: str) -> str:
    """A YAML scalar: quoted where its letters could mean something else."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*", text) else json.dumps(text, ensure_ascii=False)


def _report(
    folder: Path, name: str, environment: FirstEnvironment, written: tuple[str, ...], options: InitOptions
) -> InitReport:
    scan, semester = environment.scan, str(_semester(options))
    return InitReport(
        folder=str(folder),
        course=name,
        semester=semester,
        environment=environment.name,
        engine=environment.engine,
        spec=environment.spec,
        written=written,
        adopted=environment.adopted,
        notebooks=() if scan is None else scan.notebooks,
        packages=dict(environment.packages),
        local_modules=() if scan is None else scan.local,
        installs=() if scan is None else scan.installs,
        unreadable=() if scan is None else scan.unreadable,
        warnings=environment.warnings,
        next_command=f"coursectl freeze {semester}",
    )
