"""Paths and addresses that a file may name: inside the course folder, and without a secret in them."""

from __future__ import annotations

import re
from pathlib import Path

from coursectl.model.course import name_problem

_ADDRESS = re.compile(r"(https?://[^\s/]+|file:///)[^\s]*")
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)*")
_FORBIDDEN_ON_WINDOWS = frozenset('<>:"|')


def path_problem(text: str) -> str | None:
    """Why `text` cannot be a path in a course folder on every system; ``None`` if it can. Reads no disk.

    >>> path_problem("environments/phys398.yml")
    >>> path_problem("../secret")
    'it leaves the course folder'
    >>> path_problem("C:/course")
    'it starts with a drive letter'
    """
    if not text or text != text.strip():
        return "it is empty" if not text.strip() else "it starts or ends with a blank"
    if "\\" in text:
        return "it has a backslash: write / between folders, on Windows too"
    if re.match(r"[A-Za-z]:", text):
        return "it starts with a drive letter"
    if text.startswith(("/", "~")):
        return "it is absolute: name it relative to the course folder"
    parts = text.split("/")
    if ".." in parts:
        return "it leaves the course folder"
    for part in parts:
        if any(c < " " or c in _FORBIDDEN_ON_WINDOWS for c in part):
            return f"{part!r} has a character that Windows forbids"
        if part not in ("", ".") and (
            part[-1] in ". " or (name_problem(part.lower()) or "").startswith("Windows reserves")
        ):
            return f"Windows cannot have a file called {part!r}"
    return None


def link_problem(root: Path, text: str) -> str | None:
    """Why following links from `root` along `text` leaves `root`; ``None`` if it stays.

    The path need not exist. Pure checks come first: see `path_problem`.
    """
    try:
        target, home = (root / text).resolve(), root.resolve()
    except (OSError, RuntimeError, ValueError) as exc:  # a loop of links, a name too long
        return f"it cannot be followed ({exc})"
    return (
        None if target.is_relative_to(home) else f"a link in it leads out of the course folder, to {target}"
    )


def address_problem(text: str) -> str | None:
    """Why `text` cannot be an address that everyone may read; ``None`` if it can.

    >>> address_problem("https://conda.example.edu/conda-forge")
    >>> address_problem("ftp://x")
    'an address starts with https:// (or http://, file:///)'
    >>> address_problem("https://me:pw@example.edu/x")
    'it has a user name, password or token in it'
    """
    if not _ADDRESS.fullmatch(text):
        return "an address starts with https:// (or http://, file:///)"
    if has_secret(text):
        return "it has a user name, password or token in it"
    return None


def shown(address: str) -> str:
    """`address` as a message may show it.

    >>> shown("https://me:pw@example.edu/t/ab-1/x")
    'https://***@example.edu/t/***/x'
    """
    return re.sub(r"/t/[^/]+", "/t/***", re.sub(r"(://)[^/@\s]+@", r"\1***@", address))


def has_secret(address: str) -> bool:
    """Whether an address carries a user, password or conda token (``/t/TOKEN/``).

    A ``git@host`` user is no secret and ``${NAME}`` is a reference to one, not one.

    >>> has_secret("https://repo.example.edu/t/ab-123/channel")
    True
    >>> has_secret("https://${USER}:${TOKEN}@example.edu/simple")
    False
    """
    user = re.match(r"[a-z+]+://([^/@\s]+)@", address)
    if user and user[1] != "git" and re.sub(r"\$\{\w+\}", "", user[1]).strip(":"):
        return True
    return re.search(r"/t/(?!\$\{)[^/]+/", address) is not None


def channel_problem(text: str) -> str | None:
    """Why `text` cannot name a conda channel; ``None`` if it can.

    >>> channel_problem("conda-forge/label/dev")
    >>> channel_problem("./my channel")
    'a channel is a name such as conda-forge, or an address'
    """
    if "://" in text:
        return address_problem(text)
    return None if _CHANNEL.fullmatch(text) else "a channel is a name such as conda-forge, or an address"
