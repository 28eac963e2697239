"""A machine reached by ssh: a real OpenSSH server on loopback; what goes wrong ends in one sentence."""

from __future__ import annotations

import gc
import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.errors import MachineError, UsageError
from edgecnn.execution.client import ModelWorker, WorkerClient
from edgecnn.execution.ssh import SshHost
from edgecnn.records import Latency, Parity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.run_directory import Run

pytestmark = pytest.mark.slow

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
PYTHON = sys.executable

needs_sshd = pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="OpenSSH's server is not installed")


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def _until(reached: object, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if reached():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an OpenSSH server of our own; TMPDIR over there is a folder that a test can look into."""
    home = tmp_path / "ssh"
    home.mkdir(mode=0o700)
    (tmp_path / "there").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "authorized").write_text(_key(home / "user"))
    host_key = _key(home / "host")
    (home / "known").write_text(f"[127.0.0.1]:{port} {host_key}")
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n"
        f"PidFile {home}/pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nSetEnv TMPDIR={tmp_path}/there\n"
    )
    (home / "ssh_config").write_text(
        f"Host *\nIdentityFile {home}/user\nIdentitiesOnly yes\nUserKnownHostsFile {home}/known\n"
        "GlobalKnownHostsFile /dev/null\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    daemon = subprocess.Popen([str(SSHD), "-D", "-f", str(home / "sshd_config")], stderr=subprocess.PIPE)

    def answers() -> bool:
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", port)) == 0

    assert _until(answers), daemon.stderr
    monkeypatch.setenv("EDGECNN_SSH", f"ssh -F {home}/ssh_config")
    yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    daemon.terminate()
    daemon.wait()


def _left(there: Path) -> list[str]:
    return [path.name for path in there.iterdir() if not path.name.startswith(".")]


def _processes(there: Path) -> list[str]:
    """What still runs of what was started in the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(there).encode() in (entry / "environ").read_bytes() and (entry / "cmdline").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:60])
        except OSError:
            continue
    return found


@needs_sshd
def test_a_worker_answers_over_there_as_here(server: str, tiny_onnx: Path, tmp_path: Path) -> None:
    images, answers = tmp_path / "images.npy", [tmp_path / "here.npy", tmp_path / "away.npy"]
    np.save(images, np.random.default_rng(1).integers(0, 256, (70, 8, 8, 3), np.uint8))
    with ModelWorker("onnxruntime", tiny_onnx, threads=1) as worker:
        worker.run(images, answers[0])
    device = SshHost(server, PYTHON)
    try:
        with ModelWorker("onnxruntime", tiny_onnx, threads=1, host=device) as worker:
            assert worker.run(images, answers[1]) > 0
    finally:
        device.close()
    np.testing.assert_array_equal(np.load(answers[0]), np.load(answers[1]))
    assert _until(lambda: not _left(tmp_path / "there")), _left(tmp_path / "there")
    assert _until(lambda: not _processes(tmp_path / "there")), _processes(tmp_path / "there")


@needs_sshd
def test_bench_and_parity_measure_over_there(server: str, run: Run, tmp_path: Path) -> None:
    words = ["--remote", server, "--python", PYTHON, "--format", "onnx_int8", "--format", "tflite_int8"]
    assert command(["bench", str(run.root), *words, "--threads", "1", "--time-budget", "1"]) == 0
    record = run.load(run_directory.LATENCY, Latency, "bench")
    assert record.remote == server and record.machine and record.versions["numpy"]
    assert {row.format for row in record.rows} == {"onnx_int8", "tflite_int8"}
    assert command(["parity", str(run.root), *words, "--tolerance", "20"]) == 0
    parity = run.load(run_directory.PARITY, Parity, "parity")
    assert parity.remote == server and len(parity.rows) >= 2
    assert _until(lambda: not _left(tmp_path / "there")), _left(tmp_path / "there")
    assert _until(lambda: not _processes(tmp_path / "there")), _processes(tmp_path / "there")


