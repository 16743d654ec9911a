"""Requirements files and ``pip:`` lists in the dialects of real courses, without losing a line.

The format is pip's (pip.pypa.io, "Requirements File Format"). What a lock cannot hold (a version control
address, an editable or local path, a conda build path left by ``pip freeze``) is an error with the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from coursectl import documents
from coursectl.documents import file_error
from coursectl.errors import CourseFileError
from coursectl.within import has_secret, link_problem, path_problem, shown

MAX_FILES = 50
"""Files that may be chained with ``-r``."""

_FILE_OPTIONS = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_ADDRESS_OPTIONS = {
    "-f": "--find-links",
    "--find-links": "--find-links",
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
}
_KEPT_OPTIONS = frozenset({"--no-binary", "--only-binary", "--no-index", "--pre"})
_IGNORED_OPTIONS = frozenset({"--trusted-host", "--prefer-binary", "--use-feature", "--require-hashes"})
_EDITABLE = frozenset({"-e", "--editable"})
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipLine:
    """One requirement: `name` normalized (``scikit-learn``), `text` as written without comment and hashes.

    `file` is relative to the course folder, with ``/``; `line` counts from 1.
    """

    name: str
    text: str
    file: str
    line: int
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All that a requirements file, or a ``pip:`` list, asks for, with the files it includes.

    `options` are those that the solver needs, in one form: ``--find-links https://...``. `files` are all
    files that were read, relative to the course folder: together they are the environment's input.
    `notices` are things that a person should know; nothing was left out without one.
    """

    lines: tuple[PipLine, ...] = ()
    constraints: tuple[PipLine, ...] = ()
    options: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def text(self) -> str:
        """One flat requirements file with the same meaning, for a solver."""
        return "".join(f"{row}\n" for row in (*self.options, *(line.text for line in self.lines)))


@dataclass(slots=True)
class _Collected:
    root: Path
    lines: list[PipLine] = field(default_factory=list)
    constraints: list[PipLine] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def result(self) -> Requirements:
        return Requirements(
            lines=tuple(self.lines),
            constraints=tuple(self.constraints),
            options=tuple(dict.fromkeys(self.options)),
            files=tuple(self.files),
            notices=tuple(self.notices),
        )


def read_requirements(spec: str, root: Path) -> Requirements:
    """Read a requirements file and all it includes.

    Args:
        spec: the file, relative to the course folder `root`, with ``/``.

    Raises:
        CourseFileError: a file is missing, leaves the course folder or holds what cannot be locked.
    """
    collected = _Collected(root)
    _file(collected, spec, constraint=False)
    return collected.result()


def read_pip_list(rows: Iterable[tuple[int, str]], spec: str, root: Path) -> Requirements:
    """Read the ``pip:`` list of an environment.yml: pairs of line number and text.

    Raises:
        CourseFileError: as `read_requirements`.
    """
    collected = _Collected(root)
    for number, text in rows:
        _row(collected, spec, number, text, constraint=False)
    return collected.result()


