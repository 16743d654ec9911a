"""A small course over the tiny channel: real engines, real files, the channel behind a mirror."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from channel.served import ServedChannel
from coursectl import config
from coursectl.engines.base import Network
from coursectl.model.course import Course
from coursectl.model.frozen import FreezeReport
from coursectl.model.progress import Silent
from coursectl.model.release import Release
from coursectl.model.semester import Semester
from coursectl.workflows import semesters
from coursectl.workflows.freeze import FreezeOptions, freeze

CONDA_FORGE = "https://conda.anaconda.org/conda-forge"
COURSE = """\
name: tiny
current: fall2025
semesters:
  spring2025:
    as_of: 2023-06-01
  fall2025:
    as_of: 2024-06-01
platforms: [linux-64, osx-arm64]
environments:
  main:
    spec: environments/main.yml
    variants:
      cuda:
        __cuda: "12.6"
        platforms: [linux-64]
        specs: [torchlike]
"""
SPEC = """\
channels: [conda-forge]
dependencies:
  - alpha
  - beta
  - gamma
"""


class Heard(Silent):
    """Remembers what a person would have been warned of."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str, *, code: str, hint: str | None = None) -> None:
        self.warned.append(f"{code}: {text}")


@dataclass
class Kit:
    """A course on disk and what reaches its channel."""

    root: Path
    network: Network
    channel: ServedChannel

    @property
    def course(self) -> Course:
        return config.load_course(self.root / "course.yaml")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def freeze(self, semester: str = "fall2025", **options: object) -> FreezeReport:
        wanted = FreezeOptions(**options)  # type: ignore[arg-type]
        return freeze(self.course, Semester.parse(semester), wanted, network=self.network, progress=Heard())

    def release(self, semester: str = "fall2025") -> Release:
        return semesters.load(self.course, Semester.parse(semester))

    def versions(self, platform: str = "linux-64", variant: str = "cpu", semester: str = "fall2025") -> str:
        """What is locked, as ``alpha 1.0, beta 1.0``."""
        from coursectl.lockfiles.conda_lock import read_conda_lock
        from coursectl.model.platform import Platform

        lock = read_conda_lock(self.root / "lockfiles" / semester / "main.conda-lock.yml")
        solution = lock.solution(Platform(platform), variant)
        assert solution is not None, (platform, variant)
        return ", ".join(f"{p.name} {p.version}" for p in solution.packages)

    def files(self) -> dict[str, bytes]:
        """Everything below ``lockfiles``."""
        folder = self.root / "lockfiles"
        return {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.glob("*/*"))
            if p.is_file()
        }


def make(root: Path, channel: ServedChannel, *, course: str = COURSE, spec: str = SPEC) -> Kit:
    network = Network(cache=root / "cache", mirrors={CONDA_FORGE: (channel.url,)})
    kit = Kit(root=root / "course", network=network, channel=channel)
    kit.write("course.yaml", course)
    kit.write("environments/main.yml", spec)
    return kit