@needs_sshd
def test_a_cut_connection_leaves_nothing_running(server: str, tiny_onnx: Path, tmp_path: Path) -> None:
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((4, 8, 8, 3), np.uint8))
    device = SshHost(server, PYTHON)
    try:
        worker = ModelWorker("onnxruntime", tiny_onnx, threads=1, host=device)
        threading.Timer(1, device._ssh.kill).start()
        with pytest.raises(MachineError, match=r"The connection to .* was lost"):
            while True:
                worker.ask("time", images=worker.put(images), batch=1, skip=0, calls=1000)
        worker.close()
    finally:
        device.close()
    assert _until(lambda: not _left(tmp_path / "there")), _left(tmp_path / "there")
    assert _until(lambda: not _processes(tmp_path / "there")), _processes(tmp_path / "there")


@needs_sshd
def test_another_host_key_is_refused(server: str, tmp_path: Path) -> None:
    port = server.rpartition(":")[2]
    known = tmp_path / "ssh" / "known"
    known.write_text(f"[127.0.0.1]:{port} {_key(tmp_path / 'other')}")
    with pytest.raises(MachineError, match=r"The host key of .* is not the one known here.*ssh-keygen -R\.$"):
        SshHost(server, PYTHON)
    known.write_text("")
    with pytest.raises(MachineError, match=r"The host key of .* is not known here; connect once"):
        SshHost(server, PYTHON)


@needs_sshd
def test_a_missing_python_is_named(server: str) -> None:
    with pytest.raises(MachineError, match=r"There is no python9 on .*127.0.0.1.*; install Python 3.11 or newer"):
        SshHost(server, "python9")


@needs_sshd
def test_a_missing_runtime_says_how_to_get_it(server: str, tiny_onnx: Path, tmp_path: Path) -> None:
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    device = SshHost(server, str(tmp_path / "bare" / "bin" / "python"))
    try:
        with pytest.raises(MachineError, match=r"numpy is not installed: .*bare/bin/python -m pip install numpy"):
            ModelWorker("onnxruntime", tiny_onnx, threads=1, host=device)
        with WorkerClient("offers", device) as far:
            assert far.ask("offers")["runtimes"]["onnxruntime"]["missing"].startswith("onnxruntime is not installed: ")
    finally:
        device.close()


@needs_sshd
def test_a_full_disk_is_told(server: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(there)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        large = tmp_path / "large.bin"
        large.write_bytes(bytes(8 << 20))
        device = SshHost(server, PYTHON)
        try:
            with pytest.raises(MachineError, match=r"The disk is full at ssh://"):
                device.put(large)
        finally:
            device.close()
        assert _until(lambda: not _left(there))
        (there / "filler").write_bytes(bytes(4_000_000))
        with pytest.raises(MachineError, match=r"The disk is full at ssh://"):
            SshHost(server, PYTHON)
        assert _left(there) == ["filler"]
    finally:
        subprocess.run(["umount", str(there)], check=True)


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if shutil.which("ssh") is None:
        pytest.skip("OpenSSH's far is not installed")
    with pytest.raises(MachineError, match=rf"The connection to 127.0.0.1:{port} was lost \(.*refused\)"):
        SshHost(f"ssh://127.0.0.1:{port}")


@pytest.mark.parametrize("command", ["no-such-program", "sh -c 'echo no; exit 255'"])
def test_a_connection_that_fails_leaves_no_file_open(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_SSH", command)
    gc.collect()  # what earlier tests left
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(MachineError):
            SshHost("ssh://pi@raspberry")
        gc.collect()
    assert [str(one.message) for one in seen] == []


@pytest.mark.parametrize("address", ["raspberry", "ssh://", "http://host", "ssh://host:port", "ssh://-oProxyCommand=x"])
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    with pytest.raises(UsageError, match="is not a remote host"):
        SshHost(address)
