"""What the tests of uv's engine share: a small real lock, requests, and a progress that remembers."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from coursectl import activation, paths, process
from coursectl.engines.base import InstallRequest, Network, PypiRequest
from coursectl.engines.pypi import PypiEngine
from coursectl.model.course import EngineKind, Environment, Variant
from coursectl.model.installed import PrefixRecord
from coursectl.model.lock import PypiLock
from coursectl.model.platform import Platform
from coursectl.model.progress import Silent, Task

AS_OF = date(2025, 1, 15)
PYTHON = ".".join(map(str, sys.version_info[:2]))
# pure ones, one with scripts (pygmentize, markdown-it), one compiled (pyyaml), one for Windows alone
SMALL = "idna\nsix\ncertifi\npackaging\nmarkdown-it-py\npygments\npyyaml\ncolorama; sys_platform == 'win32'\n"

_solved: dict[str, PypiLock] = {}


class Counted:
    """A task that remembers how far it came."""

    def __init__(self, total: int | None) -> None:
        self.size, self.amount = total, 0
        self.details: list[str] = []

    def advance(self, amount: int = 1) -> None:
        self.amount += amount

    def total(self, total: int | None) -> None:
        self.size = total

    def detail(self, text: str) -> None:
        self.details.append(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Told(Silent):
    """Remembers what a person would have read."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.tasks: dict[str, Counted] = {}

    def task(self, label: str, *, total: int | None = None, unit: str = "") -> Task:
        self.tasks[label] = counted = Counted(total)
        return counted

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str, *, code: str, hint: str | None = None) -> None:
        self.warned.append(f"{code}: {text}")


def environment(python: str = PYTHON, platforms: tuple[Platform, ...] = tuple(Platform)) -> Environment:
    return Environment(
        name="small",
        spec="environments/small.in",
        engine=EngineKind.PYPI,
        platforms=platforms,
        variants=(Variant(name="cpu", platforms=platforms),),
        python=python,
    )


def solve(
    folder: Path,
    network: Network,
    text: str,
    *,
    as_of: date | None = AS_OF,
    keep: str | None = None,
    update: tuple[str, ...] = (),
    told: Told | None = None,
    python: str = PYTHON,
    platforms: tuple[Platform, ...] = tuple(Platform),
) -> PypiLock:
    source = folder / "small.in"
    source.write_text(text, encoding="utf-8")
    request = PypiRequest(
        environment=environment(python, platforms), source=source, as_of=as_of, keep=keep, update=update
    )
    return PypiEngine().solve(request, network, told or Silent())


def small_lock(folder: Path, cache: Path, text: str = SMALL) -> Path:
    """A lock of small packages in `folder`; each text is solved once in a session."""
    if text not in _solved:
        _solved[text] = solve(folder, Network(cache=cache), text)
    lock = folder / "small.requirements.txt"
    lock.write_text(_solved[text].text, encoding="utf-8")
    return lock


def request(lock: Path, prefix: Path, network: Network, digest: str = "d1") -> InstallRequest:
    platform = paths.current_platform()
    assert platform is not None
    record = PrefixRecord(
        digest=digest,
        course="phys398",
        semester="fall2026",
        environment="small",
        variant="cpu",
        platform=str(platform),
        engine=EngineKind.PYPI,
        packages=7,
    )
    return InstallRequest(prefix=prefix, record=record, network=network, requirements=lock, python=PYTHON)


def runs(prefix: Path, *arguments: str) -> str:
    """What the environment's Python prints; the test fails if it fails."""
    ended = process.run([activation.python_of(prefix), *arguments], timeout=60)
    assert ended.ok, ended.stderr
    return ended.stdout.strip()
