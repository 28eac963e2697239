"""Programs that some commands use where they are installed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.records import Check
from edgecnn.records.diagnosis import MISSING, OK

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Tool:
    """A tool, the programs any of which will do, what it is for, and the package that brings it on Debian."""

    name: str
    programs: tuple[str, ...]
    purpose: str
    package: str


TOOLS = (
    Tool("C compiler", ("cc", "gcc", "clang"), "c_int8: parity, bench and bundles", "gcc"),
    Tool("C++ compiler", ("c++", "g++", "clang++"), "self-tests of bundles", "g++"),
    Tool("QEMU", ("qemu-x86_64-static", "qemu-x86_64"), "parity --cpu", "qemu-user-static"),
    Tool("compiler for Cortex-M", ("arm-none-eabi-gcc",), "parity --runtime qemu", "gcc-arm-none-eabi"),
    Tool("QEMU for boards", ("qemu-system-arm",), "parity --runtime qemu", "qemu-system-arm"),
    Tool("ssh", ("ssh",), "parity and bench --remote", "openssh-client"),
    Tool("npm", ("npm",), "bundle --target web, parity --runtime web", "npm"),
    Tool("Node.js", ("node",), "self-tests of web bundles", "nodejs"),
    Tool("Chromium", ("chromium", "chromium-browser", "google-chrome", "chrome"), "parity --runtime web", "chromium"),
    Tool("JDK", ("javac",), "self-tests of Android bundles", "default-jdk-headless"),
    Tool("Maven", ("mvn",), "self-tests of Android bundles", "maven"),
)


def tool_checks() -> Iterator[Check]:
    """Each tool: where it lies, or how to get it."""
    for tool in TOOLS:
        found = next((path for name in tool.programs if (path := shutil.which(name))), "")
        yield Check(
            group="tool",
            name=tool.name,
            state=OK if found else MISSING,
            detail=found or f"not installed; for {tool.purpose}",
            remedy="" if found else _remedy(tool),
        )


def _remedy(tool: Tool) -> str:
    if shutil.which("apt-get"):
        return f"sudo apt-get install {tool.package}"
    return f"install {tool.name} with this system's package manager"
