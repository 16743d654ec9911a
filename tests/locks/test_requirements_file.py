"""Hashed requirements: what pip and uv would install beyond the pins is refused, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursectl.errors import LockError
from coursectl.lockfiles import requirements
from coursectl.model.platform import Platform

HASH = "--hash=sha256:" + "a" * 64
SOUND = f"""\
# python 3.11: made by coursectl
# spec {"d" * 64}
# download bytes linux-64 100, win-64 200
numpy==2.0.1 \\
    {HASH} \\
    --hash=sha256:{"b" * 64}
pywinpty==3.0.0 ; sys_platform == 'win32' \\
    {HASH}
uvicorn[standard]==0.30 ; python_version >= "3.9" {HASH}   # via x
"""


def test_pins_markers_hashes_and_the_record_are_read() -> None:
    lock = requirements.parse(SOUND.encode(), "x.txt")
    assert [(p.name, p.version, p.marker, len(p.hashes), p.extras) for p in lock.pins] == [
        ("numpy", "2.0.1", None, 2, ()),
        ("pywinpty", "3.0.0", 'sys_platform == "win32"', 1, ()),
        ("uvicorn", "0.30", 'python_version >= "3.9"', 1, ("standard",)),
    ]
    assert lock.python == "3.11"
    assert lock.text == SOUND
    assert lock.sizes == {Platform.LINUX_64: 100, Platform.WIN_64: 200}
    assert requirements.spec_of(SOUND) == "d" * 64
    assert len(requirements.applicable(lock.pins, Platform.LINUX_64, "3.11")) == 2
    assert len(requirements.applicable(lock.pins, Platform.WIN_64, "3.11")) == 3


def test_the_record_is_written_once_however_often() -> None:
    once = requirements.with_record(SOUND, "e" * 64, {Platform.OSX_64: 7})
    assert requirements.with_record(once, "e" * 64, {Platform.OSX_64: 7}) == once
    assert once.count("# spec") == 1 and "d" * 64 not in once


UNSAFE = {
    "option": f"-e .\nnumpy==1 {HASH}",
    "other-file": "-r other.txt",
    "no-hash": "numpy==1",
    "md5": "numpy==1 --hash=md5:" + "a" * 32,
    "no-pin": f"numpy>=1 {HASH}",
    "wildcard": f"numpy==1.* {HASH}",
    "two-pins": f"numpy==1,==2 {HASH}",
    "no-requirement": f"??? {HASH}",
    "address-without-tls": f"numpy @ http://example.org/numpy-1-py3-none-any.whl {HASH}",
    "private-address": f"numpy @ https://10.0.0.1/numpy-1-py3-none-any.whl {HASH}",
    "git": f"numpy @ git+https://example.org/x.git {HASH}",
    "index-without-tls": f"--index-url http://example.org/simple\nnumpy==1 {HASH}",
    "trusted-host": f"--trusted-host example.org\nnumpy==1 {HASH}",
    "twice": f"numpy==1 {HASH}\nNumPy==2 {HASH}",
}


@pytest.mark.parametrize("case", UNSAFE)
def test_what_is_no_hashed_pin_is_refused_with_its_line(case: str) -> None:
    with pytest.raises(LockError, match=r"^x\.txt:[23] "):
        requirements.parse(f"# python 3.11: x\n{UNSAFE[case]}\n".encode(), "x.txt")


def test_addresses_that_a_courses_own_spec_has_are_kept() -> None:
    text = (
        "# python 3.11: x\n--find-links https://example.org/whl/torch_stable.html\n"
        f"torch==1.5.0+cpu {HASH}\nnote @ https://example.org/note-1.0-py3-none-any.whl {HASH}\n"
    )
    lock = requirements.parse(text.encode(), "x.txt")
    assert [(p.name, p.version) for p in lock.pins] == [("torch", "1.5.0+cpu"), ("note", "1.0")]


def test_a_lock_that_names_no_python_is_refused() -> None:
    with pytest.raises(LockError, match="for which Python"):
        requirements.parse(f"numpy==1 {HASH}\n".encode(), "x.txt")


def test_a_missing_or_binary_file_is_a_lock_error(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="cannot read"):
        requirements.read_requirements_lock(tmp_path / "none.txt")
    with pytest.raises(LockError, match="UTF-8"):
        requirements.parse(b"\xff\xfe", "x.txt")
