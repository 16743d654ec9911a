"""One dependency line of an environment.yml: is it something that can be locked, and where does it apply?

Only the form is judged; the conda engine parses the match spec itself (conda's own rules:
docs.conda.io, "package match specifications"). Selectors are conda-lock's: ``- m2w64-toolchain  # [win]``.
"""

from __future__ import annotations

import re

from coursectl.model.platform import Platform

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_LINE = re.compile(
    r"(?P<channel>[A-Za-z0-9][\w./:-]*?::)?(?P<name>[A-Za-z0-9_*][A-Za-z0-9_.\-*]*)(?P<rest>.*)", re.DOTALL
)
_VERSION = re.compile(r"(\s*[=<>!~]|\s+[\d*<>=!~]|\[)")
_SELECTOR = re.compile(r"#\s*\[([^\]]*)\]")

_ALL = tuple(Platform)
_SELECTORS: dict[str, tuple[Platform, ...]] = {
    "linux": (Platform.LINUX_64, Platform.LINUX_AARCH64),
    "linux64": (Platform.LINUX_64,),
    "aarch64": (Platform.LINUX_AARCH64,),
    "osx": (Platform.OSX_64, Platform.OSX_ARM64),
    "osx64": (Platform.OSX_64,),
    "arm64": (Platform.OSX_ARM64,),
    "win": (Platform.WIN_64,),
    "win64": (Platform.WIN_64,),
    "unix": tuple(p for p in _ALL if not p.is_windows),
}


def spec_problem(spec: str) -> str | None:
    """Why `spec` is not a conda package that can be locked; ``None`` if its form is right.

    >>> spec_problem("numpy=1.26=py311_0")
    >>> spec_problem("conda-forge::numpy >=1.26,<2")
    >>> spec_problem("./numpy-1.26-py311_0.conda")
    'it names one file: write the package and its version, such as numpy=1.26'
    >>> spec_problem("dask[complete]")
    "extras in brackets are pip's: name the package alone, or put the line in the `pip:` list"
    """
    text = spec.strip()
    if re.match(r"(git|hg|svn|bzr)\+", text):
        return "it is a version control address, which belongs in the `pip:` list and cannot be locked"
    if text.endswith((".conda", ".tar.bz2", ".whl")) or (
        re.match(r"\.{0,2}/|~|[A-Za-z]:\\|[a-z]+://", text) and "::" not in text
    ):
        return "it names one file: write the package and its version, such as numpy=1.26"
    if text.startswith("-"):
        return "an option of pip belongs in the `pip:` list"
    if ";" in text:
        return "`;` markers are pip's: in conda write a selector, such as `# [win]`"
    if "@" in text and "[" not in text:
        return "`@` is pip's: write the package and its version, such as numpy=1.26"
    found = _LINE.fullmatch(text)
    if not found or not _NAME.fullmatch(found["name"]):
        return "it does not start with a package name"
    rest = found["rest"]
    if re.fullmatch(r"\[[A-Za-z0-9_,\s-]+\].*", rest):
        return "extras in brackets are pip's: name the package alone, or put the line in the `pip:` list"
    if rest and not _VERSION.match(rest):
        return f"what follows the name, {rest.strip()!r}, is not a version"
    return None


def spec_name(spec: str) -> str:
    """The package name of a conda spec, in lower case.

    >>> spec_name("conda-forge::NumPy >=1.26")
    'numpy'
    """
    found = _LINE.fullmatch(spec.strip())
    return found["name"].lower() if found else spec.strip().lower()


def selector(row: str) -> tuple[Platform, ...] | None:
    """The platforms of a line's selector comment; ``None`` where it has none.

    Raises:
        ValueError: the comment is a selector with words that are unknown.

    >>> selector("- pywin32  # [win]")
    (<Platform.WIN_64: 'win-64'>,)
    >>> selector("- numpy  # for everything")
    """
    found = _SELECTOR.search(row)
    if not found:
        return None
    text = found[1].strip()
    negated = text.startswith("not ")
    chosen = _SELECTORS.get(text.removeprefix("not ").strip())
    if chosen is None:
        raise ValueError(f"the selector [{text}] is not one of {', '.join(_SELECTORS)} (or `not` and one)")
    return tuple(p for p in _ALL if p not in chosen) if negated else chosen
