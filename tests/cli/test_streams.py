"""Streams that are closed, full, or of another encoding; names of files that are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.datasets.synthetic import draw
from edgecnn.records import Contract, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

EVIL = b"a\xff\x1b[2J\n.png"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full, and any bytes in names")


@pytest.fixture
def folder(tmp_path: Path, tiny_onnx: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    os.rename(tmp_path / "red.png", os.fsencode(tmp_path) + b"/" + EVIL)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path


def _run(folder: Path, arguments: str, redirection: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    line = f"exec {sys.executable} -m edgecnn {arguments} {redirection}"
    return subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, env={**os.environ, **env})


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        ("<&-", 0, b""),
        ("2>&-", 0, b""),
        ("2>/dev/full", 0, b""),
        (">&-", 3, b"Error: The system refuses standard output: Bad file descriptor.\n"),
        (">/dev/full", 3, b"Error: The disk is full at standard output; free some space and run the same command "
                          b"again.\n"),
        (">/dev/full 2>&1", 3, b""),
        (">&- 2>&- <&-", 3, b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["predict tiny.onnx red.png", "inspect tiny.onnx --json", "compare --json x y"])
def test_streams_that_are_no_use(folder: Path, redirection: str, code: int, told: bytes, command: str) -> None:
    done = _run(folder, command, redirection)
    if command.startswith("compare"):  # which has nothing to say on stdout
        assert done.returncode == 4 and done.stderr.count(b"\n") == ("2>" not in redirection)
    else:
        assert (done.returncode, done.stderr) == (code, told)


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["<&- >/dev/full 2>/dev/full", "<&- >&- 2>&-"])
def test_a_training_loses_nothing_where_streams_are_no_use(tmp_path: Path, redirection: str) -> None:
    pytest.importorskip("tensorflow")
    images, labels = draw(120, seed=1, split="train")
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels % 2, x_test=images, y_test=labels % 2,
             labels=np.array(["a", "b"]))  # fmt: skip
    done = _run(tmp_path, "train run --data data.npz --epochs 1", redirection, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (3, b"")  # its last line, the accuracy, could not be written
    assert (tmp_path / "run" / "training.json").is_file() and (tmp_path / "run" / "model.keras").is_file()
    done = _run(tmp_path, "train run --data data.npz --epochs 1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and b"accuracy" in done.stdout and b"Epoch 1/1" not in done.stderr, done.stderr


def test_standard_input_that_is_closed_holds_no_image(folder: Path) -> None:
    done = _run(folder, "predict tiny.onnx -", "<&-")
    assert done.returncode == 4 and b"which is closed" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("option", ["", "--csv", "--json"])
def test_names_and_labels_that_are_no_text_are_told_without_harm(
    folder: Path, option: str, tiny_contract: Contract
) -> None:
    for encoding in ("ascii", "utf-8", "cp1252"):
        done = _run(folder, f"predict tiny.onnx . {option}", PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and done.stderr == b""
        assert len(done.stdout.splitlines()) == (3 if option == "--csv" else 2)
        assert not set(done.stdout) & {*range(10), *range(11, 32), *range(127, 256)}
        if option == "--json":
            names = [os.fsencode(json.loads(line)["image"]) for line in done.stdout.splitlines()]
            assert names == [b"./" + EVIL, b"./red.png"]


def test_an_error_is_one_line_whatever_the_name(folder: Path) -> None:
    for words in (["predict", "tiny.onnx", b"no" + EVIL], ["predict", b"no" + EVIL, "red.png"], ["inspect", EVIL],
                  ["fit", EVIL, "--board", b"\x1b[2J\n"], [b"\x1b[2J\nx"], ["predict", b"--\x1b\nx"]):  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "edgecnn", *words], cwd=folder, capture_output=True)
        assert done.returncode in (2, 4)
        *usage, error = done.stderr.splitlines()
        assert error.startswith(b"Error: ") and not set(error) & {*range(32), *range(127, 256)}
        assert all(line == b"" or line.startswith((b"Usage: ", b"Try ")) for line in usage)


def test_a_name_that_is_no_text_stands_in_records_without_loss(tiny_contract: Contract) -> None:
    spec = os.fsdecode(EVIL)
    record = replace(tiny_contract, data=replace(tiny_contract.data, spec=spec, labels=("größe", "\x9b", "\u202e")))
    data = encode(record)
    assert data.isascii()
    assert decode(data, Contract, "the contract") == record
    assert os.fsencode(decode(data, Contract, "the contract").data.spec) == EVIL
    assert json.loads(encode(record, indent=0)) == json.loads(data)
