"""Parity: passes for honest exports, catches those that are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run as files
from edgecnn.cli import _run as command
from edgecnn.errors import InputError, UsageError
from edgecnn.images import Evaluation
from edgecnn.plugins import Format, Gate, pick
from edgecnn.records import Parity, Placement
from edgecnn.run import Run, sha256_of
from edgecnn.stages.parity import is_current, judge, parity
from edgecnn.targets import Pair, pairs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def verdict(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Parity:
    import shutil

    run = Run(shutil.copytree(golden_run, tmp_path_factory.mktemp("parity") / "run"))
    return parity(run)


def test_honest_exports_pass_over_the_whole_test_split(verdict: Parity) -> None:
    assert verdict.passed
    assert verdict.images == verdict.data.test_count
    assert {row.format for row in verdict.rows} >= {"saved_model", "tflite_float32", "tflite_int8", "onnx_float32"}
    assert verdict.reference_accuracy is not None
    for row in verdict.rows:
        assert row.accuracy is not None
        assert row.accuracy.total == verdict.images
        assert row.agreement == 1 - len(row.flips) / verdict.images
        if pick(Format, row.format).weighed_against:  # a quantized format
            assert row.max_logit_difference > 1e-5
        else:
            assert len(row.flips) == 0
            assert 0 <= row.max_logit_difference < 1e-3


def test_the_reference_is_the_training_figure(verdict: Parity, golden_run: Path) -> None:
    assert verdict.reference_accuracy == Run(golden_run).training().accuracy


def _sabotage_onnx(run: Run) -> None:
    """Scale the last bias of the exported file, and make the record name the new file."""
    import onnx
    from onnx import numpy_helper

    path = run.path("exports/onnx_float32.onnx")
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.dims == [3]:
            tensor.CopyFrom(numpy_helper.from_array(np.array([9, 0, 0], np.float32), tensor.name))
    onnx.save(model, path)
    record = run.artifacts()
    artifacts = tuple(replace(a, sha256=sha256_of(path)) if a.format == "onnx_float32" else a for a in record.artifacts)
    run.save(files.ARTIFACTS, replace(record, artifacts=artifacts))


def test_a_sabotaged_export_fails_and_the_command_exits_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    _sabotage_onnx(run)
    assert command(["parity", str(run.root), "--format", "onnx_float32", "--format", "tflite_float32"]) == 1
    told = capsys.readouterr()
    assert "Parity failed: onnx_float32 on onnxruntime." in told.err
    assert "tflite_float32 on litert" in told.out
    rows = {row.format: row for row in run.load(files.PARITY, Parity, "parity").rows}
    assert rows["tflite_float32"].passed
    assert not rows["onnx_float32"].passed


def test_a_file_that_is_not_the_one_exported_is_refused(run: Run) -> None:
    with run.path("exports/tflite_int8.tflite").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(InputError, match="SHA-256 differs"):
        parity(run)


def test_a_model_that_is_not_the_contracts_is_no_reference(run: Run) -> None:
    with run.path(files.MODEL).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(InputError, match=r"is not the model of contract\.json"):
        parity(run)


def test_a_verdict_on_drawn_images_is_stale_once_the_data_is_back(run: Run) -> None:
    training = run.training()
    run.save(files.TRAINING, replace(training, data=replace(training.data, spec="/nowhere/data.npz")))
    parity(run, formats=["onnx_float32"])
    assert is_current(run, None, ["onnx_float32"])
    run.save(files.TRAINING, training)
    assert not is_current(run, None, ["onnx_float32"])


def test_exports_of_another_model_are_refused(run: Run) -> None:
    run.save(files.CONTRACT, replace(run.contract(), model="another"))
    with pytest.raises(InputError, match="another model"):
        parity(run)


def test_formats_unknown_and_not_exported(run: Run) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        pairs(run, ["onnx_float23"])
    record = run.artifacts()
    run.save(files.ARTIFACTS, replace(record, artifacts=record.artifacts[:1]))
    with pytest.raises(InputError, match="not exported yet"):
        pairs(run, ["tflite_int8"])


def test_without_labels_agreement_is_judged_on_drawn_images(run: Run) -> None:
    training = run.training()
    run.save(files.TRAINING, replace(training, data=replace(training.data, spec="/nowhere/data.npz")))
    result = parity(run, formats=["onnx_float32"])
    assert "drawn images" in result.evaluated_on
    assert result.reference_accuracy is None
    assert result.rows[0].accuracy is None
    assert result.rows[0].passed


def _judge(run: Run, reference: np.ndarray, logits: np.ndarray, labels: np.ndarray | None, gate: Gate) -> str:
    artifact = run.artifacts().artifacts[0]
    form = replace(pick(Format, artifact.format), gate=gate)
    pair = Pair(artifact, form, pairs(run, [artifact.format])[0][0].runtime, run.root)
    placement = Placement(device="cpu", compute_nodes={}, other_nodes={})
    images = np.zeros((len(logits), 32, 32, 3), np.uint8)
    return judge(pair, reference, logits, Evaluation(images, labels, "", ""), placement, 0.0).reason


def test_the_gate_looks_at_agreement_accuracy_and_finiteness(run: Run) -> None:
    gate = Gate(max_drop_points=1.0, min_agreement=0.9)
    labels = np.arange(100) % 3
    right = np.eye(3, dtype=np.float32)[labels]
    assert _judge(run, right, right, labels, gate) == ""

    def wrong(count: int) -> np.ndarray:
        return np.concatenate([np.roll(right[:count], 1, axis=1), right[count:]])

    assert _judge(run, right, wrong(2), labels, gate) == "", "two images are always allowed"
    assert "accuracy fell by 3.00 points" in _judge(run, right, wrong(3), labels, gate)
    assert _judge(run, right, wrong(10), None, gate) == ""
    assert "agreement is 89.00%" in _judge(run, right, wrong(11), None, gate)
    assert _judge(run, wrong(10), right, labels, gate) == "", "more right answers are no failure"
    assert "not finite" in _judge(run, right, np.full_like(right, np.nan), labels, gate)
