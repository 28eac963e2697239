"""CPUs that QEMU's user mode emulates: which there are, what they stand for, and whether they are ready here.

Only CPUs that were checked against native outputs are offered. QEMU's `-cpu max` is not among them: on it XNNPACK's
SME kernels classified 15 % correctly where every other CPU had 82 %, and whether QEMU or XNNPACK is at fault is open.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgecnn.environment import MISSING, UNKNOWN, canonical, user_cache, versions_of
from edgecnn.errors import unknown_name
from edgecnn.plugins import discover
from edgecnn.runtimes.runtime import Runtime

INT8_IMAGES, FLOAT_IMAGES = 1_000, 50  # that an emulated CPU runs by default: float takes about six times as long
GUEST_ARCHITECTURE = "aarch64"
VERSIONS = "versions.json"  # in the installed folder: package -> version
VERSION_SECONDS = 10.0
ARM_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 4

"""


@dataclass(frozen=True)
class Cpu:
    """A CPU to emulate; `cpuinfo` is its /proc/cpuinfo where the runtimes read one ("": they ask the CPU itself)."""

    name: str
    architecture: str  # as platform.machine() says it
    model: str  # what follows QEMU's -cpu; features that QEMU lacks are off, or it would warn of each
    stands_for: str
    cpuinfo: str = ""


CPUS = {
    cpu.name: cpu
    for cpu in (
        Cpu(
            "x86-64",
            "x86_64",
            "Nehalem",
            "x86 without AVX (Intel Nehalem): old PCs, Atom and Celeron boards",
        ),
        Cpu(
            "haswell",
            "x86_64",
            "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid",
            "x86 with AVX2 and without VNNI (Intel Haswell): Intel before Ice Lake, AMD before Zen 4",
        ),
        Cpu(
            "cortex-a53",
            "aarch64",
            "cortex-a53",
            "ARM without dot product: Raspberry Pi 3, cheap phones",
            ARM_CPUINFO.format(features="fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid", part="0xd03"),
        ),
        Cpu(
            "cortex-a76",
            "aarch64",
            "cortex-a76",
            "ARM with dot product: Raspberry Pi 5, phones since 2019",
            ARM_CPUINFO.format(
                features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
                "asimddp",
                part="0xd0b",
            ),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class CpuStatus:
    """A row of `edgecnn cpu list`."""

    name: str
    stands_for: str
    emulator: str  # with its version; "" where there is none
    ready: bool
    reason: str  # why it is not ready and what makes it so, in words; "" where it is


def pick_cpu(name: str) -> Cpu:
    """The CPU of that name; raises UsageError with the nearest names."""
    if name not in CPUS:
        raise unknown_name("CPU", name, CPUS)
    return CPUS[name]


def statuses() -> tuple[CpuStatus, ...]:
    """Every CPU and whether it is ready here."""
    found = []
    for cpu in CPUS.values():
        reason = not_ready(cpu)
        found.append(
            CpuStatus(name=cpu.name, stands_for=cpu.stands_for, emulator=emulator(cpu), ready=not reason, reason=reason)
        )
    return tuple(found)


def qemu(cpu: Cpu) -> str:
    """The path of the QEMU that emulates it, "" where there is none."""
    names = (f"qemu-{cpu.architecture}-static", f"qemu-{cpu.architecture}")
    return next((path for name in names if (path := shutil.which(name))), "")


def emulator(cpu: Cpu) -> str:
    """QEMU with its version, as in "qemu-x86_64 7.2.22"; "" where there is none."""
    path = qemu(cpu)
    return f"qemu-{cpu.architecture} {_version_of(path)}" if path else ""


@cache
def _version_of(path: str) -> str:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "of unknown version"
    words = told.stdout.partition("version ")[2].split()
    return words[0] if words else "of unknown version"


def is_foreign(cpu: Cpu) -> bool:
    """Whether it cannot execute this very Python."""
    return cpu.architecture != platform.machine()


def not_ready(cpu: Cpu) -> str:
    """Why the CPU cannot be emulated here and what makes it so, in words without a full stop; "" where it can."""
    if platform.system() != "Linux":
        return f"QEMU's user mode emulates a CPU on Linux only, and this is {platform.system()}"
    if is_foreign(cpu) and cpu.architecture != GUEST_ARCHITECTURE:
        return f"it runs this very Python, which is a program for {platform.machine()}"
    if not qemu(cpu):
        return "QEMU is missing; install the Debian package qemu-user-static (elsewhere qemu-user)"
    return _not_installed() if is_foreign(cpu) else ""


def _not_installed() -> str:
    """Why the programs of the other architecture are not usable; "" where they are."""
    there, wanted = guest_versions(), wanted_versions()
    if not there:
        return "its Python is missing; run `edgecnn cpu install arm64` once"
    other = [f"{name} {there.get(name, 'none')} there, {version} here" for name, version in wanted.items()
             if there.get(name) != version]  # fmt: skip
    if other:
        return f"it was installed for another environment ({', '.join(other)}); run `edgecnn cpu install arm64` again"
    return ""


def cache_folder() -> Path:
    """Where programs for other architectures are kept, in the user's cache."""
    return user_cache() / "cpu"


def guest_root() -> Path:
    """The folder with the other architecture's programs, whether or not it is there."""
    return cache_folder() / "arm64"


def guest_versions() -> dict[str, str]:
    """What is installed for the other architecture: package -> version; empty where nothing usable is."""
    try:
        found = json.loads((guest_root() / VERSIONS).read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


def guest_packages() -> tuple[str, ...]:
    """Import names of what the other architecture needs: numpy, and the runtimes that run on emulated CPUs."""
    runtimes = discover(Runtime).values()
    return ("numpy", *(package for runtime in runtimes if runtime.emulated for package in runtime.packages))


def wanted_versions() -> dict[str, str]:
    """The guest's packages in the versions of this environment; only those installed here."""
    here = {package: next(iter(versions_of((package,)).values())) for package in guest_packages()}
    return {canonical(package): version for package, version in here.items() if version not in (MISSING, UNKNOWN)}


def most_images(numbers: str) -> int:
    """How many images an emulated CPU runs by default through a file whose weights are of this kind."""
    return INT8_IMAGES if numbers == "int8" else FLOAT_IMAGES
