"""Where a first environment comes from: a spec file as it is, notebooks' imports, or a starting set.

Decides and reads; `coursectl.workflows.init` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from coursectl import documents, files
from coursectl.config import KINDS
from coursectl.documents import did_you_mean
from coursectl.errors import UsageError
from coursectl.model.course import EngineKind, name_problem
from coursectl.model.platform import Platform
from coursectl.model.semester import Semester
from coursectl.specs import read_apt, read_conda_spec, read_requirements
from coursectl.specs_pip import is_conda_list
from coursectl.within import path_problem
from coursectl.workflows.import_names import PLATFORM_MODULES, package_for
from coursectl.workflows.notebook_scan import Scan, scan_notebooks

PYTHON = "3.12"
"""The Python of a course that does not say: every scientific package has wheels for it."""
ALWAYS = ("ipykernel", "jupyterlab")
"""What `coursectl up` starts."""
STARTERS = ("matplotlib", "numpy", "pandas", "scipy")
"""What a course from nothing begins with."""

_SPECS = ("environment.yml", "environment.yaml", "requirements.txt", "requirements.in")
_PLACES = (".", "environments", "binder", ".binder")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstEnvironment:
    """The environment that was decided on: `files` to write as (path, content, a copy of a person's file)."""

    name: str
    spec: str
    engine: EngineKind
    files: tuple[tuple[str, bytes, bool], ...] = ()
    adopted: tuple[str, ...] = ()
    channels: bool = True
    python: str | None = None
    warnings: tuple[str, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    scan: Scan | None = None
    suite: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """What a person may choose; ``None`` means: take what fits.

    `engine` applies where the environment is written anew; `today` chooses the semester.
    """

    name: str | None = None
    title: str | None = None
    semester: Semester | None = None
    engine: EngineKind | None = None
    python: str | None = None
    platforms: tuple[Platform, ...] = ()
    today: date | None = None
    force: bool = False


def slug(text: str) -> str:
    """The nearest allowed name; empty where nothing is left.

    >>> slug("PHYS 398 - Data Analysis"), slug("CON"), slug("物理")
    ('phys-398-data-analysis', 'con-course', '')
    """
    word = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:64].rstrip("-._")
    return word if not word or name_problem(word) is None else f"{word}-course"


def first_environment(folder: Path, source: Path | None, name: str, options: InitOptions) -> FirstEnvironment:
    """Decide on the environment of the course `name` in `folder`; see `coursectl.workflows.init.init`.

    Raises:
        UsageError: `source` is not there, or of no kind that a course can be made from.
        CourseFileError: the spec file holds what cannot be locked.
    """
    if source is None:
        source = next((p for d in _PLACES for s in _SPECS if (p := folder / d / s).is_file()), None)
        if source is None and folder.is_dir():
            scan = scan_notebooks(folder)
            if scan.notebooks or scan.unreadable:
                return _from_notebooks(folder, folder, scan, name, options)
        if source is None:
            return _new(name, tuple((p, "") for p in STARTERS), options, "to begin with")
    source = source.absolute()
    if source.is_dir():
        return _from_notebooks(folder, source, scan_notebooks(source), name, options)
    if not source.is_file():
        near = sorted(p.name for p in source.parent.iterdir()) if source.parent.is_dir() else []
        raise UsageError(f"there is no file or folder {source}", hints=did_you_mean(source.name, near))
    if source.suffix == ".ipynb":
        raise UsageError(
            f"{source.name} is one notebook", hints=(f"name its folder: `--from {source.parent}`",)
        )
    kind = KINDS.get(source.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{source.name} is of no kind that a course can be made from",
            cause="an environment file ends in .yml or .yaml, a requirements file in .txt or .in",
        )
    if kind is EngineKind.PYPI and is_conda_list(documents.read_text(source, source.name)):
        return _from_conda_list(source, name)
    return _adopt(folder, source, kind, name, options)


def _adopt(
    folder: Path, source: Path, kind: EngineKind, course: str, options: InitOptions
) -> FirstEnvironment:
    """A spec file as it is: where it lies inside the course folder, else as a copy in environments/."""
    inside = source.resolve().is_relative_to(folder.resolve())
    root = folder.resolve() if inside else source.parent
    path = source.resolve().relative_to(root).as_posix() if inside else source.name
    problem = path_problem(path)
    if problem is not None:
        raise UsageError(f"{path} cannot be named in course.yaml", cause=problem, hints=("rename it",))
    warnings: list[str] = []
    name, channels, python = course, True, None
    if kind is EngineKind.CONDA:
        spec = read_conda_spec(path, root)
        data = documents.load(root / path, label=path).data
        named = data.get("name") if isinstance(data, dict) else None
        name = slug(named) or course if isinstance(named, str) else course
        channels = bool(spec.channels)
        warnings += spec.notices
        present = {x.name for x in spec.lines} | {x.name for x in spec.pip.lines}
        used = spec.files
        if not channels:
            warnings.append(f"{path} names no channel that can be locked; course.yaml says conda-forge")
    else:
        requirements = read_requirements(path, root)
        warnings += requirements.notices
        present, used = {x.name for x in requirements.lines}, requirements.files
        python = options.python or _runtime(source.parent) or PYTHON
    missing = [p for p in ALWAYS if p not in present and not (p == "ipykernel" and "jupyterlab" in present)]
    if missing:
        warnings.append(
            f"{path} lacks {' and '.join(missing)}: add it, since `coursectl up` starts JupyterLab"
        )
    apt = tuple(dict.fromkeys(line.file for line in read_apt(path, root)))
    if apt:
        warnings.append(f"{apt[0]}: Debian packages are installed in images only, not on students' machines")
    found = (*used, *apt)
    prefix = "" if inside else "environments/"
    return FirstEnvironment(
        name=name,
        spec=prefix + path,
        engine=kind,
        files=() if inside else tuple((prefix + f, (root / f).read_bytes(), True) for f in found),
        adopted=tuple(prefix + f for f in found),
        channels=channels,
        python=python,
        warnings=tuple(warnings),
        packages=tuple((p, "") for p in sorted(present)),
    )


def _runtime(folder: Path) -> str | None:
    """The Python that a ``runtime.txt`` (repo2docker) or ``.python-version`` beside the spec names."""
    for file in ("runtime.txt", ".python-version"):
        if (folder / file).is_file():
            found = re.search(r"\b(3\.\d{1,2})\b", (folder / file).read_text("utf-8", "replace")[:200])
            if found:
                return found[1]
    return None


def _from_conda_list(source: Path, name: str) -> FirstEnvironment:
    """``conda list --export``: name=version=build lines are conda specs; builds are of one platform."""
    rows = documents.read_text(source, source.name).splitlines()
    found = [row.strip().split("=") for row in rows if row.strip() and not row.startswith("#")]
    conda = [(n, v) for n, v, b in found if b != "pypi_0"]
    pypi = [(n, v) for n, v, b in found if b == "pypi_0"]
    body = [f"  - {n}={v}" for n, v in conda if not n.startswith("_")]
    if pypi:
        body += ["  - pip:", *(f"      - {n}=={v}" for n, v in pypi)]
    text = _environment_text(name, body, f"from {source.name}, without the builds of one platform")
    return FirstEnvironment(
        name=name,
        spec=f"environments/{name}.yml",
        engine=EngineKind.CONDA,
        files=((f"environments/{name}.yml", text.encode(), False),),
        packages=tuple((n, "") for n, _ in sorted(conda + pypi)),
        warnings=(
            f"{source.name} lists every package of one machine; keep only what the course imports, "
            "and freeze pins the rest",
        ),
    )


def _from_notebooks(
    course: Path, folder: Path, scan: Scan, name: str, options: InitOptions
) -> FirstEnvironment:
    warnings: list[str] = []
    conda = options.engine is not EngineKind.PYPI
    packages: dict[str, str] = {}
    for found in scan.imports:
        top = ".".join(found.module.split(".")[:2])
        place = f"{found.notebook}, cell {found.cell}, line {found.line}"
        if top in PLATFORM_MODULES or found.module.split(".")[0] in PLATFORM_MODULES:
            warnings.append(f"{place}: {top} exists on its own service only")
            continue
        package = package_for(found.module, conda=conda)
        if package is None:
            side = "conda-forge" if conda else "PyPI"
            warnings.append(f"{place}: {found.module} has no package on {side}")
        else:
            packages.setdefault(package, found.module.split(".")[0])
    if not scan.notebooks:
        warnings.append(f"there is no notebook in {folder.name}")
    chosen = tuple(sorted(packages.items()))
    new = _new(name, chosen, options, f"from the imports of {len(scan.notebooks)} notebooks")
    suite = _suite(course, folder, scan)
    for pattern in suite:
        problem = path_problem(pattern)
        if problem is not None:
            warnings.append(f"{pattern} is not in the suite: {problem}")
    suite = tuple(p for p in suite if path_problem(p) is None)
    return replace(new, scan=scan, warnings=tuple(warnings), suite=suite)


def _suite(course: Path, folder: Path, scan: Scan) -> tuple[str, ...]:
    """Patterns for the notebooks that lie in the course folder."""
    home, place = course.resolve(), folder.resolve()
    if not place.is_relative_to(home):
        return ()
    found = [(place / name).relative_to(home) for name in scan.notebooks]
    # a text notebook is named itself: *.md beside it would take in the README
    patterns = {(p.with_name("*.ipynb") if p.suffix == ".ipynb" else p).as_posix() for p in found}
    return tuple(sorted(patterns))


def _new(
    name: str, packages: tuple[tuple[str, str], ...], options: InitOptions, origin: str
) -> FirstEnvironment:
    conda = options.engine is not EngineKind.PYPI
    python = options.python or PYTHON
    rows = [p for p, _ in packages if p not in ALWAYS]
    if conda:
        rows = ["matplotlib-base" if p == "matplotlib" else p for p in rows]
        body = [f"  - {p}" for p in (f"python={python}", *ALWAYS, *rows)]
        spec, text = f"environments/{name}.yml", _environment_text(name, body, origin)
    else:
        head = f"# {files.GENERATED} {origin}. Delete this line and the file is yours.\n"
        spec, text = f"environments/{name}.in", head + "".join(f"{p}\n" for p in (*ALWAYS, *rows))
    return FirstEnvironment(
        name=name,
        spec=spec,
        engine=EngineKind.CONDA if conda else EngineKind.PYPI,
        files=((spec, text.encode(), False),),
        python=None if conda else python,
        packages=(*((p, "") for p in ALWAYS), *(x for x in packages if x[0] not in ALWAYS)),
    )


def _environment_text(name: str, body: list[str], origin: str) -> str:
    rows = [
        f"# {files.GENERATED} {origin}. Delete this line and the file is yours.",
        f"name: {name}",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        *body,
    ]
    return "\n".join(rows) + "\n"
