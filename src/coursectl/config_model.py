"""The shape of course.yaml: what is read, and what the JSON Schema for editors is generated from.

These structs exist at the edge only; `coursectl.config` turns them into `coursectl.model.course`.
Every field has a description, because the description is what an editor shows.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from coursectl.model.platform import Platform

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
SEMESTER_PATTERN = r"^(winter|spring|summer|autumn|fall)20[0-9]{2}$"


def _pattern(pattern: str) -> dict[str, object]:
    return {"pattern": pattern}  # in the schema only: `config` says more about a bad name than a pattern can


Name = Annotated[str, Meta(extra_json_schema=_pattern(NAME_PATTERN))]
SemesterName = Annotated[str, Meta(extra_json_schema=_pattern(SEMESTER_PATTERN))]
Version = Annotated[str, Meta(extra_json_schema=_pattern(r"^[0-9]+(\.[0-9]+)*$"))]
Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Money = Annotated[float, Meta(gt=0, lt=1_000_000)]


class _Section(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    pass


class SemesterFile(_Section):
    """One semester: when it starts, and which environments it pins."""

    starts: Annotated[date | None, Meta(description="First day of class: 2026-08-24.")] = None
    as_of: Annotated[
        date | None,
        Meta(description="Solve with packages published up to the end of this day (UTC). Default: now."),
    ] = None
    environments: Annotated[
        list[Name] | None, Meta(description="The environments this semester pins. Default: all of them.")
    ] = None


class VariantFile(_Section):
    """An environment for a kind of machine: what may be relied on there, and what it adds."""

    cuda: Annotated[
        Version | None, Meta(description='The CUDA version every driver must support, such as "12.6".')
    ] = msgspec.field(default=None, name="__cuda")
    glibc: Annotated[Version | None, Meta(description="The oldest glibc (Linux), such as 2.28.")] = (
        msgspec.field(default=None, name="__glibc")
    )
    osx: Annotated[Version | None, Meta(description='The oldest macOS, such as "11.0".')] = msgspec.field(
        default=None, name="__osx"
    )
    archspec: Annotated[Name | None, Meta(description="The oldest processor, such as x86_64_v3.")] = (
        msgspec.field(default=None, name="__archspec")
    )
    linux: Annotated[Version | None, Meta(description='The oldest Linux kernel, such as "5.10".')] = (
        msgspec.field(default=None, name="__linux")
    )
    win: Annotated[Version | None, Meta(description='The oldest Windows, such as "10.0".')] = msgspec.field(
        default=None, name="__win"
    )
    platforms: Annotated[
        list[Platform] | None,
        Meta(description="Where the variant exists. Default: the environment's platforms."),
    ] = None
    specs: Annotated[
        list[str] | None, Meta(description="Conda packages added to the spec file's: [pytorch].")
    ] = None


class EnvironmentFile(_Section):
    """What is wanted. The spec file's kind chooses the engine: .yml is conda, .txt and .in are PyPI."""

    spec: Annotated[
        str, Meta(description="An environment.yml or requirements file, relative to the course folder.")
    ]
    channels: Annotated[
        list[str] | None, Meta(description="Conda channels, best first. Default: the spec file's own.")
    ] = None
    platforms: Annotated[
        list[Platform] | None, Meta(description="Where it is installed. Default: the course's platforms.")
    ] = None
    python: Annotated[
        str | None,
        Meta(
            description='The Python of a requirements file: "3.11". Not for conda, where it is a package.',
            extra_json_schema=_pattern(r"^3\.[0-9]{1,2}$"),
        ),
    ] = None
    fallback: Annotated[
        Name | None, Meta(description="The environment to use where this one's channels cannot be reached.")
    ] = None
    variants: Annotated[
        dict[Name, VariantFile | None] | None, Meta(description="Beside cpu, which every environment has.")
    ] = None


class NotebooksFile(_Section):
    """The smoke suite: notebooks that have to run on the frozen stack."""

    suite: Annotated[list[str] | None, Meta(description="Patterns: [tests/notebooks/*.ipynb].")] = None
    environment: Annotated[Name | None, Meta(description="Where it runs. Default: the default one.")] = None
    timeout: Annotated[Positive | None, Meta(description="Seconds one notebook may take.")] = None
    cell_timeout: Annotated[Positive | None, Meta(description="Seconds one cell may take.")] = None
    memory_mb: Annotated[Positive | None, Meta(description="Megabytes one notebook may use.")] = None
    seed: Annotated[Natural | None, Meta(description="The seed set before each notebook.")] = None
    network: Annotated[list[str] | None, Meta(description="Notebooks that may use the network.")] = None
    gpu: Annotated[list[str] | None, Meta(description="Notebooks that need a GPU.")] = None
    skip: Annotated[dict[str, str] | None, Meta(description="Notebook pattern: why it is not run.")] = None
    rtol: Annotated[Money | None, Meta(description="Relative tolerance of compared numbers.")] = None
    atol: Annotated[Money | None, Meta(description="Absolute tolerance of compared numbers.")] = None


