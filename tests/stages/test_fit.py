"""`edgecnn fit`: whether a model fits a board, in numbers, in a picture, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

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


def test_the_cnn_fits_a_microbit_as_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", "cifar10-cnn", "--board", "microbit"]) == 0
    out = capsys.readouterr().out
    assert "generated C: fits: " in out
    assert "micro:bit V1, nRF51822, Cortex-M0: 262,144 bytes of flash, 16,384 bytes of RAM." in out
    if tflm_interpreter.is_installed():
        assert "TFLite Micro: does not fit: 24,064 bytes of RAM are missing" in out
    else:
        assert "TFLite Micro: not known: " in out


def test_what_does_not_fit_fails_with_bytes_and_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", "cifar10-resnet8", "--flash", "64K", "--ram", "16K"]) == 1
    error = capsys.readouterr().err
    assert "bytes of flash are missing (batch_normalization_6 has the most constants)" in error
    assert "bytes of RAM are missing (batch_normalization_2 needs the most)" in error


def test_sizes_on_the_command_line_come_before_the_board_s() -> None:
    assert command(["fit", "cifar10-cnn", "--board", "microbit", "--ram", "4K"]) == 1
    assert command(["fit", "cifar10-resnet8", "--board", "microbit", "--ram", "64K"]) == 0


def test_json_is_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", "cifar10-cnn", "--flash", "256K", "--ram", "16K", "--json"]) == 0
    text = capsys.readouterr().out
    schemas.check(text, "command-fit.json")
    record = decode(text.encode(), Fit, "fit")
    assert [step.layer for step in record.steps] == ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"]
    assert record == fit(CNN, 256 * 1024, 16 * 1024)


def test_a_file_alone_does_too(tmp_path: Path) -> None:
    record = fit(CNN / "exports" / "tflite_int8_micro.tflite", 1 << 20, 1 << 20)
    assert record.engines[0].fits


@pytest.mark.parametrize("run", ["cifar10-cnn", "cifar10-resnet8"])
def test_the_picture_shows_it(run: str, tmp_path: Path) -> None:
    assert command(["fit", run, "--board", "nucleo-l4r5", "--plot", str(tmp_path / "memory.png")]) == 0
    with Image.open(tmp_path / "memory.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 20


def test_what_c_cannot_compute_is_said_by_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", str(CNN / "exports" / "tflite_float32.tflite"), "--board", "microbit"]) == 4
    assert "The layer 'image' cannot become C" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["cifar10-cnn"], 2, "Say how much there is: --flash and --ram, or --board, one of arduino"),
        (["cifar10-cnn", "--flash", "1M"], 2, "Say how much there is"),
        (["cifar10-cnn", "--board", "micro"], 2, "No board is called 'micro'; did you mean microbit"),
        (["cifar10-cnn", "--flash", "big", "--ram", "1K"], 2, "'big' is no size: 16384, 16K and 2M are."),
        (["cifar10-cnn", "--flash", "0", "--ram", "1K"], 2, "'0' is no size"),
        (["nothing.tflite", "--board", "microbit"], 4, "nothing.tflite does not exist."),
        (["model.onnx", "--board", "microbit"], 4, "model.onnx is no run and no .tflite file; `"),
    ],
)
def test_mistakes_are_sentences(words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", *words]) == code
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("16384", 16384), ("16K", 16384), ("2m", 2 << 20), ("16KiB", 16384)])
def test_sizes(text: str, size: int) -> None:
    assert Bytes().convert(text, None, None) == size
