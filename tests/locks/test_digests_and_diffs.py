"""Digests change when what they stand for does, and only then; diffs name each change once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from coursectl.model import digest
from coursectl.model.course import EngineKind, Environment, Variant
from coursectl.model.diff import conda_diff, pypi_diff, version_key
from coursectl.model.lock import ChangeKind, PypiPin
from coursectl.model.platform import Platform, VirtualPackage
from locks.lock_kit import package, pip_package

CPU = Variant(name="cpu", platforms=(Platform.LINUX_64,))
ENVIRONMENT = Environment(
    name="x",
    spec="environments/x.yml",
    engine=EngineKind.CONDA,
    platforms=(Platform.LINUX_64, Platform.OSX_64),
    variants=(CPU,),
    channels=("conda-forge", "bioconda"),
)


def spec(environment: Environment = ENVIRONMENT, text: bytes = b"a\n", day: date | None = None) -> str:
    return digest.spec_digest(environment, sources={"environments/x.yml": text}, as_of=day)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": ("bioconda", "conda-forge")},  # order is priority
        {"platforms": (Platform.LINUX_64,)},
        {"python": "3.12"},
        {"variants": (replace(CPU, specs=("pytorch",)),)},
        {"variants": (replace(CPU, virtual_packages=(VirtualPackage(name="__cuda", version="12"),)),)},
    ],
    ids=["channels", "platforms", "python", "specs", "virtual-packages"],
)
def test_a_change_of_what_is_asked_changes_the_digest(changes: dict[str, Any]) -> None:
    assert spec(replace(ENVIRONMENT, **changes)) != spec()


def test_a_change_of_the_file_or_the_day_changes_the_digest() -> None:
    assert len({spec(), spec(text=b"b\n"), spec(day=date(2025, 8, 20)), spec(day=date(2025, 8, 21))}) == 4


def test_order_of_platforms_and_windows_line_ends_do_not_change_the_digest() -> None:
    turned = replace(ENVIRONMENT, platforms=ENVIRONMENT.platforms[::-1])
    assert spec(turned) == spec()
    assert spec(text=b"a\r\n") == spec()


def test_the_canonical_documents_are_the_ones_that_released_semesters_have() -> None:
    # a change here makes every committed release stale: raise the version on purpose, and freeze again
    assert spec() == "c1b49880ea0009f524808f128f651a86113e579ca552a638bbc6b6bdc1bd1fe6"
    packages = (package(), pip_package())
    assert (
        digest.conda_build_digest(Platform.LINUX_64, packages)
        == "0c3b6019ca72bbabb26f33aa7595d96ca86cfe6268e1bedcfc6e16ae44d44953"
    )
    pin = PypiPin(name="numpy", version="2", marker=None, hashes=("b", "a"))
    assert (
        digest.pypi_build_digest(Platform.LINUX_64, "3.11", [pin])
        == "df29fde980f016174b75396324ea4c3b5e5d43d61c3bf2a7c2787434b9f14075"
    )


def test_a_build_is_what_is_installed_and_not_where_it_comes_from() -> None:
    one = digest.conda_build_digest(Platform.LINUX_64, [package()])
    elsewhere = package(url="https://mirror.example/linux-64/numpy-2.0.1-py311h_0.conda", size=None)
    assert digest.conda_build_digest(Platform.LINUX_64, [elsewhere]) == one
    assert digest.conda_build_digest(Platform.LINUX_64, [package(sha256="e" * 64)]) != one
    assert digest.conda_build_digest(Platform.OSX_64, [package()]) != one


def test_each_kind_of_change_is_named() -> None:
    old = [package("a", "1.9"), package("b", "2"), package("c", "1"), package("d", "1"), package("same", "1")]
    new = [
        package("a", "1.10"),
        package("b", "1.9"),
        package("c", "1", build="py311h_1"),
        package("e", "1"),
        package("same", "1"),
    ]
    found = conda_diff("linux-64", "cpu", old, new)
    assert [(c.kind, c.name, c.old, c.new) for c in found.changes] == [
        (ChangeKind.ADDED, "e", None, "1"),
        (ChangeKind.REMOVED, "d", "1", None),
        (ChangeKind.UPGRADED, "a", "1.9", "1.10"),
        (ChangeKind.DOWNGRADED, "b", "2", "1.9"),
        (ChangeKind.REBUILT, "c", "1", "1"),
    ]
    assert (found.old_size, found.new_size) == (5000, 5000)


def test_an_unknown_size_makes_the_sum_unknown() -> None:
    assert conda_diff("linux-64", "cpu", [package(size=None)], [package()]).old_size is None


def test_a_pip_package_beside_the_conda_one_of_its_name_is_not_lost() -> None:
    both = [package("emcee", "1"), pip_package("emcee", "2")]
    (change,) = conda_diff("linux-64", "cpu", [package("emcee", "1")], both).changes
    assert (change.kind, change.name, change.new) == (ChangeKind.ADDED, "emcee (pip)", "2")


def test_pypi_pins_are_compared_by_version() -> None:
    def pin(version: str) -> PypiPin:
        return PypiPin(name="x", version=version, marker=None, hashes=("a",))

    (change,) = pypi_diff("win-64", [pin("1.0rc1")], [pin("1.0")], old_size=1, new_size=2).changes
    assert change.kind is ChangeKind.UPGRADED


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.0a1", "1.0b1"),
        ("1.0.dev1", "1.0a1"),
        ("1.0rc2", "1.0"),
        ("1.0", "1.0.post1"),
        ("9c", "9e"),
        ("2023c", "2024a"),
        ("1.1.1w", "3.0"),
        ("9999", "1!0.1"),
        ("1.5.0", "1.5.0+cpu"),
    ],
)
def test_versions_are_in_order(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_equal_versions_are_equal() -> None:
    assert version_key("1.0") == version_key("1.0.0") == version_key("1")
