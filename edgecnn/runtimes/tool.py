"""Programs that a runtime calls."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edgecnn.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping


def require_tools(packages: Mapping[str, str]) -> None:
    """Raise MachineError for the first of these programs that is missing, with the Debian package that brings it."""
    for tool, package in packages.items():
        if not shutil.which(tool):
            raise MachineError(f"{tool} is not installed; install Debian's package {package}, or an equal.")
