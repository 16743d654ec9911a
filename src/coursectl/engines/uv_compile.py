"""One solve with uv: what both the PyPI engine and a conda environment's ``pip:`` block need of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from coursectl.engines import uv_program, uv_wheels
from coursectl.engines.base import Network
from coursectl.engines.uv_errors import Doing
from coursectl.engines.uv_wheels import Artifact, Locked
from coursectl.errors import NetworkError
from coursectl.model.platform import Platform
from coursectl.model.progress import Progress

_ASKED_AT_ONCE = 16  # requests for sizes


def cutoff(as_of: date | None) -> list[str]:
    """uv's options for "packages up to that day": its end in UTC.

    >>> cutoff(date(2023, 8, 20))
    ['--exclude-newer', '2023-08-21T00:00:00Z']
    """
    if as_of is None:
        return []
    return ["--exclude-newer", f"{as_of + timedelta(days=1)}T00:00:00Z"]


def supported(python: str) -> tuple[str, ...]:
    """What a universal solve is for, as uv's setting ``environments``: one Python on the three systems.

    Without it uv also solves for later Pythons, Android and the browser, and may fail there. The machines
    are left open: naming them puts a marker of ten terms on every line.

    >>> supported("3.11")[0]
    "python_full_version >= '3.11' and python_full_version < '3.12' and sys_platform == 'linux'"
    """
    major, minor = (int(n) for n in python.split(".")[:2])
    cap = f"python_full_version >= '{major}.{minor}' and python_full_version < '{major}.{minor + 1}'"
    return tuple(f"{cap} and sys_platform == '{system}'" for system in ("linux", "darwin", "win32"))


def compile_(
    arguments: Sequence[str | Path],
    *,
    output: Path,
    network: Network,
    doing: Doing,
    progress: Progress | None = None,
) -> str:
    """Run ``uv pip compile`` into `output`, in the folder of `output`, and hand back its text.

    Warnings go to `progress` where there is one.

    Raises:
        SolveError: no set of packages fits, or one cannot be locked.
        CourseFileError: the spec file has a line that uv cannot read.
        NetworkError: the index cannot be reached.
    """

    def tell(line: str) -> None:
        if progress is not None and line.startswith("warning: "):
            progress.warn(line.removeprefix("warning: "), code="uv")

    uv_program.run(
        ["pip", "compile", "--no-header", *arguments, "--output-file", output],
        network=network,
        doing=doing,
        folder=output.parent,
        on_line=tell,
    )
    return output.read_text(encoding="utf-8")


def with_sizes(
    packages: Sequence[Locked], wanted: Sequence[Artifact], network: Network
) -> tuple[Locked, ...]:
    """`packages` with the sizes of the `wanted` files filled in where the index did not state them.

    An index that speaks HTML only (PEP 503) states no sizes; the file's own server does. What cannot be
    found out stays ``None``: a size is a courtesy.
    """
    unknown = {file.url for file in wanted if file.size is None and file.url.startswith("http")}
    if not unknown or network.offline:
        return tuple(packages)
    from coursectl import web

    session = web.session(retries=1)

    def ask(url: str) -> tuple[str, int | None]:
        try:
            answer = session.head(url, timeout=(web.CONNECT_TIMEOUT, web.READ_TIMEOUT), allow_redirects=True)
        except (OSError, NetworkError):  # requests' errors are OSErrors
            return url, None
        length = answer.headers.get("Content-Length", "")
        return url, int(length) if answer.ok and length.isdigit() else None

    with session, ThreadPoolExecutor(max_workers=_ASKED_AT_ONCE) as pool:
        found = dict(pool.map(ask, sorted(unknown)))
    return tuple(
        replace(p, files=tuple(replace(f, size=f.size or found.get(f.url)) for f in p.files))
        for p in packages
    )


def chosen(package: Locked, platform: Platform, python: str) -> Artifact | None:
    """The file of `package` that `platform` installs: a wheel, else its source; ``None`` for neither."""
    wheel = uv_wheels.choose(package.files, platform, python)
    return wheel or next((f for f in package.files if not f.is_wheel), None)


def prereleases(text: str) -> list[str]:
    """uv's option for pip's line ``--pre``, which uv reads over.

    >>> prereleases("--pre\\nastropy\\n")
    ['--prerelease', 'allow']
    """
    return ["--prerelease", "allow"] if re.search(r"^\s*--pre\b", text, re.MULTILINE) else []


def source_options(text: str) -> tuple[str, ...]:
    """The lines of a requirements file that say where else to look, in one form.

    >>> source_options("torch\\n-f https://example.org/whl.html  # cpu\\n-r other.txt")
    ('--find-links https://example.org/whl.html',)
    """
    long = {"-f": "--find-links", "-i": "--index-url"}
    found = re.findall(
        r"^\s*(-f|-i|--find-links|--index-url|--extra-index-url)[\s=]+(https?://[^\s#]+)", text, re.MULTILINE
    )
    return tuple(f"{long.get(option, option)} {address}" for option, address in found)
