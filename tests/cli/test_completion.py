"""Completion in real shells, on a terminal, key by key."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
MAX_SECONDS = 60.0  # for one answer, however busy the machine is
CASES = {  # what is typed before the Tab key -> what the line is then
    "edgecnn exp": "edgecnn export",
    "edgecnn parity cifar10-r": "edgecnn parity cifar10-resnet8",
    "edgecnn export mi": "edgecnn export mine",
    "edgecnn export mine --format tflite_int8_": "edgecnn export mine --format tflite_int8_micro",
    "edgecnn bench mine --ep tens": "edgecnn bench mine --ep tensorrt",
    "edgecnn features cifar10-cnn --layer max_pooling2d_": "edgecnn features cifar10-cnn --layer max_pooling2d_1",
    "edgecnn predict cifar10-cnn pict": "edgecnn predict cifar10-cnn picture.png",
}
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
PREPARE = {
    "bash": "PS1=; bind 'set bell-style none'",
    "zsh": "PS1=; unsetopt beep; autoload -U compinit; compinit -u",
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a run and a picture, and the program as `edgecnn` in bin/."""
    program = tmp_path / "bin" / "edgecnn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m edgecnn "$@"\n')
    program.chmod(0o755)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "contract.json").touch()
    (tmp_path / "mischief").mkdir()
    (tmp_path / "picture.png").touch()
    return tmp_path


def _environment(here: Path) -> dict[str, str]:
    path = os.pathsep.join([str(here / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(here), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, words: list[str], here: Path) -> None:
        self._keys, screen = pty.openpty()
        self._shell = subprocess.Popen(
            words, stdin=screen, stdout=screen, stderr=screen, cwd=here, env=_environment(here), start_new_session=True
        )
        os.close(screen)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._keys, keys.encode())

    def wait_for(self, words: str) -> str:
        """Read until the words are on the screen; what was read."""
        seen, end = "", time.monotonic() + MAX_SECONDS
        while words not in seen and time.monotonic() < end:
            if select.select([self._keys], [], [], 0.2)[0]:
                seen += re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", os.read(self._keys, 4096).decode(errors="replace"))
        assert words in seen, seen
        return seen

    def close(self) -> None:
        """End the shell."""
        self._shell.kill()
        self._shell.wait()
        os.close(self._keys)


@pytest.fixture(params=list(START))
def shell(request: pytest.FixtureRequest, here: Path) -> Iterator[Terminal]:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    terminal = Terminal(START[name], here)
    try:
        terminal.type(f'{PREPARE[name]}; eval "$(_EDGECNN_COMPLETE={name}_source edgecnn)"; echo rea""dy\n')
        terminal.wait_for("ready")
        yield terminal
    finally:
        terminal.close()


def test_the_tab_key_completes_in_bash_and_zsh(shell: Terminal) -> None:
    for typed, whole in CASES.items():
        shell.type(f"{typed}\t")
        shell.wait_for(whole)
        shell.type("\x15")  # Ctrl-U, the line is not run


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_the_tab_key_completes_in_fish(here: Path) -> None:
    lines = "\n".join(f"echo === ; complete -C {shlex.quote(typed)}" for typed in CASES)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"_EDGECNN_COMPLETE=fish_source edgecnn | source\n{lines}"],
        cwd=here, env=_environment(here), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = done.stdout.split("===\n")[1:]
    for whole, offered in zip(CASES.values(), answers, strict=True):
        assert whole.rpartition(" ")[2] in [line.split("\t")[0] for line in offered.splitlines()], (whole, offered)


@pytest.mark.parametrize("line", CASES)
def test_it_loads_no_runtime(line: str, here: Path) -> None:
    words = line.split(" ")
    asks = {"_EDGECNN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; from edgecnn.cli import _run; assert _run([]) == 0; print('LOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env={**_environment(here), **asks}, capture_output=True, text=True
    )
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert "click" in loaded, done.stderr
    assert not {"tensorflow", "keras", "onnxruntime", "numpy", "onnx"} & set(loaded)


def test_an_option_says_its_own_names_only(here: Path) -> None:
    """The first words of a plug-in's names, in the order that help has them."""
    asks = {"_EDGECNN_COMPLETE": "bash_complete", "COMP_WORDS": "edgecnn train x --recipe", "COMP_CWORD": "4"}
    done = subprocess.run(
        ["edgecnn"], cwd=here, env={**_environment(here), **asks}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["plain,tutorial", "plain,tuned"]
