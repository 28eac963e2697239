"""Programs that a runtime calls."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from edgecnn.errors import InputError, MachineError
from edgecnn.processes import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def require_tools(packages: Mapping[str, str]) -> None:
    """Raise MachineError for the first of these programs that is missing, with the Debian package that brings it."""
    for tool, package in packages.items():
        if not shutil.which(tool):
            raise MachineError(f"{tool} is not installed; install Debian's package {package}, or an equal.")


def compile_c(command: Sequence[str], source: Path, look: Callable[[str], None] = lambda said: None) -> None:
    """Call a compiler; where it fails, `look` may raise an error of its own from what it said.

    Raises InputError with the first error of the compiler.
    """
    done = subprocess.run(bound(command), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        look(done.stderr)
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or [""]
        raise InputError(f"{source.name} does not compile with {command[0]}: {lines[0].strip()}")


def wrong_target(source: Path, target: str, place: str) -> MachineError:
    """The error for generated C that is written for other instructions than a place has."""
    remedy = "`edgecnn export` it with --target portable"
    return MachineError(f"{source.name} is written for {target}, which {place} does not run; {remedy}.")
