"""Where workers run: in this Python, in another of this machine, on an emulated CPU, or on a device reached by ssh."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgecnn.environment import import_path
from edgecnn.errors import MachineError
from edgecnn.execution.emulation import guest_root, is_foreign, not_ready, pick_cpu, qemu
from edgecnn.execution.process import Process
from edgecnn.execution.ssh import SshHost
from edgecnn.processes import bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgecnn.execution.emulation import Cpu

OLDEST = (3, 11)
ASK_SECONDS, MOST_BANNER = 15.0, 1 << 20
MARK = "edgecnn-python"
# Environment variables that speak of this machine: kernels to choose, and programs of its architecture.
OF_THIS_CPU = ("OPENBLAS_CORETYPE",)
OF_THIS_ARCHITECTURE = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONPYCACHEPREFIX")


class Channel(Protocol):
    """A worker's two pipes."""

    def exchange(self, line: str) -> str:
        """Send a line, wait for the answer; "" when the worker has died."""

    def last_words(self) -> str:
        """How a worker that died ended."""

    def close(self) -> None:
        """End the worker."""


class Host(Protocol):
    """Where workers run, and how files get there; a context manager."""

    name: str  # "" for this very Python

    def start(self, cpu_affinity: str = "") -> Channel:
        """A worker that may use these cores, as in "0,1" ("": all)."""

    def put(self, path: Path) -> str:
        """The path on the host of a local file or folder."""

    def result(self, path: Path) -> str:
        """The path on the host of what :meth:`fetch` is to bring to `path`."""

    def fetch(self, path: Path) -> None:
        """Bring what a worker wrote to the place it is wanted at."""

    def close(self) -> None:
        """Leave nothing behind."""


class LocalHost:
    """This machine; its files lie where they are."""

    def __init__(self, python: str = "") -> None:
        self.name, self._folder = python, ""
        self._python, self._search_path = sys.executable, import_path()
        if python and Path(python).absolute() != Path(sys.executable):
            self._python = _checked(python)
            self._folder = self._search_path = _folder_with_package()

    def start(self, cpu_affinity: str = "") -> Process:
        """A worker."""
        return Process([self._python], self._search_path, cpu_affinity)

    def put(self, path: Path) -> str:
        """The file where it is."""
        return str(path)

    def result(self, path: Path) -> str:
        """Its own place."""
        return str(path)

    def fetch(self, path: Path) -> None:
        """It is there already."""

    def close(self) -> None:
        """Remove the folder, where there is one."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class Emulated(LocalHost):
    """This machine with another CPU, which QEMU emulates: its workers answer as that CPU's would, and much slower.

    A CPU of this machine's architecture executes this very Python; one of another executes the Python in `root`, which
    is what `edgecnn cpu install` installed unless another folder is given. Raises MachineError where that cannot be.
    """

    def __init__(self, cpu: Cpu, root: Path | None = None) -> None:
        super().__init__()
        if root is None and (reason := not_ready(cpu)):
            raise MachineError(f"{cpu.name} cannot be emulated here: {reason}.")
        self.name = cpu.name
        self.command = [qemu(cpu), "-cpu", cpu.model]
        self.without: tuple[str, ...] = OF_THIS_CPU
        if cpu.cpuinfo:
            self._folder = _folder_with_package()
            seen = Path(self._folder) / "root"  # what the emulated program sees in the place of /
            (seen / "proc").mkdir(parents=True)
            (seen / "proc" / "cpuinfo").write_text(cpu.cpuinfo)
            self.command += ["-L", str(seen)]
        if is_foreign(cpu):
            there = root or guest_root()
            for name in ("lib", "usr"):
                (seen / name).symlink_to(there / name)
            self._python = str(there / "usr" / "bin" / "python3")
            self.without += OF_THIS_ARCHITECTURE
            self._search_path = os.pathsep.join([self._folder, str(there / "packages")])
        self.command.append(self._python)

    def start(self, cpu_affinity: str = "") -> Process:
        """A worker; it leaves no core file where it crashes."""
        import resource

        worker = Process(self.command, self._search_path, cpu_affinity, self.without)
        resource.prlimit(worker.process.pid, resource.RLIMIT_CORE, (0, 0))
        return worker


def _folder_with_package() -> str:
    """A new folder with this package alone: from where it is installed, this Python's packages would come along."""
    folder = tempfile.mkdtemp(prefix="edgecnn-")
    (Path(folder) / "edgecnn").symlink_to(Path(__file__).resolve().parent.parent)
    return folder


def _checked(python: str) -> str:
    """The interpreter's path; raises MachineError unless it is one and new enough."""
    path = shutil.which(python)
    if path is None:
        raise MachineError(f"There is no Python at {python}; name the interpreter of an environment with a runtime.")
    version = _version(path)
    if version is None:
        raise MachineError(f"{python} is not a Python interpreter.")
    if version < OLDEST:
        raise MachineError(f"{python} is Python {version[0]}.{version[1]}; a worker needs 3.11 or newer.")
    return os.path.abspath(path)  # a virtual environment is known by its link: it is not resolved


def _version(path: str) -> tuple[int, int] | None:
    """What a Python says of its version, in a line that starts with a mark; other lines, a banner's, count for nothing.
    None where it says none within its time, and within so much text that a banner needs no more."""
    code = f"import sys; print(); print({MARK!r}, *sys.version_info[:2])"
    with suppress(OSError):
        process = subprocess.Popen(
            bound([path, "-c", code]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            process_group=0,
        )  # fmt: skip
        assert process.stdout is not None
        timer = threading.Timer(ASK_SECONDS, _end_group, (process,))
        timer.start()
        try:
            text = process.stdout.read(MOST_BANNER).decode(errors="replace")
        finally:
            timer.cancel()
            _end_group(process)
            process.stdout.close()
            process.wait()
        found = re.search(rf"^{MARK} (\d+) (\d+)\s*$", text, re.MULTILINE)
        return (int(found[1]), int(found[2])) if found else None
    return None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and those it started, which hold its pipe."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def host_of(remote: str, python: str) -> Iterator[Host]:
    """The host that `--remote` and `--python` name."""
    place: Host = SshHost(remote, python) if remote else LocalHost(python)
    try:
        yield place
    finally:
        place.close()


@contextmanager
def emulated(cpus: Iterable[str]) -> Iterator[dict[str, Host]]:
    """The hosts of `--cpu`, by name; raises UsageError for an unknown CPU, MachineError for one not ready here."""
    with ExitStack() as stack:
        hosts: dict[str, Host] = {}
        for name in dict.fromkeys(cpus):
            host = hosts[name] = Emulated(pick_cpu(name))
            stack.callback(host.close)
        yield hosts
