"""`edgecnn fit`: what it prints, as a table and as JSON, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgecnn.cli import _run as command
from edgecnn.cli.fit import Bytes
from edgecnn.pretrained import pretrained_runs
from edgecnn.records import Fit, decode
from edgecnn.runtimes import tflm_interpreter
from edgecnn.stages.fit import fit
from tests import schemas

if TYPE_CHECKING:
    from pathlib import Path

CNN = pretrained_runs()["cifar10-cnn"]
BOARD = "micro:bit V1, nRF51822, Cortex-M0"


def test_the_cnn_fits_a_microbit_as_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", "cifar10-cnn", "--board", "microbit"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "operators", "output", "arena", "constants", "code", "multiply-adds"]
    assert [line.split()[0] for line in lines[1:6]] == ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"]
    assert [" * " in line for line in lines[1:6]] == [True, False, False, False, False]
    assert f"{BOARD}: 262,144 bytes of flash, 16,384 bytes of RAM" in lines
    assert any(line.startswith("generated C fits: ") for line in lines)
    micro = "does not fit: 24,064 bytes of RAM are missing" if tflm_interpreter.is_installed() else "skipped; "
    assert any(line.startswith("TFLite Micro") and micro in line for line in lines)


def test_what_does_not_fit_fails_with_bytes_and_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", "cifar10-resnet8", "--flash", "64K", "--ram", "16K"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: Generated C does not fit: ")
    assert "bytes of flash are missing (batch_normalization_6 has the most constants)" in error
    assert "bytes of RAM are missing (activation needs the most)" in error


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["cifar10-cnn", "--board", "microbit", "--ram", "4K"], 1),
        (["cifar10-resnet8", "--board", "microbit", "--ram", "64K"], 0),
        (["cifar10-resnet8", "--ram", "64K"], 0),
        (["cifar10-resnet8", "--flash", "64K"], 1),
    ],
)
def test_sizes_come_before_the_board_s_and_either_suffices(words: list[str], code: int) -> None:
    assert command(["fit", *words]) == code


def test_json_is_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", "cifar10-cnn", "--board", "microbit", "--json"]) == 0
    text = capsys.readouterr().out
    schemas.check(text, "command-fit.json")
    assert decode(text.encode(), Fit, "fit") == fit(CNN, 256 * 1024, 16 * 1024, BOARD)


def test_what_c_cannot_compute_ends_with_the_refusal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture, model = tmp_path / "memory.png", CNN / "exports" / "tflite_float32.tflite"
    assert command(["fit", str(model), "--board", "microbit", "--plot", str(picture)]) == 4
    told = capsys.readouterr()
    assert "generated C: The layer 'image' cannot become C: " in told.out
    assert "TFLite Micro" in told.out
    assert told.err.startswith("Error: The layer 'image' cannot become C: ")
    assert not picture.exists()


def test_the_picture_is_drawn_also_where_it_does_not_fit(tmp_path: Path) -> None:
    picture = tmp_path / "memory.png"
    assert command(["fit", "cifar10-cnn", "--ram", "4K", "--plot", str(picture)]) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "size"), [("16384", 16384), ("16K", 16384), ("2m", 2 << 20), ("16KiB", 16384), ("16kb", 16384)]
)
def test_sizes(text: str, size: int) -> None:
    assert Bytes().convert(text, None, None) == size


def test_without_the_reader_of_tflite_files_the_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert command(["fit", "cifar10-cnn", "--ram", "16K"]) == 3
    assert capsys.readouterr().err.startswith("Error: This needs the package ai_edge_litert: ")


def test_it_loads_no_framework() -> None:
    code = (
        "import sys; from edgecnn.cli import _run; assert _run(['fit', 'cifar10-cnn', '--ram', '16K']) == 0; "
        "assert not {'tensorflow', 'keras', 'onnx', 'onnxruntime', 'matplotlib', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
