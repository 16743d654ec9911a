"""All that one semester pins: the content of release.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from coursectl.model.course import EngineKind
from coursectl.model.platform import Platform
from coursectl.model.semester import Semester

RELEASE_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRelease:
    """One installable thing: an environment on a platform in a variant.

    `digest` identifies the installed result: equal digests install equal prefixes, so it names the prefix.
    `download_bytes` is exact where the channel states sizes, else ``None``; `installed_bytes` is an
    estimate. `packages` is how many packages it has.
    """

    platform: Platform
    variant: str
    digest: str
    packages: int
    download_bytes: int | None
    installed_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRelease:
    """One environment of a semester. `lockfile` is a file name beside release.yaml.

    `spec_digest` is the digest of what was asked (spec file, channels, platforms, variants, as-of date),
    `lock_digest` the sha256 of the lockfile's bytes.
    """

    name: str
    engine: EngineKind
    lockfile: str
    spec_digest: str
    lock_digest: str
    python: str | None
    builds: tuple[BuildRelease, ...]

    def build(self, platform: Platform, variant: str) -> BuildRelease | None:
        """The build for a platform and variant, ``None`` where there is none."""
        for build in self.builds:
            if build.platform == platform and build.variant == variant:
                return build
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A semester that counts. `notes` are statements about its origin (solved from a partial index)."""

    semester: Semester
    course: str
    as_of: date | None
    environments: tuple[EnvironmentRelease, ...]
    notes: tuple[str, ...] = ()

    def environment(self, name: str) -> EnvironmentRelease | None:
        """The environment called `name`, ``None`` where the semester does not pin it."""
        for environment in self.environments:
            if environment.name == name:
                return environment
        return None
