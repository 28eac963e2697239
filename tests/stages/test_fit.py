"""What a model takes of a microcontroller, by a run or a file."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn.environment import not_installed
from edgecnn.errors import InputError
from edgecnn.model_files.tflite_model import packed
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import ARTIFACTS, Run
from edgecnn.runtimes import tflm_interpreter
from edgecnn.stages.fit import FORMAT, fit
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from pathlib import Path

RUNS = pretrained_runs()
CNN = RUNS["cifar10-cnn"]
FILE = CNN / "exports" / "tflite_int8_micro.tflite"


@pytest.mark.parametrize(
    ("run", "constants", "arena"), [("cifar10-cnn", 124_602, 7_564), ("cifar10-resnet8", 80_554, 19_488)]
)
def test_generated_c_takes_what_its_header_says(run: str, constants: int, arena: int) -> None:
    generated = fit(RUNS[run], 1 << 20, 1 << 20).engines[0]
    assert generated.flash["constants"] == constants
    assert generated.ram["arena"] == arena
    assert generated.ram["output"] == 10
    assert generated.fits


def test_tflite_micro_is_measured() -> None:
    if not tflm_interpreter.is_installed():
        pytest.skip(not_installed("tflite_micro"))
    micro = fit(CNN, 256 * 1024, 16 * 1024).engines[1]
    assert micro.flash == {"file": FILE.stat().st_size}
    assert micro.ram == {"arena": 40_448}
    assert micro.fits is False
    assert micro.verdict == "does not fit: 24,064 bytes of RAM are missing (for the arena alone)"


def test_without_the_package_tflite_micro_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm_interpreter, "is_installed", lambda: False)
    generated, micro = fit(CNN, None, 16 * 1024).engines
    assert generated.fits
    assert micro.fits is None
    assert micro.verdict.startswith("skipped; tflite_micro is not installed: ")
    assert micro.verdict.endswith(" install tflite-micro")


def test_a_byte_too_few_does_not_fit_and_the_layer_is_named() -> None:
    generated = fit(RUNS["cifar10-resnet8"], 1 << 20, 1 << 20).engines[0]
    flash, ram = generated.flash_bytes, generated.ram_bytes
    exact = fit(RUNS["cifar10-resnet8"], flash, ram).engines[0]
    assert exact.fits
    assert exact.verdict == "fits: 0 bytes of flash and 0 bytes of RAM are left"
    short = fit(RUNS["cifar10-resnet8"], flash - 1, ram - 2).engines[0]
    assert short.fits is False
    assert short.verdict == (
        "does not fit: 1 bytes of flash are missing (batch_normalization_6 has the most constants) and 2 bytes of RAM "
        "are missing (activation needs the most)"
    )


def test_what_is_not_asked_for_is_not_judged() -> None:
    assert fit(CNN, None, 16 * 1024).engines[0].verdict.startswith("fits: 8,")
    assert fit(CNN, None, 16 * 1024).engines[0].verdict.endswith(" bytes of RAM are left")
    assert fit(CNN, 1024, None).engines[0].fits is False


def test_a_file_alone_takes_the_same_and_its_tensors_are_the_layers() -> None:
    of_run, of_file = fit(CNN, None, 1 << 20), fit(FILE, None, 1 << 20)
    assert of_file.engines == of_run.engines
    assert [replace(step, layer="") for step in of_file.steps] == [replace(step, layer="") for step in of_run.steps]
    assert [step.layer for step in of_run.steps] == ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"]


@pytest.mark.parametrize("format", ["tflite_float32", "tflite_int8", "tflite_dynamic"])
def test_what_c_cannot_compute_is_said_by_the_layer_and_tflite_micro_is_asked_all_the_same(format: str) -> None:
    record = fit(CNN / "exports" / f"{format}.tflite", 1 << 20, 1 << 20)
    generated, micro = record.engines
    assert record.steps == ()
    assert generated.fits is None
    assert generated.verdict.startswith("The layer '")
    if not tflm_interpreter.is_installed():
        pytest.skip(not_installed("tflite_micro"))
    assert micro.ram or micro.verdict.startswith("TFLite Micro ")


@pytest.mark.parametrize("place", [1_000, 5_000, -1_000])
def test_a_damaged_file_is_refused_or_judged(place: int, tmp_path: Path) -> None:
    content = bytearray(FILE.read_bytes())
    content[place : place + 64] = b"\xff" * 64
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content)
    try:
        assert fit(path, 1 << 20, None).engines
    except InputError as error:
        assert "damaged" in str(error)


def test_a_graph_that_breaks_its_reader_is_damaged(tmp_path: Path) -> None:
    network = random_network(0)
    network.graph.tensors[network.last].quantization.zeroPoint = None
    path = tmp_path / "odd.tflite"
    path.write_bytes(network.bytes())
    with pytest.raises(InputError, match=r"odd.tflite is damaged or not a valid TFLite model \("):
        fit(path, 1 << 20, None)


def test_a_model_without_one_image_is_refused_by_both(tmp_path: Path) -> None:
    network = random_network(0)
    network.graph.inputs = [*network.graph.inputs, 0]
    network.graph.outputs = [network.last]
    path = tmp_path / "two.tflite"
    path.write_bytes(packed(network.model))
    generated, micro = fit(path, 1 << 20, None).engines
    assert (generated.fits, micro.fits) == (None, None)
    assert "needs one uint8 image" in generated.verdict
    assert micro.verdict == "The model does not take one image" or not tflm_interpreter.is_installed()


def test_a_run_without_the_export_says_how_to_make_it(tmp_path: Path) -> None:
    run = Run(shutil.copytree(CNN, tmp_path / "run"))
    record = run.artifacts()
    run.save(ARTIFACTS, replace(record, artifacts=tuple(one for one in record.artifacts if one.format != FORMAT)))
    with pytest.raises(InputError, match=r"is not exported yet; run `edgecnn export .* --format tflite_int8_micro`"):
        fit(run.root, 1 << 20, None)
