"""The launcher's side of the child process: send a request, follow its events, judge how it ended."""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coursectl import files, process, web
from coursectl.engines.base import Network
from coursectl.errors import CourseError, Hint, InstallError, NetworkError

_DAY = 86_400.0
_WINDOWS_ERRNO = {112: 28, 39: 28, 5: 13, 19: 30}  # disk full twice, access denied, write-protected medium
_NOISE = "failed to interact with the package cache layer."
_URL = re.compile(r"https?://[^\s()'\"<>,]+")

# reqwest and rattler have no codes, only words; each of these was provoked once (tests/engines)
_NETWORK_WORDS = (
    "error sending request",
    "error decoding response",
    "error reading a body",
    "Request failed after",
    "connection closed",
    "connection reset",
    "dns error",
    "tcp connect",
    "timed out",
    "request or response body error",
    "HTTP status",
    "unexpected status code",
    "failed to download",
    "failed to fetch",
    "could not fetch",
)

# a log-in page in place of an index or a package, a damaged file, another file than the locked one
_NOT_IT_WORDS = (
    "expected value at line 1 column 1",
    "unknown frame descriptor",
    "invalid zip archive",
    "invalid checksum",
    "hash mismatch",
    "<html",
    "<!doctype",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the child ended: ``done``, ``failed``, or without a word (``crashed``, `text` its last words)."""

    kind: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether it said that it had finished."""
        return self.kind == "done"


def call(
    request: Mapping[str, object], network: Network, on_event: Callable[[Mapping[str, Any]], None]
) -> Outcome:
    """Let a child process answer `request`; `on_event` gets every event but the last, from a thread.

    Its exit code means nothing: it may crash after success.
    """
    last: dict[str, Any] = {}
    trouble: list[BaseException] = []

    def follow(line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return  # a library's own print
        if event.get("event") in {"done", "failed"}:
            last.update(event)
            return
        try:
            on_event(event)
        except Exception as exc:  # this thread must go on reading, or the child waits for ever
            trouble.append(exc)

    ended = process.run(
        # -P: a course folder with a rattler.py or json.py in it must not be imported
        [sys.executable, "-P", "-m", "coursectl.engines.conda_child"],
        timeout=_DAY,
        env=_environment(network),
        stdin=json.dumps({**request, **_network_of(network)}) + "\n",
        on_stdout=follow,
        keep_stdin_open=True,
    )
    if trouble:
        raise trouble[0]
    if last.get("event") == "done":
        return Outcome(kind="done", result=last)
    if last:
        return Outcome(kind=str(last["kind"]), text=str(last["text"]), facts=last["facts"])
    words = [line for line in ended.stderr.splitlines() if line.strip()]
    return Outcome(kind="crashed", text=words[-1] if words else f"it ended with code {ended.returncode}")


def _network_of(network: Network) -> dict[str, object]:
    mirrors = {base.rstrip("/"): [m.rstrip("/") for m in many] for base, many in network.mirrors.items()}
    return {"mirrors": mirrors, "offline": network.offline}


def _environment(network: Network) -> dict[str, str]:
    environment = dict(os.environ)
    if network.offline:
        # nobody is asked, whatever a library thinks of it: every request goes to a port that is never open
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            environment[name] = environment[name.lower()] = "http://127.0.0.1:9"
        environment["NO_PROXY"] = environment["no_proxy"] = ""
    return environment


def translate(outcome: Outcome, doing: str, urls: Sequence[str] = ()) -> CourseError:
    """The error for a child that failed while `doing` ("phys398 cannot be installed"), by what mends it.

    `urls` are the addresses that were asked: the child's words name a file more often than its host.
    """
    text = outcome.text
    where = host_of(text) or next((host_of(u) for u in urls if u.rpartition("/")[2] in text), None)
    where = where or "the channel"
    found = re.search(r"\(os error (\d+)\)", text)
    code = int(found[1]) if found else 0
    if sys.platform == "win32":
        code = _WINDOWS_ERRNO.get(code, code)
    import errno

    if code in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}:
        return files.os_error(OSError(code, os.strerror(code), _path_in(text)), doing)
    if outcome.kind == "stalled":
        return NetworkError(
            f"{doing}: a download stands still", cause=text, hints=("try again, or another network",)
        )
    if any(word in text.lower() for word in _NOT_IT_WORDS):
        return NetworkError(
            f"{doing}: {where} sends something else than was asked for",
            cause=_one_line(text),
            hints=(
                "if this wifi has a log-in page, open a browser and log in, then try again",
                "otherwise the file there is damaged or was replaced: name a mirror in course.yaml",
            ),
            code="bad-download",
        )
    if any(words in text for words in _NETWORK_WORDS):
        return network_error(text, doing, where)
    if outcome.kind == "crashed":
        return InstallError(
            doing, cause=f"the installer stopped without a word: {text}", hints=("try again",)
        )
    return InstallError(doing, cause=_one_line(text))


def network_error(text: str, doing: str, where: str) -> NetworkError:
    """The error for what an HTTP client says of the host `where`, and what to do about it."""
    hints: list[Hint | str] = []
    if "certificate" in text:
        hints.append(
            "this network may look into TLS: set SSL_CERT_FILE to its certificate, never turn checks off"
        )
    elif re.search(r"\b(401|403)\b", text):
        hints.append(f"{where} wants credentials or refuses this network")
    elif re.search(r"\b404\b", text):
        hints.append("the file is gone from there: freeze again, or name a mirror that keeps it")
    name, proxy = web.proxy_for("https://" + where)
    if proxy:
        hints.append(f"requests go through the proxy {proxy} ({name}): is it right?")
    hints.append("check the connection; a mirror can be named under `mirrors` in course.yaml")
    status = re.search(r"\b([45]\d\d) [A-Z][a-z]", text)
    what = f"{where} answers {status[1]}" if status else f"cannot reach {where}"
    return NetworkError(f"{doing}: {what}", cause=_one_line(text), hints=tuple(hints))


def host_of(text: str) -> str | None:
    """The host of the first address in `text`.

    >>> host_of("error sending request for url (https://conda.example.edu/noarch/repodata.json)")
    'conda.example.edu'
    """
    found = _URL.search(text)
    return urllib.parse.urlsplit(found[0]).netloc.rpartition("@")[2] or None if found else None


def _path_in(text: str) -> str | None:
    found = re.search(r"(?<![\w.-])((?:/|[A-Za-z]:\\)[^'\"`:]+)", text)  # not the end of a relative one
    return found[1] if found else None


def _one_line(text: str, limit: int = 300) -> str:
    """The text on one line, its repeated causes once.

    >>> _one_line("it failed\\nCaused by: it failed\\nCaused by: no route")
    'it failed: no route'
    """
    parts: list[str] = []
    for line in text.splitlines():
        part = line.strip().removeprefix("Caused by: ").rstrip(":").replace(_NOISE, "").strip(": ")
        if part and not any(part in before for before in parts):
            parts.append(part)
    joined = ": ".join(parts)
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"
