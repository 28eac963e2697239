"""Where workers run: in this Python, in another of this machine, or on a device that is reached by ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgecnn.device import Device
from edgecnn.errors import MachineError
from edgecnn.link import Process
from edgecnn.run import import_path

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = (3, 11)
ASK_SECONDS = 30.0


class Channel(Protocol):
    """A worker's two pipes."""

    def exchange(self, line: str) -> str:
        """Send a line, wait for the answer; "" when the worker has died."""

    def last_words(self) -> str:
        """How a worker that died ended."""

    def close(self) -> None:
        """End the worker."""


class Place(Protocol):
    """Where workers run, and how files get there; a context manager."""

    name: str  # "" for this very Python

    def start(self, cores: str = "") -> Channel:
        """A worker that may use these cores, as in "0,1" ("": all)."""

    def put(self, path: Path) -> str:
        """The path, over there, of a file or folder of ours."""

    def result(self, path: Path) -> str:
        """Where over there a worker writes what :meth:`fetch` is to bring to `path`."""

    def fetch(self, path: Path) -> None:
        """Bring what a worker wrote to the place it is wanted at."""

    def close(self) -> None:
        """Leave nothing behind."""


class Here:
    """This machine; its files lie where they are."""

    def __init__(self, python: str = "") -> None:
        self.name, self._folder = python, ""
        self._python, self._search_path = sys.executable, import_path()
        if python and Path(python).absolute() != Path(sys.executable):
            self._python = _checked(python)
            # A folder with this package alone: from where it is installed, this Python's packages would come along.
            self._folder = tempfile.mkdtemp(prefix="edgecnn-")
            (Path(self._folder) / "edgecnn").symlink_to(Path(__file__).resolve().parent)
            self._search_path = self._folder

    def start(self, cores: str = "") -> Process:
        """A worker."""
        return Process(self._python, self._search_path, cores)

    def put(self, path: Path) -> str:
        """The file where it is."""
        return str(path)

    def result(self, path: Path) -> str:
        """Its own place."""
        return str(path)

    def fetch(self, path: Path) -> None:
        """It is there already."""

    def close(self) -> None:
        """Remove the folder for another Python."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _checked(python: str) -> str:
    """The interpreter's path; raises MachineError unless it is one and new enough."""
    path = shutil.which(python)
    if path is None:
        raise MachineError(f"There is no Python at {python}; name the interpreter of an environment with a runtime.")
    code = "import sys; print(*sys.version_info[:2])"
    try:
        said = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
        version = tuple(int(word) for word in said.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        version = ()
    if len(version) != 2:
        raise MachineError(f"{python} is no Python interpreter.")
    if version < OLDEST:
        raise MachineError(f"{python} is Python {version[0]}.{version[1]}; a worker needs 3.11 or newer.")
    return os.path.abspath(path)  # a virtual environment is known by its link: it is not resolved


@contextmanager
def place_of(device: str, python: str) -> Iterator[Place]:
    """The place that `--device` and `--python` name."""
    place: Place = Device(device, python) if device else Here(python)
    try:
        yield place
    finally:
        place.close()
