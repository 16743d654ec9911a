"""What the conda tests share: requests for the tiny channel, and a progress that remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from coursectl.engines.base import CondaRequest, InstallRequest, Network
from coursectl.engines.conda import CondaEngine
from coursectl.model.course import EngineKind, Environment, Variant
from coursectl.model.installed import PrefixRecord
from coursectl.model.lock import CondaPackage, CondaSolution
from coursectl.model.platform import Platform, VirtualPackage
from coursectl.model.progress import Silent, Task


@dataclass
class Heard:
    """A task that remembers."""

    label: str
    unit: str
    size: int | None = None
    amount: int = 0
    details: list[str] = field(default_factory=list)

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


@dataclass
class Ears:
    """A progress that remembers what it was told."""

    said: list[str] = field(default_factory=list)
    tasks: list[Heard] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str, *, code: str, hint: str | None = None) -> None:
        self.said.append(text)

    def task(self, label: str, *, total: int | None = None, unit: str = "") -> Task:
        heard = Heard(label, unit, total)
        self.tasks.append(heard)
        return heard


def environment(
    *channels: str, virtual: Sequence[VirtualPackage] = (), platforms: Sequence[Platform] = tuple(Platform)
) -> Environment:
    variants = [Variant(name="cpu", platforms=tuple(platforms))]
    if virtual:
        variants.append(Variant(name="cuda", platforms=(Platform.LINUX_64,), virtual_packages=tuple(virtual)))
    return Environment(
        name="phys398",
        spec="environments/phys398.yml",
        engine=EngineKind.CONDA,
        platforms=tuple(platforms),
        variants=tuple(variants),
        channels=channels,
    )


def solve(
    cache: Path,
    channel: str | Sequence[str],
    *specs: str,
    platform: Platform = Platform.LINUX_64,
    variant: str = "cpu",
    virtual: Sequence[VirtualPackage] = (),
    as_of: date | None = None,
    keep: Sequence[CondaPackage] = (),
    update: Sequence[str] = (),
    mirrors: Mapping[str, tuple[str, ...]] | None = None,
    offline: bool = False,
) -> CondaSolution:
    channels = [channel] if isinstance(channel, str) else list(channel)
    request = CondaRequest(
        environment=environment(*channels, virtual=virtual),
        platform=platform,
        variant=variant,
        specs=specs,
        as_of=as_of,
        keep=tuple(keep),
        update=tuple(update),
    )
    network = Network(cache=cache, mirrors=mirrors or {}, offline=offline)
    return CondaEngine().solve(request, network, Silent())


def versions(solution: CondaSolution) -> dict[str, str]:
    return {p.name: p.version for p in solution.packages}


def install_request(
    solution: CondaSolution,
    prefix: Path,
    cache: Path,
    *,
    digest: str = "d1ge57" * 8,
    offline: bool = False,
    mirrors: Mapping[str, tuple[str, ...]] | None = None,
) -> InstallRequest:
    return InstallRequest(
        prefix=prefix,
        record=PrefixRecord(
            digest=digest,
            course="phys398",
            semester="fall2026",
            environment="phys398",
            variant="cpu",
            platform=str(solution.platform),
            engine=EngineKind.CONDA,
            packages=len(solution.packages),
        ),
        network=Network(cache=cache, mirrors=mirrors or {}, offline=offline),
        packages=solution.packages,
    )
