"""uv's failures in our words. Everything here works on what uv printed and asks nobody.

uv prints ``error: ...`` with ``cause:`` lines below (before 0.12: ``×`` and ``╰─▶``) and ``hint:`` lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from coursectl import files, web
from coursectl.errors import (
    CourseError,
    CourseFileError,
    DiskSpaceError,
    Hint,
    InstallError,
    NetworkError,
    SolveError,
)
from coursectl.process import Completed

PROVIDED = "+conda"
"""Local version of the stand-ins that say "conda has this" (see `engines.uv`)."""

_LONGEST_CAUSE = 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What was being done, for messages: `failed` is a sentence such as ``x.in cannot be solved``.

    `solving`: a failure to find packages is the spec's fault, otherwise the index's. `source` is the
    spec file as the reader knows it and `text` its content, to turn uv's positions into lines.
    """

    failed: str
    solving: bool = False
    source: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What uv said: the first line, what lies behind it (outermost first), and its hints."""

    what: str
    causes: tuple[str, ...]
    hints: tuple[str, ...]
    text: str

    def search(self, pattern: str) -> re.Match[str] | None:
        """The first place where uv's text fits `pattern`."""
        return re.search(pattern, self.text, re.DOTALL)


def read(stderr: str) -> Complaint:
    r"""Take uv's standard error apart.

    >>> said = read("Resolved 1 package\nerror: it broke\n  cause: a fuse\n         blew\n\nhint: mend it")
    >>> said.what, said.causes, said.hints
    ('it broke', ('a fuse blew',), ('mend it',))
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", stderr)
    text = re.sub(r"^ *× ", "error: ", text, flags=re.MULTILINE)
    text = re.sub(r"^ *[├╰]─▶ ", "  cause: ", text, flags=re.MULTILINE)
    text = re.sub(r"^ *│ ?", "         ", text, flags=re.MULTILINE)
    text = re.sub(r"^ *[Cc]aused by: ", "  cause: ", text, flags=re.MULTILINE)
    parts: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if found := re.match(r"\s*(error|cause|hint|warning): (.*)", line):
            parts.append((found[1], [found[2]]))
        elif parts and line.strip() and line[0].isspace():
            parts[-1][1].append(line.strip())
    of = {
        kind: [" ".join(words) for k, words in parts if k == kind and (k != "error" or words)]
        for kind in ("error", "cause", "hint")
    }
    what = of["error"][0] if of["error"] else next((ln for ln in text.splitlines()[::-1] if ln.strip()), "")
    return Complaint(what=what, causes=tuple(of["cause"]), hints=tuple(of["hint"]), text=text)


def translate(ended: Completed, doing: Doing) -> CourseError:
    """The error to raise for a uv that failed, by what mends it."""
    if ended.timed_out:
        return InstallError(
            doing.failed, cause=f"uv was not done after {ended.seconds / 60:.0f} minutes", code="timeout"
        )
    said = read(ended.stderr)
    for judge in _JUDGES:
        error = judge(said, doing)
        if error is not None:
            return error
    kind = SolveError if doing.solving else InstallError
    cause = "; ".join((said.what, *said.causes)) or f"uv ended with {ended.returncode}"
    return kind(doing.failed, cause=_short(cause))


def _disk(said: Complaint, doing: Doing) -> CourseError | None:
    if not said.search(r"No space left|os error (28|112|122)\)|quota exceeded"):
        return None
    cause = _short(said.causes[-1] if said.causes else said.what)
    return DiskSpaceError(
        f"{doing.failed}: the disk is full", cause=cause, hints=files.full_disk_hints(_place(cause))
    )


def _permission(said: Complaint, doing: Doing) -> CourseError | None:
    if not said.search(r"os error (13|30)\)|Permission denied|Read-only file system"):
        return None
    cause = _short(said.causes[-1] if said.causes else said.what)
    hint = files.not_writable_hint(_place(cause))
    return CourseError(doing.failed, cause=cause, hints=(hint,), code="not-writable")


def _place(cause: str) -> str | None:
    """The file that uv was writing: what stands last in its own quotes.

    >>> _place("failed to write to file `/c/uv/x`: No space left on device (os error 28)")
    '/c/uv/x'
    """
    found = re.findall(r"`([^`]+)`", cause)
    return found[-1] if found else None


def _hash(said: Complaint, doing: Doing) -> CourseError | None:
    found = said.search(r"Hash mismatch for `([^`]+)`.*?Expected:(.*?)Computed:\s+sha256:(\w+)")
    if found is None:
        if missing := said.search(r"--require-hashes` mode.*none were provided for: (.*?)\n"):
            return InstallError(
                doing.failed, cause=f"the lock has no hash for {missing[1]}", code="hash-missing"
            )
        return None
    expected = " or ".join(re.findall(r"sha256:(\w+)", found[2])) or "none"
    return InstallError(
        f"{doing.failed}: {found[1]} is not the file that was locked",
        cause=f"expected sha256 {expected}, got {found[3]}",
        hints=(
            Hint(text="a mirror may serve another file: try without it, or tell who runs it"),
            Hint(text="or fetch again:", command="coursectl cache clean"),
        ),
        code="hash-mismatch",
    )


def _offline(said: Complaint, doing: Doing) -> CourseError | None:
    if not said.search(r"network was disabled|network connectivity is disabled"):
        return None
    name = said.search(r"Because (\S+) was not found in the cache|cache entry for[: ]+`?([^`\s]+)")
    what = (name[1] or name[2]) if name else "a package"
    return NetworkError(
        doing.failed,
        cause=f"{what} is not in the cache, and --offline asks nobody",
        hints=(Hint(text="run it once with a network, without --offline"),),
        code="offline",
    )


def _network(said: Complaint, doing: Doing) -> CourseError | None:
    reason = next((r for pattern, r in _REASONS if said.search(pattern)), None)
    if reason is None:
        return None
    address = said.search(r"https?://([^/\s`'\"()]+@)?([^/\s`'\"()]+)[^\s`'\"()]*")
    host = address[2] if address else "the package index"
    name, proxy = web.proxy_for(f"https://{host}")
    hints: tuple[Hint, ...]
    if reason is _CERTIFICATE:
        hints = (
            Hint(text="ask your campus for its certificate file and set SSL_CERT_FILE to it"),
            Hint(text="what is set now:", command="coursectl info"),
        )
    elif reason is _REFUSED:
        hints = (Hint(text="put the credentials in ~/.netrc, or in UV_INDEX_URL"),)
    elif proxy:
        reason = f"{reason}; it is asked through the proxy {proxy}"
        hints = (Hint(text=f"change or unset {name}, or add {host} to NO_PROXY"),)
    else:
        hints = (
            Hint(text="check the network; behind a proxy, set HTTPS_PROXY"),
            Hint(text="or name a mirror of the index under mirrors in course.yaml, or in UV_DEFAULT_INDEX"),
        )
    return NetworkError(f"{doing.failed}: {host} cannot be used", cause=reason, hints=hints)


_CERTIFICATE = "its certificate is not trusted here (a campus proxy that reads traffic?)"
_REFUSED = "it refused the credentials, or wants some (HTTP 401 or 403)"
_REASONS: tuple[tuple[str, str], ...] = (
    (r"invalid peer certificate|certificate verify|UnknownIssuer", _CERTIFICATE),
    (r"\(?(401 Unauthorized|403 Forbidden)", _REFUSED),
    (
        r"failed to lookup address|dns error|Could not resolve host",
        "its name is not known here (no network?)",
    ),
    (r"Connection refused|actively refused", "nobody answers there (connection refused)"),
    (r"status (client|server) error \((404|410)", "it does not have the file (any more)"),
    (r"HTTP status (client|server) error|status code: 5\d\d", "it answers with an error"),
    (r"operation timed out|timed out|tcp connect error", "it does not answer in time"),
    (r"error decoding response body|connection (closed|reset)|end of file before", "the line broke"),
    (r"error sending request|Failed to connect to", "it cannot be reached"),
)


def _no_wheel(said: Complaint, doing: Doing) -> CourseError | None:
    found = said.search(
        r"(\S+?) has no (?:wheels|usable wheels|source distribution)|`([^`]+)` (?:can't be installed|has no)"
    )
    if found is None or not said.search(r"matching .*?tag|no usable wheels|doesn't have a (source|wheel)"):
        return None
    package = found[1] or found[2]
    offers = [h for h in said.hints if "Wheels are available" in h or "only found wheels" in h]
    kind = SolveError if doing.solving else InstallError
    return kind(
        f"{doing.failed}: no wheel of {package} fits this platform",
        cause=_short(
            re.sub("`", "", offers[0]) if offers else plain(said.causes[0] if said.causes else said.what)
        ),
        hints=(Hint(text=f"pin a version of {re.split('[<>=!~]', package)[0]} that has one"),),
        code="no-wheel",
    )


def _unsolvable(said: Complaint, doing: Doing) -> CourseError | None:
    if not said.search(r"No solution found"):
        return None
    cause = plain(" ".join(said.causes))
    late = said.search(r"`(\S+)` was filtered by `exclude-newer`.*?uploaded before (\d{4}-\d\d-\d\d)")
    if not doing.solving:
        hint = Hint(text="the index or mirror lacks a locked file: try another one (UV_DEFAULT_INDEX)")
        return InstallError(doing.failed, cause=cause, hints=(hint,), code="not-on-index")
    hints: tuple[Hint, ...] = ()
    if late:
        hints = (Hint(text=f"{late[1]} had no fitting version before {late[2]}: choose a later --as-of"),)
    if unknown := said.search(r"Because (\S+) was not found in the package registry"):
        hints = (Hint(text=f"check how {unknown[1]} is spelled on the package index"),)
    if made := said.search(r"there is no version of (\w[\w.-]*)==\S+\+(?!conda)"):
        text = f"{made[1]}'s own index has versions with a +: add its --find-links or --extra-index-url line"
        hints = (Hint(text=text),)
    where = f" in {doing.source}" if doing.source else ""
    return SolveError(doing.failed, cause=cause, hints=(*hints, Hint(text=f"loosen one of these{where}")))


def _bad_line(said: Complaint, doing: Doing) -> CourseError | None:
    found = said.search(r"(?:Couldn't parse|Error parsing|Unsupported|Unexpected)[^\n]*? in `([^`]+)`")
    if found is None:
        found = said.search(r"[Ff]ailed to read from file `([^`]+)`")
    if found is None:
        return None
    ours = found[1].replace("\\", "/").rsplit("/", 1)[-1] == doing.source.rsplit("/", 1)[-1]
    name, line = (doing.source, "") if ours else (found[1], "")
    if (position := said.search(r"at position (\d+)")) and ours:
        before = doing.text.encode()[: int(position[1])]
        line = f":{before.count(10) + 1}"  # 10 is the newline
    cause = said.causes[0] if said.causes else said.what
    return CourseFileError(f"{name}{line}: {said.what.split(' in `')[0]}", cause=_short(cause))


def _build(said: Complaint, doing: Doing) -> CourseError | None:
    found = said.search(r"Failed to (?:download and )?build `([^`]+)`")
    if found is None:
        return None
    kind = SolveError if doing.solving else InstallError
    return kind(
        f"{doing.failed}: {found[1]} has no wheel and could not be built",
        cause=_short("; ".join(said.causes) or said.what),
        hints=(Hint(text="pin a version that has a wheel"),),
        code="build",
    )


# In this order: a full disk and a broken line show inside every other kind of failure.
_JUDGES: tuple[Callable[[Complaint, Doing], CourseError | None], ...] = (
    _disk,
    _permission,
    _hash,
    _offline,
    _network,
    _no_wheel,
    _unsolvable,
    _bad_line,
    _build,
)


def plain(explanation: str) -> str:
    """The solver's proof without its conclusions, at most some 400 characters.

    >>> plain("Because a>=8 depends on b>=2 and you require a>=8, we can conclude that you require b>=2. "
    ...       "And because you require b==1, we can conclude that your requirements are unsatisfiable.")
    'a>=8 depends on b>=2 and you require a>=8; you require b==1'
    >>> plain("Because you require b>=2 and b==1.0+conda, we can conclude that this cannot be.")
    'you require b>=2 and b==1.0 (conda has it)'
    """
    text = re.sub(r"\s+", " ", explanation).replace("`", "")
    text = re.sub(r"==([\w.!]+)" + re.escape(PROVIDED), r"==\1 (conda has it)", text)
    facts = []
    for sentence in re.split(r"(?<=\.) (?=(?:And b|B)ecause )", re.sub(r" ?\(\d+\) (?=Because)", " ", text)):
        fact = re.sub(r"^(And because|Because) ", "", sentence.strip())
        fact = re.split(r",? we can conclude that ", fact)[0]
        fact = re.sub(r"^we know from \(\d+\) that .*", "", fact).strip(" .,")
        if fact and fact not in facts:
            facts.append(fact)
    if len("; ".join(facts)) > _LONGEST_CAUSE:  # the ends of the chain are what a person can change
        short = [f for f in facts if len(f) < _LONGEST_CAUSE // 2]
        facts = list(dict.fromkeys((short or facts)[:1] + facts[-1:]))
    return _short("; ".join(facts) or text)


def _short(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= _LONGEST_CAUSE else text[: _LONGEST_CAUSE - 4] + " ..."