class DataGroupFile(_Section):
    """Datasets that are needed together, from a day on."""

    datasets: Annotated[list[Name], Meta(description="Names in data.lock.yaml.", min_length=1)]
    starts: Annotated[date | None, Meta(description="The day from which `up` fetches them.")] = None


class DataFile(_Section):
    """Datasets: where they are put and when they are fetched; data.lock.yaml pins them."""

    folder: Annotated[str | None, Meta(description="Where notebooks read them. Default: data.")] = None
    groups: Annotated[dict[Name, DataGroupFile] | None, Meta(description="By week or topic.")] = None
    shared: Annotated[str | None, Meta(description="A read-only cache on the class's machines.")] = None
    mirrors: Annotated[list[str] | None, Meta(description="Addresses to ask first, best first.")] = None


class MaterialsFile(_Section):
    """Where the course's notebooks come from."""

    repository: Annotated[str, Meta(description="The git repository's https address.")]
    ref: Annotated[str | None, Meta(description="Branch, tag or commit. Default: main.")] = None
    folder: Annotated[str | None, Meta(description="The folder of the repository that students get.")] = None
    into: Annotated[str | None, Meta(description="Where it goes in the course folder.")] = None


class ImageFile(_Section):
    """Container images of a semester."""

    base: Annotated[str | None, Meta(description="Base image, by digest: debian@sha256:...")] = None
    apt: Annotated[str | None, Meta(description="A file of Debian packages, one a line.")] = None
    repository: Annotated[str | None, Meta(description="Where images are pushed, without a tag.")] = None


class CloudFile(_Section):
    """Machines by the hour, and what they may cost."""

    provider: Annotated[
        Literal["ssh", "aws", "gcp", "openstack"] | None, Meta(description="Default provider.")
    ] = None
    host: Annotated[str | None, Meta(description="For ssh: the host.")] = None
    region: Annotated[str | None, Meta(description="The provider's region or zone.")] = None
    gpu: Annotated[str | None, Meta(description="The GPU's name, such as T4.")] = None
    disk_gb: Annotated[Positive | None, Meta(description="Gigabytes of disk.")] = None
    cap_usd: Annotated[Money | None, Meta(description="What the course may spend in a semester.")] = None
    max_usd: Annotated[Money | None, Meta(description="What one machine may cost.")] = None
    max_hours: Annotated[Money | None, Meta(description="How long one machine may run.")] = None
    idle_minutes: Annotated[Positive | None, Meta(description="Idle kernels end after this long.")] = None


class CourseFile(_Section):
    """One course: its semesters, platforms and environments. The only file coursectl needs of a course."""

    name: Annotated[Name, Meta(description="Short name, also in file names: phys398.")]
    current: Annotated[SemesterName, Meta(description="The semester used where none is named.")]
    semesters: Annotated[
        dict[SemesterName, SemesterFile | None],
        Meta(description="Every semester of the course.", min_length=1),
    ]
    environments: Annotated[
        dict[Name, EnvironmentFile], Meta(description="Every environment of the course.", min_length=1)
    ]
    title: Annotated[str | None, Meta(description="What people call it. Default: the name.")] = None
    platforms: Annotated[
        list[Platform] | None, Meta(description="The machines of the class. Default: all five.")
    ] = None
    environment: Annotated[
        Name | None, Meta(description="The environment used where none is named. Default: the first.")
    ] = None
    mirrors: Annotated[
        dict[str, str | list[str]] | None,
        Meta(
            description="Address: the address or addresses to ask instead. The key pypi is the package index."
        ),
    ] = None
    notebooks: NotebooksFile | None = None
    data: DataFile | None = None
    materials: MaterialsFile | None = None
    image: ImageFile | None = None
    cloud: CloudFile | None = None


def schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of course.yaml."""
    _, parts = msgspec.json.schema_components([CourseFile], ref_template="#/$defs/{name}")
    found = parts.pop("CourseFile")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "course.yaml",
        **{k: v for k, v in found.items() if k != "title"},
        "$defs": parts,
    }


def schema_text() -> str:
    """The JSON Schema as it is shipped: ``course.schema.json``."""
    import json

    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"
