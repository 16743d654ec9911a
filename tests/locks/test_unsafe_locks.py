"""Hostile and broken locks: each is refused at once, and the entry at fault is named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from coursectl.errors import LockError
from coursectl.lockfiles import conda_lock, conda_lock_write, validate
from coursectl.model.lock import CondaPackage
from locks.lock_kit import CHANNEL, lock, package, pip_package

Break = Callable[[CondaPackage], CondaPackage]


def moved(url: str) -> Break:
    return lambda p: replace(p, url=url)


BROKEN: dict[str, tuple[Break, str]] = {
    "no-hash": (lambda p: replace(p, sha256=None, md5=None), "no hash"),
    "hash-too-short": (lambda p: replace(p, sha256="abc"), "sha256 abc is not one"),
    "plain-http": (moved("http://conda.anaconda.org/c/linux-64/numpy-2.0.1-py311h_0.conda"), "not https"),
    "file-url": (moved("file:///etc/linux-64/numpy-2.0.1-py311h_0.conda"), "is not one that a channel has"),
    "ftp": (moved("ftp://example.org/c/linux-64/numpy-2.0.1-py311h_0.conda"), "not https"),
    "private": (moved("https://10.0.0.7/c/linux-64/numpy-2.0.1-py311h_0.conda"), "private or link-local"),
    "metadata-service": (
        moved("https://169.254.169.254/c/linux-64/numpy-2.0.1-py311h_0.conda"),
        "private or link-local",
    ),
    "private-ipv6": (
        moved("https://[fd00::1]/c/linux-64/numpy-2.0.1-py311h_0.conda"),
        "private or link-local",
    ),
    "mapped-ipv4": (
        moved("https://[::ffff:10.0.0.1]/c/linux-64/numpy-2.0.1-py311h_0.conda"),
        "private or link-local",
    ),
    "decimal-address": (
        moved("https://2130706433/c/linux-64/numpy-2.0.1-py311h_0.conda"),
        "not written as one",
    ),
    "octal-address": (
        moved("https://0177.0.0.1/c/linux-64/numpy-2.0.1-py311h_0.conda"),
        "not written as one",
    ),
    "hidden-host": (
        moved("https://conda.anaconda.org@evil.example/c/linux-64/numpy-2.0.1-py311h_0.conda"),
        "is not one that a channel has",
    ),
    "climbing-channel": (
        moved("https://conda.anaconda.org/a/%2e%2e/b/linux-64/numpy-2.0.1-py311h_0.conda"),
        "climbs out",
    ),
    "climbing-file": (moved(f"{CHANNEL}/linux-64/..%2f..%2fnumpy-2.0.1-py311h_0.conda"), "file name"),
    "backslash-file": (moved(f"{CHANNEL}/linux-64/..\\numpy-2.0.1-py311h_0.conda"), "file name"),
    "no-archive": (moved(f"{CHANNEL}/linux-64/numpy-2.0.1-py311h_0.exe"), "file name"),
    "another-package": (moved(f"{CHANNEL}/linux-64/evil-2.0.1-py311h_0.conda"), "is not numpy-2.0.1-BUILD"),
    "another-version": (moved(f"{CHANNEL}/linux-64/numpy-1.0-py311h_0.conda"), "is not numpy-2.0.1-BUILD"),
    "another-platform": (moved(f"{CHANNEL}/win-64/numpy-2.0.1-py311h_0.conda"), "is for win-64"),
    "version-with-spaces": (lambda p: replace(p, version="2.0 ; rm"), "version"),
    "absurd-size": (lambda p: replace(p, size=10**15), "cannot be"),
    "negative-size": (lambda p: replace(p, size=-1), "cannot be"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_entry_is_refused_by_name(case: str) -> None:
    broken, words = BROKEN[case]
    with pytest.raises(LockError) as caught:
        validate.refuse_unsafe(lock(broken(package()), package("scipy", "1.14")), "x.conda-lock.yml")
    assert caught.value.code == "lock-unsafe"
    assert "numpy" in caught.value.message
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["-rf", "$(x)", "../x", "Numpy", "__cuda", "a b", "x\x1b[31m", "n" * 200])
def test_a_name_outside_condas_charset_is_refused(name: str) -> None:
    (found,) = validate.problems(lock(package(name)))
    assert "characters that conda does not allow" in found
    assert "\x1b" not in found


def test_two_entries_of_one_name_are_refused() -> None:
    (found,) = validate.problems(lock(package(), package(version="2.0.2")))
    assert found == "linux-64 numpy: is there twice"


def test_names_that_differ_in_case_or_dashes_only_are_refused() -> None:
    found = validate.problems(lock(pip_package("Foo_bar"), pip_package("foo-bar")))
    assert found == ("linux-64 foo-bar: collides with Foo_bar",)


def test_a_pip_entry_without_sha256_is_refused() -> None:
    (found,) = validate.problems(lock(pip_package(sha256=None, md5="b" * 32)))
    assert "no sha256" in found


def test_a_mirror_that_the_person_configured_may_be_private_and_plain() -> None:
    private = lock(package(url="http://10.0.0.7/cf/linux-64/numpy-2.0.1-py311h_0.conda"))
    assert validate.problems(private)
    mirrors = {"https://conda.anaconda.org/conda-forge": ("http://10.0.0.7/cf",)}
    assert validate.problems(private, mirrors=mirrors) == ()
    other = lock(package(url="http://10.0.0.7/cfevil/linux-64/numpy-2.0.1-py311h_0.conda"))
    assert validate.problems(other, mirrors=mirrors)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_loopback_may_be_plain_http(host: str) -> None:
    assert validate.problems(lock(package(url=f"http://{host}/c/linux-64/numpy-2.0.1-py311h_0.conda"))) == ()


def test_a_lock_with_only_an_md5_is_still_installed() -> None:
    assert validate.problems(lock(package(sha256=None))) == ()


def test_many_bad_entries_are_counted_and_the_first_named() -> None:
    with pytest.raises(LockError) as caught:
        validate.refuse_unsafe(lock(*(package(f"p{n}", md5=None, sha256=None) for n in range(9))), "x")
    assert "9 entries" in caught.value.message
    assert caught.value.cause is not None and "p0" in caught.value.cause and "4 more" in caught.value.cause


HOSTILE_YAML = {
    "alias-bomb": "a: &a [x,x,x]\nb: &b [*a,*a]\nversion: 1\n",
    "merge-bomb": "a: &a {x: y}\nb: {<<: *a}\n",
    "merge-tag": "a: {!!merge x: {y: z}}\n",
    "python-tag": "a: !!python/object/apply:os.system [echo]\n",
    "duplicate-key": "version: 1\nversion: 1\npackage: []\n",
    "deep-flow": "[" * 100_000,
    "deep-block": "".join(" " * n + "a:\n" for n in range(200)),
    "two-documents": "version: 1\n---\nversion: 1\n",
    "tab": "a:\n\t- b\n",
    "not-utf-8": "a: \xff\n",
    "key-is-a-map": "? {a: b}\n: c\n",
    "empty": "",
    "a-list": "- a\n",
    "a-text": "hello",
}


@pytest.mark.parametrize("case", HOSTILE_YAML)
def test_hostile_yaml_is_refused_before_it_grows(case: str) -> None:
    data = HOSTILE_YAML[case].encode("latin-1")
    start = time.perf_counter()
    with pytest.raises(LockError) as caught:
        conda_lock.parse(data, "x.yml")
    assert time.perf_counter() - start < 5  # safe_load takes minutes for some
    assert caught.value.message.startswith("x.yml")


def written(**changes: object) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": "numpy",
        "version": "2.0.1",
        "manager": "conda",
        "platform": "linux-64",
        "dependencies": {},
        "url": f"{CHANNEL}/linux-64/numpy-2.0.1-py311h_0.conda",
        "hash": {"md5": "b" * 32},
        "category": "main",
        "optional": False,
    }
    entry |= changes
    return {
        "version": 1,
        "metadata": {
            "content_hash": {},
            "channels": [{"url": "conda-forge", "used_env_vars": []}],
            "platforms": ["linux-64", "linux-ppc64le"],
            "sources": [],
        },
        "package": [{k: v for k, v in entry.items() if v is not None}],
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "package 1"),
        ({"url": None}, "package numpy"),
        ({"version": None}, "package numpy"),
        ({"manager": "npm"}, "package numpy"),
        ({"platform": "osx-64"}, "package numpy"),
        ({"hash": ["x"]}, "package numpy"),
        ({"hash": {"md5": ["x"]}}, "package numpy"),
        ({"dependencies": "x"}, "package numpy"),
    ],
    ids=[
        "no-name",
        "no-url",
        "no-version",
        "manager",
        "platform",
        "hash-list",
        "hash-nested",
        "dependencies",
    ],
)
def test_a_damaged_entry_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(LockError) as caught:
        conda_lock.parse(json.dumps(written(**changes)).encode(), "x.yml")
    assert words in caught.value.message


def test_a_lock_of_a_newer_format_is_not_guessed_at() -> None:
    document = written() | {"version": 2}
    with pytest.raises(LockError, match="version 2"):
        conda_lock.parse(json.dumps(document).encode(), "x.yml")


def test_categories_that_differ_in_version_are_not_silently_misread() -> None:
    document = written()
    entries = document["package"]
    assert isinstance(entries, list)
    url = f"{CHANNEL}/linux-64/numpy-1.0-py311h_0.conda"
    entries.append(entries[0] | {"category": "dev", "version": "1.0", "url": url})
    lock_ = conda_lock.parse(json.dumps(document).encode(), "x.yml")
    assert validate.problems(lock_) == ("linux-64 numpy: is there twice",)


def test_what_conda_lock_leaves_out_by_default_is_left_out() -> None:
    document = written(category="docs", optional=True)
    (solution,) = conda_lock.parse(json.dumps(document).encode(), "x.yml").solutions
    assert solution.packages == ()


def test_a_channel_without_md5_is_an_error_with_the_package_and_the_reason() -> None:
    with pytest.raises(LockError) as caught:
        conda_lock_write.render(lock(package(md5=None)), file_name="x")
    assert "numpy" in caught.value.message
    assert caught.value.cause is not None and "md5" in caught.value.cause
