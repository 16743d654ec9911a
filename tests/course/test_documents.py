"""YAML that could hurt, or mean something else than it says, is refused before it does."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from coursectl import documents
from coursectl.errors import CourseFileError


def parse(text: str) -> documents.Document:
    return documents.parse(text, path=Path("course.yaml"), label="course.yaml")


def merge_bomb() -> str:
    """About 420 bytes; every row makes PyYAML's safe_load six times slower (the row before: 1.8 s)."""
    rows = ["a0: &a0 {x: 1}"]
    rows += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 6)}]}}" for n in range(1, 10)]
    return "\n".join(rows) + "\n"


def alias_bomb() -> str:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    "text",
    [
        merge_bomb(),
        alias_bomb(),
        "[" * 500_000,
        "{" * 500_000,
        "- " * 500_000,
        "a: " + "x" * 100 + "\n? " * 100_000,
        "\n".join(" " * n + "a:" for n in range(1_000)),
    ],
    ids=["merges", "aliases", "lists", "mappings", "items", "keys", "indents"],
)
def test_a_bomb_goes_off(text: str) -> None:
    parse("a: 1")  # import yaml
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(CourseFileError):
            parse(text)
        seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < 1  # measured: below 10 ms
    assert peak < 20_000_000


def test_a_file_larger_than_the_limit_is_read(tmp_path: Path) -> None:
    big = tmp_path / "course.yaml"
    big.write_bytes(b"a: 1\n" * (documents.MAX_BYTES // 5 + 1))
    with pytest.raises(CourseFileError, match=r"^course\.yaml: larger than 1,000,000 bytes$"):
        documents.load(big)


def test_thirty_levels_are_too_many_or_thirty_one_are_allowed() -> None:
    assert parse("[" * 31 + "]" * 31).data is not None
    with pytest.raises(CourseFileError, match=r"^course\.yaml:1: nesting deeper than 30 is not allowed$"):
        parse("[" * 32 + "]" * 32)


def test_a_text_turns_into_a_number_a_truth_or_a_time() -> None:
    data = parse("a: 3.10\nb: no\nc: 12:30\nd: 2026-01-01\ne: 0x1F\nf: ~\ng:\nh: ''\ni: 'null'").data
    assert data == {
        "a": "3.10",
        "b": "no",
        "c": "12:30",
        "d": "2026-01-01",
        "e": "0x1F",
        "f": None,
        "g": None,
        "h": "",
        "i": "null",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: caf\xe9\n", "course.yaml:1: the byte 0xe9 is not UTF-8"),
        ("a: 1\nb: é".encode("utf-16"), "course.yaml:1: the file is UTF-16"),
        (b"a: 1\nb: \x07", "course.yaml:2: a control character"),
        (b"a: 1\nb: x\x00y", "course.yaml:2: a control character"),
        (b"%TAG ! tag:x,2000:\n---\na: 1", "course.yaml:1: a %TAG directive is not allowed"),
        (b"? [a]\n: b", "course.yaml:1: a list or mapping as a key is not allowed"),
        (b"~: b", "course.yaml:1: an empty key is not allowed"),
    ],
)
def test_bytes_that_are_no_text_reach_the_parser(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "course.yaml"
    path.write_bytes(content)
    with pytest.raises(CourseFileError) as caught:
        documents.load(path)
    assert caught.value.message == message


def test_a_byte_order_mark_or_windows_line_ends_change_the_meaning(tmp_path: Path) -> None:
    path = tmp_path / "course.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - c\r\n")
    document = documents.load(path)
    assert document.data == {"a": "1", "b": ["c"]}
    assert (document.line(("b",)), document.line(("b", 0))) == (2, 3)


def test_a_line_number_is_lost_or_wrong() -> None:
    document = parse("a: 1\n# why\nb:\n  c: [x,\n      y]\n")
    assert document.lines == {"": 1, "a": 1, "b": 3, "b.c": 4, "b.c[0]": 4, "b.c[1]": 5}
    assert document.line(("b", "none", "such")) == 3


def test_a_folder_in_place_of_the_file_is_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(CourseFileError, match=r"^x: cannot be read$"):
        documents.load(tmp_path, label="x")
    with pytest.raises(CourseFileError, match=r"^x: there is no such file$"):
        documents.load(tmp_path / "none", label="x")
