"""Asks NVML what GPU there is, in a process of its own: a broken driver can hang or crash whoever asks.

``python -m coursectl.backends.gpu_child`` prints one line of JSON: ``{"cuda": "12.6", "name": "...",
"driver": "...", "count": 1}`` or ``{"problem": "..."}``.
"""

from __future__ import annotations

import json
import os
import sys


def look() -> dict[str, object]:
    """What NVML says; never raises for what the driver does."""
    import pynvml

    try:
        pynvml.nvmlInit()
        version = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())  # 12060 is 12.6
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        count = int(pynvml.nvmlDeviceGetCount())
        name = _text(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))) if count else None
    except pynvml.NVMLError as exc:
        return {"problem": str(exc)}
    return {
        "cuda": f"{version // 1000}.{version % 1000 // 10}",
        "name": name,
        "driver": driver,
        "count": count,
    }


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look()) + "\n")
    sys.stdout.flush()
    os._exit(0)  # without the driver's own clean-up, which is where some of them hang
