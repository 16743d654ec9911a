"""The last look before an error leaves the program: no password, token or key may stand in it.

Each part of the program takes care of the secrets it knows; this is for what nobody foresaw, such as an
exception of a library with the proxy's address in its text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

from coursectl.errors import CourseError
from coursectl.process import HIDDEN, redact

_SHORTEST, _SHORTEST_LOGIN = 6, 4  # characters; shorter values are words of any text
_NAMED = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
_LOGIN = re.compile(r"(?:^|://)[^\s/:@]*:([^\s/@]+)@")


def clean(text: str, environ: Mapping[str, str] | None = None) -> str:
    """`text` without logins in addresses, and without the secrets of the environment (ours by default).

    >>> clean("cannot reach https://ada:pw@proxy.example.edu/t/ab-12/x", {})
    'cannot reach https://***@proxy.example.edu/t/***/x'
    >>> clean("the proxy said: bad login s3cret", {"HTTPS_PROXY": "ada:s3cret@proxy.example.edu:3128"})
    'the proxy said: bad login ***'
    """
    found = sorted(secrets(os.environ if environ is None else environ), key=len, reverse=True)
    text = redact(text, found)
    text = re.sub(r"://(?!git@)[^\s/@'\"]+@", f"://{HIDDEN}@", text)
    return re.sub(r"(://[^\s/'\"]+(?:/[^\s/'\"]+)*?/t/)[^\s/'\"]+", rf"\1{HIDDEN}", text)


def secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """What in `environ` no message may repeat: passwords in addresses, and what is called a secret.

    >>> sorted(secrets({"GITHUB_TOKEN": "ghp_123", "HOME": "/home/ada", "ALL_PROXY": "socks5://a:p%40ss@h"}))
    ['ghp_123', 'p%40ss', 'p@ss']
    """
    for name, value in environ.items():
        if _NAMED.search(name) and len(value) >= _SHORTEST and not value.startswith(("/", "~")):
            yield value
        for word in value.split():
            for found in _LOGIN.finditer(word):
                yield from (s for s in {found[1], unquote(found[1])} if len(s) >= _SHORTEST_LOGIN)


def cleaned(error: CourseError) -> CourseError:
    """`error` with `clean` texts; the same object."""
    error.message = clean(error.message)
    error.cause = None if error.cause is None else clean(error.cause)
    error.hints = tuple(
        replace(h, text=clean(h.text), command=None if h.command is None else clean(h.command))
        for h in error.hints
    )
    return error
