"""Faults of every kind, in every kind of artifact: each is caught, and a layer that did it is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.cli import _run as command
from edgecnn.data.datasets import folder
from edgecnn.records import Layers, Parity
from edgecnn.run_directory import LAYERS, Run
from edgecnn.stages.layerwise_parity import layers
from edgecnn.stages.parity import ParityOptions, parity
from tests import faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from edgecnn.records import Contract

LOOSE = ParityOptions(tolerances={"": 8.0})


def _verdicts(record: Parity) -> dict[str, str]:
    return {row.name: f"{row.verdict}: {row.reason}" for row in record.rows}


def _formats(run: Run) -> list[str]:
    return [artifact.format for artifact in run.artifacts().artifacts]


@pytest.mark.parametrize("fault", [faults.swap_channels, faults.scale_twice, faults.permute_logits])
def test_a_model_that_was_changed_on_the_way_fails_in_every_format(run: Run, fault: Callable[[Any], None]) -> None:
    faults.export_changed(run, _formats(run), fault)
    record = parity(run, LOOSE)
    assert record.verdict == "fail"
    found = _verdicts(record)
    assert len(found) >= 8
    assert all("fail: accuracy fell by" in words or "fail: agreement is" in words for words in found.values()), found


def test_exchanged_labels_and_another_resize_rule_are_read_off_the_contract_inside(run: Run) -> None:
    def exchanged(contract: Contract) -> Contract:
        first, second, *rest = contract.labels
        return replace(contract, labels=(second, first, *rest), resize="bilinear")

    formats = [name for name in _formats(run) if name != "saved_model"]  # which carries no contract
    faults.export_changed(run, formats, contract=exchanged)
    record = parity(run, replace(LOOSE, formats=tuple(formats)))
    for words in _verdicts(record).values():
        assert "fail: its labels are others, or in another order; it wants images resized by another rule" in words


def test_a_stale_export_of_another_model_fails_though_it_answers_alike(run: Run) -> None:
    formats = [name for name in _formats(run) if name.startswith(("onnx", "tflite_float"))]
    faults.export_changed(run, formats, contract=lambda own: replace(own, model_sha256="0" * 64))
    record = parity(run, replace(LOOSE, formats=tuple(formats)))
    assert all(words.startswith("fail: it was made from another model") for words in _verdicts(record).values())


def test_a_file_that_is_not_the_one_exported_fails_and_is_judged_all_the_same(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(run.path("exports/tflite_float32.tflite"), run.path("exports/tflite_float16.tflite"))
    assert command(["parity", str(run.root), "--format", "tflite_float16", "--tolerance", "8"]) == 1
    told = capsys.readouterr()
    assert "it is not the file that was exported (its SHA-256 differs)" in told.err
    assert "100.00%" in told.out


@pytest.mark.parametrize("format", ["tflite_int8", "tflite_int8_micro", "onnx_int8"])
def test_a_wrong_zero_point_is_caught(run: Run, format: str) -> None:
    path = run.path(next(a.path for a in run.artifacts().artifacts if a.format == format))
    if path.suffix == ".onnx":
        _shift_onnx(path)
    else:
        faults.edit_tflite(path, _shift_tflite)
    faults.accept(run)
    record = parity(run, replace(LOOSE, formats=(format,), max_images=50))
    if record.verdict != "fail":
        assert any(file.first_divergent_layer for file in layers(run, formats=(format,)).files), _verdicts(record)


def _shift_tflite(graph: Any, buffers: Any) -> None:
    tensor = next(tensor for tensor in graph.tensors if tensor.name == b"image")
    tensor.quantization.zeroPoint = np.asarray(tensor.quantization.zeroPoint) + 40


def _shift_onnx(path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    quantize = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "conv2d_1")
    tensor = next(t for t in model.graph.initializer if t.name == quantize.input[2])
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.uint8(9), tensor.name))
    onnx.save(model, path)


def test_a_file_that_no_runtime_takes_fails(run: Run) -> None:
    def break_it(graph: Any, buffers: Any) -> None:
        tensor = next(tensor for tensor in graph.tensors if tensor.name == b"conv2d_1")
        tensor.quantization.zeroPoint = np.asarray(tensor.quantization.zeroPoint) + 9  # its pooling keeps the old one

    faults.edit_tflite(run.path("exports/tflite_int8.tflite"), break_it)
    faults.accept(run)
    record = parity(run, replace(LOOSE, formats=("tflite_int8", "tflite_float32")))
    assert record.verdict == "fail"
    assert "tflite_int8 on litert (xnnpack) does not run: litert cannot load" in record.reasons[0]
    assert [row.verdict for row in record.rows] == ["pass"]


def test_a_resize_with_another_filter_is_caught(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_pillow(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))

    monkeypatch.setattr(folder, "resize", with_pillow)
    record = parity(run, replace(LOOSE, formats=("onnx_float32",)))
    assert record.verdict == "fail"
    assert record.rows[0].verdict == "pass"
    (reason,) = record.reasons
    assert reason.startswith("a folder of classes, to training and parity gives other pixels than the contract's rules")


def test_a_layer_scaled_by_a_twentieth_is_named_in_every_file(
    golden_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No gate on answers can see it."""
    run = Run(shutil.copytree(golden_run, tmp_path / "run"))
    honest = layers(run)
    assert [file.name for file in honest.files if file.first_divergent_layer] == []
    assert {file.format for file in honest.files} == set(_formats(run))
    for artifact in run.artifacts().artifacts:
        faults.scale_layer(run.path(artifact.path), "conv2d_1")
    faults.accept(run)
    assert command(["parity", str(run.root), "--layers", "--tolerance", "8"]) == 1
    found = run.load(LAYERS, Layers, "parity")
    assert {file.format: file.first_divergent_layer for file in found.files} == dict.fromkeys(_formats(run), "conv2d_1")
    for file in found.files:
        row = next(row for row in file.layers if row.layer == "conv2d_1")
        assert row.gain == pytest.approx(1.05, abs=0.02)
        assert file.advice
        if file.runtime != "saved_model":
            assert file.output_difference == 0, "what is observed is what ships"
    told = capsys.readouterr()
    assert "onnx_int8 on onnxruntime (cpu), layer conv2d_1" in told.err
    assert {row.verdict for row in run.load("parity.json", Parity, "parity").rows} == {"pass"}
