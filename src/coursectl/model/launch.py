"""From a release and the facts of a machine to a running JupyterLab."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from coursectl.model.platform import Platform


class Target(StrEnum):
    """Where a server runs."""

    LOCAL = "local"
    CONTAINER = "container"
    CLOUD = "cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFact:
    """What a probe of the accelerator saw. `cuda` is the highest CUDA version that the driver supports
    ("12.6"), ``None`` without a usable NVIDIA GPU; `reason` says in one line what was found.
    """

    cuda: str | None
    name: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was observed on this machine. `free_bytes`: on the disk that holds the environments."""

    platform: Platform
    gpu: GpuFact
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """What `up` would do. Sizes in bytes and `seconds` are ``None`` where unknown.

    `reasons` are the lines that explain a choice made for the student (variant, fallback).
    `needed_bytes` is what the disk must have free beyond what is there: nothing when installed.
    """

    course: str
    title: str
    course_root: str
    semester: str
    environment: str
    variant: str
    platform: Platform
    target: Target
    digest: str
    prefix: str
    installed: bool
    packages: int
    download_bytes: int | None
    installed_bytes: int | None
    needed_bytes: int | None
    free_bytes: int
    seconds: int | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A JupyterLab that runs. `url` has no token in it; `open_file` is the private page that logs in.

    `pid` is the keeper's: the process that ends the server and its kernels; `started` is that process's
    start time in seconds since the epoch, which tells a reused pid from ours.
    """

    key: str
    url: str
    port: int
    pid: int
    started: float
    course_root: str
    semester: str
    environment: str
    variant: str
    digest: str
    prefix: str
    log: str
    open_file: str
    detached: bool