def _file(collected: _Collected, spec: str, *, constraint: bool) -> None:
    if spec in collected.files:
        return  # pip, too, reads a file once
    if len(collected.files) >= MAX_FILES:
        raise file_error(spec, None, f"more than {MAX_FILES} files include each other")
    collected.files.append(spec)
    text = documents.read_text(collected.root / spec, spec)
    refuse_conda_list(text, spec)
    for number, row in logical_lines(text):
        _row(collected, spec, number, row, constraint=constraint)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Lines without comments, joined where they end in a backslash, with the number of their first row.

    >>> list(logical_lines("a==1 \\\n  --hash=sha256:00 # why\n\n# no\nb"))
    [(1, 'a==1 --hash=sha256:00'), (5, 'b')]
    """
    start, parts = 0, list[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        row = re.sub(r"(^|\s)#.*$", "", raw)
        start = start if parts else number
        if row.endswith("\\"):
            parts.append(row[:-1].strip())
            continue
        parts.append(row.strip())
        joined = " ".join(p for p in parts if p)
        parts = []
        if joined:
            yield start, joined
    if any(parts):
        yield start, " ".join(p for p in parts if p)


def refuse_conda_list(text: str, label: str) -> None:
    """Say what a conda export is, where a requirements file was expected.

    Raises:
        CourseFileError: the text is the output of ``conda list --export`` or ``--explicit``.
    """
    rows = text.splitlines()
    for number, row in enumerate(rows, 1):
        if row.strip() == "@EXPLICIT":
            raise file_error(
                label,
                number,
                "this is a conda explicit list, a lock of one platform, not a requirements file",
                hints=("write the packages you import in an environment.yml; freeze pins the rest",),
            )
    if is_conda_list(text):
        raise file_error(
            label,
            next(n for n, row in enumerate(rows, 1) if row and not row.startswith("#")),
            "this is the output of `conda list --export`, not a requirements file",
            cause="its lines are name=version=build, which only conda reads",
            hints=("`coursectl init --from FILE` writes an environment.yml from it",),
        )


def is_conda_list(text: str) -> bool:
    """Whether `text` is the output of ``conda list --export``.

    >>> is_conda_list("# platform: linux-64\\nnumpy=1.26.4=py311h64a7726_0\\n")
    True
    """
    rows = [row for row in text.splitlines() if row.strip() and not row.startswith("#")]
    return bool(rows) and all(re.fullmatch(r"[\w.-]+=[^=\s]+=[^=\s]+", row.strip()) for row in rows)


def _row(collected: _Collected, spec: str, number: int, text: str, *, constraint: bool) -> None:
    text = text.strip()
    if not text:
        return
    if text.startswith("-"):
        _option(collected, spec, number, text, constraint=constraint)
        return
    body, *rest = re.split(r"\s+(?=--)", text)
    hashes = tuple(r.removeprefix("--hash=").strip() for r in rest if r.startswith("--hash="))
    if len(hashes) != len(rest):
        extra = next(r for r in rest if not r.startswith("--hash="))
        raise file_error(spec, number, f"the option {extra!r} of one requirement is not supported")
    line = PipLine(name=_name(body, spec, number), text=body, file=spec, line=number, hashes=hashes)
    (collected.constraints if constraint else collected.lines).append(line)
    if "+" in body.split(";")[0].partition("==")[2]:
        place = f"{spec}:{number}"
        collected.notices.append(
            f"{place}: {body} is a build that only its maker's own index has; name that with --find-links"
        )


def _option(collected: _Collected, spec: str, number: int, text: str, *, constraint: bool) -> None:
    word, _, value = (
        text.replace("=", " ", 1).partition(" ") if text.startswith("--") else text.partition(" ")
    )
    if word[:2] in ("-r", "-c", "-f", "-i", "-e") and len(word) > 2 and not word.startswith("--"):
        word, value = word[:2], word[2:] + value  # -rother.txt
    value = value.strip().strip("\"'")
    if word in _EDITABLE:
        raise _unlockable(spec, number, text, "it is an editable install of a folder, which has no hash")
    if word in _FILE_OPTIONS:
        # conda's documentation once wrote `-r file:requirements.txt`, and courses still have it
        included = _included(collected, spec, number, re.sub(r"^file:(?!/)", "", value))
        _file(collected, included, constraint=constraint or _FILE_OPTIONS[word] == "-c")
    elif word in _ADDRESS_OPTIONS:
        if not re.match(r"https?://", value):
            raise _unlockable(spec, number, text, "it names a folder of this machine, not an address")
        if has_secret(value):
            raise file_error(spec, number, "a user name, password or token is in the address")
        collected.options.append(f"{_ADDRESS_OPTIONS[word]} {value}")
    elif word in _KEPT_OPTIONS:
        collected.options.append(f"{word} {value}".strip())
    elif word in _IGNORED_OPTIONS:
        collected.notices.append(f"{spec}:{number}: {word} is not used: the lock has every hash")
    else:
        allowed = (*_FILE_OPTIONS, *_ADDRESS_OPTIONS, *sorted(_KEPT_OPTIONS | _IGNORED_OPTIONS))
        raise file_error(
            spec,
            number,
            f"there is no option {word} in a requirements file",
            hints=documents.did_you_mean(word, allowed),
        )


def _included(collected: _Collected, spec: str, number: int, value: str) -> str:
    folder = spec.rpartition("/")[0]
    joined = _normal(f"{folder}/{value}" if folder else value)
    problem = path_problem(value.replace("../", "")) or path_problem(joined)
    problem = problem or link_problem(collected.root, joined)
    if problem is not None:
        raise file_error(spec, number, f"the included file {value!r} cannot be read", cause=problem)
    if not (collected.root / joined).is_file():
        raise file_error(spec, number, f"there is no file {joined}", cause=f"looked in {collected.root}")
    return joined


def _normal(path: str) -> str:
    """`path` with ``..`` taken out where something stands before it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _name(body: str, spec: str, number: int) -> str:
    """The normalized name of a requirement that a lock can hold."""
    from packaging.utils import canonicalize_name

    if re.match(r"(git|hg|svn|bzr)\+", body):
        raise _unlockable(spec, number, body, "a version control address has no hash")
    if re.match(r"(\.{0,2}/|\.$|~|file:|[A-Za-z]:[\\/])", body) or (
        body.endswith(_ARCHIVES) and "://" not in body
    ):
        raise _unlockable(spec, number, body, "it is a path of one machine")
    if re.match(r"https?://", body):
        raise _unlockable(spec, number, body, "an address alone does not name the package", named=True)
    try:
        requirement = Requirement(body)
    except InvalidRequirement as exc:
        raise _invalid(body, spec, number, exc) from exc
    if requirement.url is not None:
        if re.match(r"(git|hg|svn|bzr)\+", requirement.url):
            raise _unlockable(spec, number, body, "a version control address has no hash")
        if not re.match(r"https?://", requirement.url):
            why = "it is a path of one machine"
            if "/croot/" in requirement.url or "conda-bld" in requirement.url or "/work" in requirement.url:
                why = "the path is where conda built the package: `pip freeze` was run in a conda environment"
            raise _unlockable(spec, number, body, why, name=requirement.name)
        if has_secret(requirement.url):
            raise file_error(spec, number, "a user name, password or token is in the address")
    return canonicalize_name(requirement.name)


def _invalid(body: str, spec: str, number: int, exc: InvalidRequirement) -> CourseFileError:
    conda = re.fullmatch(r"([\w.-]+)=([\w.*]+)(=\S*)?", body)
    if conda:
        return file_error(
            spec,
            number,
            f"{body!r} is written for conda",
            cause="one = is conda's; pip writes two",
            hints=(f"write {conda[1]}=={conda[2]}",),
        )
    return file_error(spec, number, f"{body!r} is not a requirement", cause=str(exc).splitlines()[0])


def _unlockable(
    spec: str, number: int, text: str, why: str, *, name: str | None = None, named: bool = False
) -> CourseFileError:
    remedy = f"write {name or 'package'}==version of a release on the package index"
    hints = (
        ("write `package @ address`: then the file is locked by its hash",)
        if named
        else (
            f"{remedy}; `pip list --format=freeze` prints such lines" if name else remedy,
            "or publish an archive of it and write `package @ https://.../package-1.0.tar.gz`",
        )
    )
    return file_error(spec, number, f"{shown(text)!r} cannot be locked", cause=why, hints=hints)
