"""A machine that is reached by ssh: the worker's files are copied there, workers run there, nothing is left behind.

One connection carries everything, as JSON lines to `edgecnn.execution.remote_agent` there. ssh itself knows the
keys, the hosts and their ports; the environment variable EDGECNN_SSH, like GIT_SSH_COMMAND, holds the command to use in
its place.
"""

from __future__ import annotations

import base64
import io
import json
import os
import queue
import re
import shlex
import subprocess
import tarfile
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import MachineError, UsageError, from_os_error

if TYPE_CHECKING:
    from types import TracebackType

ADDRESS = re.compile(r"ssh://(?P<host>(?:\w[\w.+-]*@)?(?:\w[\w.-]*|\[[0-9a-fA-F:]+\]))(?::(?P<port>\d{1,5}))?/?")
OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "-o",
           "ServerAliveCountMax=3")  # fmt: skip
PING_SECONDS = 10.0
# What the remote python runs: it takes the package from stdin and goes on in it.
BEGINNING = """
import io, json, shutil, sys, tarfile, tempfile
folder = ""
try:
    if sys.version_info < (3, 11):
        raise RuntimeError("Python 3.11 or newer is needed, there is " + sys.version.split()[0])
    content = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    folder = tempfile.mkdtemp(prefix="edgecnn-")
    tarfile.open(fileobj=io.BytesIO(content)).extractall(folder)
except Exception as error:
    shutil.rmtree(folder, ignore_errors=True)
    number, words = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
    print(json.dumps({"id": 0, "errno": number, "error": words}), flush=True)
    sys.exit(1)
sys.path.insert(0, folder)
from edgecnn.execution.remote_agent import main
print(json.dumps({"id": 0, "folder": folder}), flush=True)
main(folder)
"""


def _ssh_command() -> list[str]:
    """The words of EDGECNN_SSH, or ssh where it is not set; raises UsageError for one that is no command."""
    text = os.environ.get("EDGECNN_SSH", "ssh")
    try:
        words = shlex.split(text)
    except ValueError as error:  # a quotation that does not end
        raise UsageError(f"EDGECNN_SSH is no command ({error}): {text}") from None
    if not words:
        raise UsageError("EDGECNN_SSH is empty; name a command in it, or unset it.")
    return words


