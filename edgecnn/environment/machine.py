"""This machine, as every record names it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from edgecnn.records import Machine

# Whether int8 is fast, and on which kernels: x86 has dot products with VNNI and AMX, ARM with asimddp and i8mm.
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
INSTRUCTION_SETS = ("avx2", *DOT_PRODUCTS)


@cache
def this_machine() -> Machine:
    """Facts about the machine this process runs on, without its name."""
    cpuinfo = Path("/proc/cpuinfo")
    facts = [line.partition(":") for line in cpuinfo.read_text().splitlines()] if cpuinfo.is_file() else []
    known = {name.strip(): value.strip() for name, _, value in reversed(facts)}  # of the first core
    features = known.get("flags", known.get("Features", "")).split()  # x86, ARM
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Machine(
        cpu=known.get("model name", "") or platform.processor() or platform.machine(),
        cores=usable_cores(),
        memory_bytes=memory,
        system=f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        python=platform.python_version(),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in features),
        gpus=_gpus(),
    )


def _gpus() -> tuple[str, ...]:
    """NVIDIA's GPUs here, each with its driver's version, as its own tool names them; none where that is missing."""
    tool = shutil.which("nvidia-smi")
    query = [str(tool), "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=30) if tool else None
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = listed.stdout.splitlines() if listed and listed.returncode == 0 else []
    return tuple(", driver ".join(part.strip() for part in line.rsplit(",", 1)) for line in lines if "," in line)


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def import_path() -> str:
    """PYTHONPATH for a Python process of ours: it finds this very package, installed or not."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
