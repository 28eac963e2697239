"""How the program ends: by signals, with its children, without leftovers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edgecnn import processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SECONDS = 20.0  # at most, on a slow machine; nothing here is meant to take a second of it
NATIVE = "import ctypes; ctypes.PyDLL(None).sleep(60)"  # holds the lock that a signal's handler in Python needs
START = (
    "import subprocess, sys, time\n"
    "from edgecnn.processes import bound, claim_temporary_place, end_on_signals, spawn\n"
    "claim_temporary_place()\nend_on_signals()\n"
)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _program(code: str, folder: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", START + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


@pytest.mark.parametrize("number", processes.ENDING)
def test_a_signal_interrupts(number: int, tmp_path: Path) -> None:
    code = (
        "try:\n    print('ready', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('interrupted')"
    )
    with _program(code, tmp_path) as program:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
        program.send_signal(number)
        assert program.stdout.read() == "interrupted\n"
    assert program.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_does_not_listen(number: int, tmp_path: Path) -> None:
    code = (
        "while True:\n    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n        pass"
    )
    with _program(code, tmp_path) as program:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
        program.send_signal(number)
        _, said = program.communicate(timeout=SECONDS)
    assert program.returncode == 128 + number
    assert said == f"{processes.ending(number)}.\n"
    assert not [*tmp_path.glob("*/*")], "its temporary files are gone"


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    code = "print('ready', flush=True)\ntime.sleep(0.5)\nprint('done')"
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    words = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", START + code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as program:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGHUP)
        assert program.stdout.read() == "done\n"


CHILDREN = {
    "a program": "child = subprocess.Popen(bound(['sleep', '60']))\n",
    "one of ours": (
        "code = 'from edgecnn.processes import end_with_parent; end_with_parent(); print(1, flush=True); ' + NATIVE\n"
        "child = spawn([sys.executable, '-c', code], stdout=subprocess.PIPE)\nchild.stdout.readline()\n"
    ),
    "one of ours that is still starting": "child = spawn(['sleep', '60'])\n",
    "one started by a thread that has ended": (
        "import threading\nfound = []\n"
        "code = 'from edgecnn.processes import end_with_parent; end_with_parent(); print(1, flush=True); ' + NATIVE\n"
        "def start():\n    found.append(spawn([sys.executable, '-c', code], stdout=subprocess.PIPE))\n"
        "    found[0].stdout.readline()\n"
        "thread = threading.Thread(target=start)\nthread.start()\nthread.join()\nchild = found[0]\ntime.sleep(0.2)\n"
    ),
}


@linux
@pytest.mark.parametrize("kind", CHILDREN)
def test_a_child_is_killed_with_its_parent(kind: str, tmp_path: Path) -> None:
    code = f"NATIVE = {NATIVE!r}\n{CHILDREN[kind]}print(child.pid, child.poll(), flush=True)\ntime.sleep(60)\n"
    with _program(code, tmp_path) as program:
        assert program.stdout is not None
        pid, state = program.stdout.readline().split()
        assert state == "None", "it lives as long as its parent"
        assert _is_running(int(pid))
        program.kill()
        _wait_for(lambda: not _is_running(int(pid)))


def test_the_command_is_run_as_it_is(tmp_path: Path) -> None:
    done = subprocess.run(
        processes.bound(["sh", "-c", 'echo "$1"; exit 7', "sh", "a b"]), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (7, "a b\n")
    done = subprocess.run(processes.bound([str(tmp_path / "none")]), capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.endswith("No such file or directory\n")


@linux
def test_temporary_files_of_what_was_killed_are_swept_by_the_next_and_no_others(tmp_path: Path) -> None:
    code = "import tempfile\nprint(tempfile.mkdtemp(), flush=True)\ntime.sleep(60)"
    with _program(code, tmp_path) as living, _program(code, tmp_path) as dying:
        assert living.stdout is not None and dying.stdout is not None
        left, kept = dying.stdout.readline().strip(), living.stdout.readline().strip()
        dying.kill()
        dying.wait()
        assert os.path.isdir(left)
        done = _program("", tmp_path)
        assert done.wait(SECONDS) == 0
        assert not os.path.exists(left) and os.path.isdir(kept)
        living.terminate()
        living.wait(SECONDS)
    assert not [*tmp_path.glob("*/*")]


@linux
def test_a_place_that_is_somebody_elses_is_not_used(tmp_path: Path) -> None:
    place = tmp_path / f"edgecnn-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    program = _program("import tempfile\nprint(tempfile.gettempdir())", tmp_path)
    assert program.communicate()[0].strip() == str(tmp_path)
