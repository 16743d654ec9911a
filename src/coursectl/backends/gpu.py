"""Whether this machine has an NVIDIA GPU that CUDA programs can use. A later issue looks deeper."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from coursectl import process
from coursectl.errors import CourseError
from coursectl.model.launch import GpuFact

_LIBRARY = "libnvidia-ml.so.1"
_FOLDERS = ("/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/run/opengl-driver/lib", "/usr/lib64", "/usr/lib")


def probe(timeout: float = 3.0) -> GpuFact:
    """What the accelerator is, asked of NVML in a child process that has `timeout` seconds.

    A machine without the driver's library is answered without a child, in well under a millisecond.
    """
    missing = _without_driver()
    if missing is not None:
        return GpuFact(cuda=None, name=None, reason=missing)
    argv = (sys.executable, "-P", "-m", "coursectl.backends.gpu_child")
    try:
        done = process.run(argv, timeout=timeout)
    except CourseError as exc:
        return GpuFact(cuda=None, name=None, reason=f"the GPU could not be asked: {exc.message}")
    if done.timed_out:
        reason = f"the NVIDIA driver did not answer within {timeout:g} s"
        return GpuFact(cuda=None, name=None, reason=reason)
    return fact(done.stdout, done.returncode)


def fact(answer: str, returncode: int) -> GpuFact:
    """The verdict over what the child printed before it ended.

    >>> fact('{"cuda": "12.6", "name": "NVIDIA T4", "driver": "560.35", "count": 1}', 0).reason
    'NVIDIA T4, driver 560.35, CUDA up to 12.6'
    >>> fact('{"problem": "Driver Not Loaded"}', 0).reason
    'the NVIDIA driver does not work: Driver Not Loaded'
    >>> fact("", -11).reason
    'asking the NVIDIA driver ended with -11'
    """
    try:
        seen = json.loads(answer.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return GpuFact(cuda=None, name=None, reason=f"asking the NVIDIA driver ended with {returncode}")
    if "problem" in seen:
        reason = f"the NVIDIA driver does not work: {seen['problem']}"
        return GpuFact(cuda=None, name=None, reason=reason)
    if not seen["count"]:
        return GpuFact(cuda=None, name=None, reason="the NVIDIA driver sees no GPU")
    more = f" and {seen['count'] - 1} more" if seen["count"] > 1 else ""
    reason = f"{seen['name']}{more}, driver {seen['driver']}, CUDA up to {seen['cuda']}"
    return GpuFact(cuda=seen["cuda"], name=seen["name"], reason=reason)


def _without_driver() -> str | None:
    """Why no NVIDIA driver can be here, from files alone; ``None`` where NVML is worth asking."""
    if sys.platform == "darwin":
        return "no NVIDIA GPU: macOS has no CUDA"
    if sys.platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvml.dll")
        older = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"), "NVIDIA Corporation/NVSMI/nvml.dll")
        return None if system.exists() or older.exists() else "no NVIDIA GPU found"
    if Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists():
        return None
    folders = [*filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")), *_FOLDERS]
    if any(Path(folder, _LIBRARY).exists() for folder in folders):
        return None
    try:
        # what the dynamic linker knows, read as bytes: asking it would start a program
        if _LIBRARY.encode() in Path("/etc/ld.so.cache").read_bytes():
            return None
    except OSError:
        pass
    return "no NVIDIA GPU found"
