"""Drivers that are absent, broken, hanging or fine, as real libraries that the real NVML binding loads."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

from coursectl import process
from coursectl.backends import gpu

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="builds a Linux driver library")
HAS_DRIVER = gpu._without_driver() is None

FINE = """
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 12060; return 0; }
int nvmlSystemGetDriverVersion(char *s, unsigned n) { __builtin_strcpy(s, "560.35.03"); return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = COUNT; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)1; return 0; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) { __builtin_strcpy(s, "NVIDIA T4"); return 0; }
"""
INIT = "int nvmlInit_v2(void) {{ {0} }} int nvmlInitWithFlags(unsigned f) {{ {0} }}"


def _driver(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the driver library of this test cannot be built")
    (folder / "nvml.c").write_text(source)
    library = folder / "libnvidia-ml.so.1"
    done = process.run((compiler, "-w", "-shared", "-fPIC", "-o", library, folder / "nvml.c"), timeout=60)
    assert done.ok, done.stderr
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))


def test_a_driver_that_works_names_the_gpu_and_its_cuda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _driver(tmp_path, FINE.replace("COUNT", "2"), monkeypatch)
    seen = gpu.probe()
    assert (seen.cuda, seen.name) == ("12.6", "NVIDIA T4")
    assert seen.reason == "NVIDIA T4 and 1 more, driver 560.35.03, CUDA up to 12.6"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (FINE.replace("COUNT", "0"), "the NVIDIA driver sees no GPU"),
        (INIT.format("return 9;"), "the NVIDIA driver does not work"),
        (INIT.format("__builtin_trap();"), "ended with -"),
        (INIT.format("for (;;);"), "did not answer within 1 s"),
    ],
    ids=["no gpu", "not loaded", "crashes", "hangs"],
)
def test_a_driver_that_does_not_work_is_a_reason_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    _driver(tmp_path, source, monkeypatch)
    start = time.monotonic()
    seen = gpu.probe(timeout=1 if "for (" in source else 10)
    assert seen.cuda is None
    assert reason in seen.reason
    assert time.monotonic() - start < 9


def test_a_library_that_is_no_library_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if HAS_DRIVER:
        pytest.skip("this machine has a driver, which would be found after the broken one")
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    seen = gpu.probe(timeout=10)
    assert seen.cuda is None
    assert "the NVIDIA driver does not work" in seen.reason


def test_a_machine_without_a_driver_starts_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    if HAS_DRIVER:
        pytest.skip("this machine has a driver")

    def forbidden(*args: object, **kwargs: object) -> process.Completed:
        raise AssertionError("a program was started")

    monkeypatch.setattr(process, "run", forbidden)
    assert gpu.probe().reason == "no NVIDIA GPU found"
