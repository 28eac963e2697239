"""This machine and what is installed on it, as every record names them."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from edgecnn.records import Machine

VERSIONED_PACKAGES = (
    "edgecnn", "tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime", "ai-edge-litert", "numpy",
    "pillow", "tflite-micro",
)  # fmt: skip
RUNTIME_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "tflite-micro", "edgecnn")


@cache
def this_machine() -> Machine:
    """Facts about the machine this process runs on, without its name."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Machine(
        cpu=cpu,
        cores=usable_cores(),
        memory_bytes=memory,
        system=f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        python=platform.python_version(),
    )


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def installed_versions() -> dict[str, str]:
    """Versions of the packages whose change can change a result; only those installed."""
    import importlib.metadata  # takes 15 ms, a tenth of a whole prediction

    versions = {}
    for name in VERSIONED_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def runtime_versions() -> dict[str, str]:
    """Of what executes artifacts, "missing" for what is not installed."""
    versions = installed_versions()
    return {name: versions.get(name, "missing") for name in RUNTIME_PACKAGES}
