"""Progress on the terminal, and none elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import contextmanager, suppress
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from edgecnn import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def test_a_late_bar_is_drawn_after_two_seconds_where_results_go_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    clock = [0.0]

    @contextmanager
    def bar(label: str, total: float) -> Iterator[Callable[[float], None]]:
        yield drawn.append

    monkeypatch.setattr(console, "progress", bar)
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    for results_on_terminal in (False, True):
        monkeypatch.setattr(sys.stdout, "isatty", lambda shown=results_on_terminal: shown, raising=False)
        clock[0] = 0.0
        with console.late_progress("predicting", 4) as advance:
            for done, now in ((1, 0.5), (2, 1.9), (3, 2.1), (3.5, 2.15), (4, 2.3)):
                clock[0] = now
                advance(done)
    assert drawn == [3, 4]


@pytest.mark.parametrize("columns", [0, 1, 40, 80, 300])
def test_a_bar_fits_its_terminal_also_one_that_does_not_say_how_wide_it_is(columns: int) -> None:
    code = (
        "import time\nfrom edgecnn.console import progress\n"
        "with progress('training', 4) as advance:\n"
        "    for i in range(5):\n"
        "        advance(i)\n"
        "        time.sleep(0.15)\n"
    )
    keys, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 0, columns, 0, 0))
    subprocess.run([sys.executable, "-c", code], stdout=screen, stderr=screen, check=True)
    drawn = os.read(keys, 1 << 16).decode()
    for end in (screen, keys):
        os.close(end)
    lines = [line.strip() for line in drawn.split("\r") if line.strip()]
    assert len(lines) > 2 and all(line.startswith("training"[: columns or 80]) for line in lines), drawn
    if columns != 1:  # nothing fits there
        assert all(len(line) <= (columns or 80) for line in lines), drawn
    if columns in (0, 80, 300):
        assert all(" passed, " in line and line.endswith("left") for line in lines), drawn


def test_results_printed_under_a_bar_go_to_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    results, terminal = StringIO(), StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", results)
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.progress("predicting", 2) as advance:
        print("cat")
        console.log("a word")
        advance(1)
    assert results.getvalue() == "cat\n"
    assert "a word" in terminal.getvalue()


def test_a_job_that_prints_nothing_says_that_it_goes_on_and_how_far_it_is(tmp_path: Path) -> None:
    """Its output is a file; it waits for each line, however long that takes."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom edgecnn import console\nconsole.SILENCE_SECONDS = 0.01\n"
        "def wait_for(words):\n"
        "    while words not in Path('said').read_text():\n"
        "        time.sleep(0.01)\n"
        "with console.heartbeat('train'):\n"
        "    wait_for('[train] working, ')\n"
        "    with console.progress('training', 8) as advance:\n"
        "        wait_for('[train] training, ')\n"
        "        advance(2)\n"
        "        wait_for('[train] training 25%, ')\n"
        "    console.log('an epoch')\n"
        "console.log('the end')\n"
    )
    with (tmp_path / "said").open("w") as said:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stderr=said, check=True)
    assert (tmp_path / "said").read_text().endswith("the end\n")


def test_a_bar_on_a_terminal_is_left_alone_and_the_heartbeat_ends_with_a_killed_job() -> None:
    """Its pipe is closed when no process holds it any more."""
    code = (
        "import os, signal, time\nfrom edgecnn import console\nconsole.SILENCE_SECONDS = 0.01\n"
        "with console.heartbeat('train'), console.progress('training', 8) as advance:\n"
        "    for i in range(30):\n"
        "        advance(i / 4)\n"
        "        time.sleep(0.02)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    keys, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 80, 0, 0))
    subprocess.run([sys.executable, "-c", code], stdout=screen, stderr=screen, check=False)
    os.close(screen)
    drawn = b""
    with suppress(OSError):  # at the end, when nobody has the terminal open
        while True:
            drawn += os.read(keys, 1 << 16)
    os.close(keys)
    assert b"training" in drawn
    assert b"[train] training" not in drawn


def test_what_a_terminal_would_obey_is_spelled() -> None:
    assert console.printable("größe 鸟 \U0001f426\u200d") == "größe 鸟 \U0001f426\u200d"
    assert console.printable("a\x1b[2Jb\nc\x9b\u202e") == "a\\x1b[2Jb\\nc\\x9b\\u202e"
    assert console.printable(os.fsdecode(b"\xff.png")) == "\\udcff.png"
    assert console.printable("one\ntwo\r", lines=True) == "one\ntwo\\r"


def test_lines_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("an answer\x1b[2J\nof two lines")
    console.log("a remark\x07\nof two lines")
    assert capsys.readouterr() == ("an answer\\x1b[2J\\nof two lines\n", "a remark\\x07\\nof two lines\n")