class SshHost:
    """A connection; use as a context manager. Every method raises MachineError when the connection is lost."""

    def __init__(self, address: str, python: str = "") -> None:
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise UsageError(f"{address} is not a remote host; write it as ssh://user@host or ssh://user@host:port.")
        self.name, self._python = address, python or "python3"
        command = _ssh_command()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        port = ["-p", match["port"]] if match["port"] else []
        code = f"exec {shlex.quote(self._python)} -c {shlex.quote(BEGINNING)}"
        try:
            self._ssh = subprocess.Popen(
                [*command, *OPTIONS, *port, "--", match["host"].replace("[", "").replace("]", ""), code],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            )  # fmt: skip
        except FileNotFoundError:
            self._stderr.close()
            raise MachineError(f"{command[0]} is not installed here; install OpenSSH's far.") from None
        self._sending, self._number, self._lost, self._words = threading.Lock(), 0, False, ""
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {0: queue.SimpleQueue()}
        self._there: dict[Path, str] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._receive, daemon=True).start()
        try:
            package = _package()
            self._send(f"{len(package)}\n".encode() + package)
            self._folder: str = self._checked(self._waiting[0].get(), "the worker's files")["folder"]
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._ping, daemon=True).start()

    def start(self, cpu_affinity: str = "") -> RemoteProcess:
        """A remote worker."""
        return RemoteProcess(self, self.ask("start", "a worker", cpu_affinity=cpu_affinity)["worker"])

    def put(self, path: Path) -> str:
        """Copy a file or a folder to the host, once; its remote path."""
        if path not in self._there:
            name = f"{len(self._there)}-{path.name}"
            content = _packed(path) if path.is_dir() else path.read_bytes()
            data = base64.b64encode(content).decode()
            self._there[path] = self.ask("put", path.name, path=name, data=data, tar=path.is_dir())["path"]
        return self._there[path]

    def result(self, path: Path) -> str:
        """The remote path of what :meth:`fetch` brings to `path`."""
        return f"{self._folder}/{path.name}"

    def fetch(self, path: Path) -> None:
        """Bring what a worker wrote."""
        path.write_bytes(base64.b64decode(self.ask("get", path.name, path=path.name)["data"]))

    def ask(self, do: str, what: str, **arguments: object) -> dict[str, Any]:
        """One request to the hub; `what` is its subject in a sentence."""
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._sending:
            self._number += 1
            number = self._number
            self._waiting[number] = answers
        if self._lost:
            raise self._why()
        self._send(json.dumps({"id": number, "do": do, **arguments}).encode() + b"\n")
        return self._checked(answers.get(), what)

    def close(self) -> None:
        """End the connection: everything on the host ends with it."""
        self._closed.set()
        assert self._ssh.stdin is not None
        with suppress(BrokenPipeError):
            self._ssh.stdin.close()
        try:
            self._ssh.wait(10)
        except subprocess.TimeoutExpired:
            self._ssh.kill()
            self._ssh.wait()
        with self._sending:
            self._words = self._said()
            self._stderr.close()

    def __enter__(self) -> SshHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, content: bytes) -> None:
        assert self._ssh.stdin is not None
        try:
            with self._sending:
                self._ssh.stdin.write(content)
                self._ssh.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._why() from None

    def _receive(self) -> None:
        assert self._ssh.stdout is not None
        with self._ssh.stdout as lines:
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:  # what a login shell prints
                    continue
                if isinstance(answer, dict) and (waiting := self._waiting.get(answer.get("id", -1))):
                    waiting.put(answer)
        self._lost = True
        for waiting in list(self._waiting.values()):
            waiting.put({"lost": True})

    def _ping(self) -> None:
        while not self._closed.wait(PING_SECONDS):
            try:
                self._send(b'{"id": 0, "do": "ping"}\n')
            except MachineError:
                return

    def _checked(self, answer: dict[str, Any], what: str) -> dict[str, Any]:
        if "lost" in answer:
            raise self._why()
        if "error" in answer:
            known = from_os_error(OSError(answer["errno"], answer["error"], f"{self.name} ({what})"))
            raise known or MachineError(f"{self.name} cannot take {what}: {str(answer['error']).rstrip('.')}.")
        return answer

    def _said(self) -> str:
        """What ssh said, after close() too; to be called with `_sending` held."""
        if self._stderr.closed:
            return self._words
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def _why(self) -> MachineError:
        """Why there is no connection, from what ssh said."""
        try:
            self._ssh.wait(10)
        except subprocess.TimeoutExpired:
            self._ssh.kill()
        with self._sending:
            lines = [line for line in self._said().splitlines() if line.strip("@ ")]
        text, last = "\n".join(lines), (lines or ["it said nothing"])[-1].strip().rstrip(".")
        host = self.name.removeprefix("ssh://")
        if "IDENTIFICATION HAS CHANGED" in text:
            return MachineError(
                f"The host key of {host} is not the one known here: make sure that it is the right machine, then "
                "remove the old key with ssh-keygen -R."
            )
        if "Host key verification failed" in text:
            return MachineError(f"The host key of {host} is not known here; connect once with ssh to accept it.")
        if "Permission denied" in text:
            return MachineError(f"{host} refuses the login; set up a key, ssh-copy-id does it.")
        if self._ssh.returncode == 127 or "not found" in last:
            return MachineError(
                f"There is no {self._python} on {host}; install Python 3.11 or newer with numpy and a runtime "
                "there, or name its interpreter with --python."
            )
        return MachineError(f"The connection to {host} was lost ({last}); run the same command again.")


class RemoteProcess:
    """A worker on a device, used as a :class:`edgecnn.execution.process.Process` is."""

    def __init__(self, device: SshHost, number: int) -> None:
        self._device, self._number, self._words = device, number, ""

    def exchange(self, line: str) -> str:
        """Send a line and wait for the answer; "" when the worker has died."""
        answer = self._device.ask("ask", "a request", worker=self._number, line=line)
        self._words = answer.get("last_words", "")
        return str(answer["line"])

    def last_words(self) -> str:
        """How a worker that died ended."""
        return self._words

    def close(self) -> None:
        """End the worker."""
        try:
            self._device.ask("stop", "a worker's end", worker=self._number)
        except MachineError:  # the connection is gone, and the worker with it
            return


def _packed(folder: Path) -> bytes:
    """A folder as a tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, ".")
    return content.getvalue()


def _package() -> bytes:
    """This package's sources as a compressed tar: little, and all that a worker can need."""
    content, home = io.BytesIO(), Path(__file__).parent.parent
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for source in sorted(home.rglob("*.py")):
            archive.add(source, f"edgecnn/{source.relative_to(home).as_posix()}")
    return content.getvalue()
