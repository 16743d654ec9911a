"""What `coursectl freeze` found, would do or did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from coursectl.model.course import EngineKind
from coursectl.model.lock import LockDiff
from coursectl.model.platform import Platform
from coursectl.model.release import BuildRelease
from coursectl.model.semester import Semester


class FreezeState(StrEnum):
    """The outcome, for a whole semester or one environment of it."""

    UNCHANGED = "unchanged"  # the lock that stands is the one that would be made; nothing was done
    STALE = "stale"  # --check: a freeze is needed; nothing was done
    PLANNED = "planned"  # --dry-run: would be solved; nothing was done
    FROZEN = "frozen"  # locked, and part of a release now
    LOCKED = "locked"  # locked, but the semester is not complete: no release yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed in an environment since `against`: the semester before, or this one before the freeze."""

    environment: str
    against: Semester
    diffs: tuple[LockDiff, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFreeze:
    """One environment. `reasons` say why a solve is needed; `solves` which builds, as (platform, variant).

    `builds` is what the lockfile holds now; empty where nothing is locked.
    """

    name: str
    engine: EngineKind
    lockfile: str
    state: FreezeState
    reasons: tuple[str, ...] = ()
    solves: tuple[tuple[Platform, str], ...] = ()
    builds: tuple[BuildRelease, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeReport:
    """The whole. `folder` is relative to the course; `missing` are builds that keep the semester from
    counting, in words; `reasons` are about the semester as a whole; `seconds` is wall time.
    """

    semester: Semester
    as_of: date | None
    state: FreezeState
    folder: str
    environments: tuple[EnvironmentFreeze, ...]
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def stale(self) -> bool:
        """Whether ``--check`` has to answer no."""
        return self.state is FreezeState.STALE
