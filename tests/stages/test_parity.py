"""Parity: passes for honest exports, catches those that are not, and claims nothing that it has not seen."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.data.evaluation import evaluation_of
from edgecnn.errors import InputError, MachineError, UsageError
from edgecnn.execution.targets import pairs, trained_target
from edgecnn.export.format import Format
from edgecnn.model_files.int8_overflow import has_exact_kernels
from edgecnn.parity.evaluation import run_targets
from edgecnn.parity.outputs import InferenceOptions
from edgecnn.parity.rows import row_of
from edgecnn.plugins import pick
from edgecnn.pretrained import find_run
from edgecnn.records import Parity
from edgecnn.run_directory import Run
from edgecnn.stages.parity import ParityOptions, is_current, parity

if TYPE_CHECKING:
    from pathlib import Path

LOOSE = ParityOptions(tolerances={"": 8.0})  # what some 200 test images can prove


@pytest.fixture(scope="module")
def judged(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Parity]:
    run = Run(shutil.copytree(golden_run, tmp_path_factory.mktemp("parity") / "run"))
    return run, parity(run, LOOSE)


def test_honest_exports_pass_over_the_whole_test_split(judged: tuple[Run, Parity]) -> None:
    _, record = judged
    assert record.verdict == "pass"
    assert record.images == record.data.test_count
    assert {row.format for row in record.rows} >= {"saved_model", "tflite_float32", "tflite_int8", "onnx_float32"}
    assert record.reference_accuracy is not None
    for row in record.rows:
        assert row.accuracy is not None and row.paired is not None and row.gate_difference is not None
        assert row.accuracy.total == row.images
        assert row.agreement == 1 - len(row.flips) / row.images
        kinds = [flip.kind for flip in row.flips]
        assert (kinds.count("negative"), kinds.count("positive")) == (
            row.paired.negative_flips,
            row.paired.positive_flips,
        )
        assert row.gate_difference.low_points < row.gate_difference.points < row.gate_difference.high_points
        assert (
            row.accuracy.correct - record.reference_accuracy.correct
            == row.paired.positive_flips - row.paired.negative_flips
        )
        if pick(Format, row.format).float_counterpart:  # a quantized format
            assert row.sqnr_db is not None
            assert 15 < row.sqnr_db < 80
        else:
            assert len(row.flips) == 0
            assert 0 <= row.mean_logit_difference <= row.max_logit_difference < 1e-3


def test_default_and_exact_int8_kernels_are_compared(judged: tuple[Run, Parity]) -> None:
    for row in judged[1].rows:
        both = has_exact_kernels() and row.format == "onnx_int8"
        assert row.cpu_dependent_images == (0 if both else None)


def test_outputs_that_depend_on_the_cpu_fail(run: Run, tmp_path: Path) -> None:
    contract = run.contract()
    evaluation = evaluation_of(contract, run.training().data, None)
    found, _ = pairs(run, ["onnx_int8"])
    _, ran = run_targets(trained_target(run, contract), found, evaluation, tmp_path, InferenceOptions())
    other = replace(ran.results[0], cpu_dependent_images=3)
    row = row_of(other, [other], evaluation, contract, {"": 8.0}, "")
    assert row.verdict == "fail"
    assert row.reason.startswith(f"its outputs depend on the CPU: 3 of {row.images} images differ from those of exact")


def test_rows_that_are_equal_to_the_bit_say_so(judged: tuple[Run, Parity]) -> None:
    _, record = judged
    rows = {row.name: row for row in record.rows}
    micro = rows["tflite_int8_micro on litert (xnnpack)"]
    assert "keras" not in micro.bit_equal_to
    assert rows["saved_model on saved_model (cpu)"].bit_equal_to == ("keras",)


def test_the_matrix_is_of_each_with_each(judged: tuple[Run, Parity]) -> None:
    _, record = judged
    table = np.array(record.agreement_matrix)
    assert table.shape == (len(record.rows) + 1,) * 2
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diag(table), 1)
    assert table[0, 1:].tolist() == [row.agreement for row in record.rows]


def test_the_reference_is_the_training_figure(judged: tuple[Run, Parity], golden_run: Path) -> None:
    assert judged[1].reference_accuracy == Run(golden_run).training().accuracy


def test_pixels_are_the_same_on_every_way(judged: tuple[Run, Parity]) -> None:
    ways = judged[1].preprocessing_paths
    assert len(ways) >= 4
    assert all(way.files > 15 and not way.different_files for way in ways)


def test_answers_are_kept(judged: tuple[Run, Parity]) -> None:
    run, record = judged
    with np.load(run.path(run_directory.PREDICTIONS)) as archive:
        assert archive["names"].tolist() == [row.name for row in record.rows]
        right = (archive["predictions"] == archive["labels"]).sum(axis=1)
        assert right.tolist() == [row.accuracy.correct for row in record.rows if row.accuracy]
    assert run.path("flips.png").is_file() == any(row.flips for row in record.rows)


def test_too_few_images_prove_nothing_and_the_command_exits_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["parity", str(run.root), "--format", "onnx_float32", "--json"]) == 1
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert record["verdict"] == record["rows"][0]["verdict"] == "not proven"
    assert "Parity is not proven: onnx_float32 on onnxruntime (cpu): " in told.err
    assert "onnx_float32 on onnxruntime (cpu): not proven with " in told.err
    assert " images; none changed; about 6,000 would be needed (accuracy may have fallen by up to " in told.err


def test_a_tolerance_is_set_for_all_or_for_a_format(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["parity", str(run.root), "--format", "onnx_float32"]
    assert command([*asked, "--tolerance", "onnx_float32=8"]) == 0
    assert "1 passed, 0 failed, 0 not proven" in capsys.readouterr().out
    assert command([*asked, "--tolerance", "8"]) == 0
    assert command([*asked, "--tolerance", "8", "--tolerance", "onnx_float32=0.01"]) == 1
    assert "0.01 are allowed" in capsys.readouterr().err
    assert command([*asked, "--tolerance", "onnx_float23=1"]) == 2
    assert command([*asked, "--tolerance", "much"]) == 2
    assert command([*asked, "--tolerance", "-1"]) == 2


def test_kernels_on_request(run: Run) -> None:
    record = parity(run, replace(LOOSE, formats=("tflite_int8",), providers=("builtin", "reference")))
    assert [row.provider for row in record.rows] == ["builtin", "reference"]
    for row in record.rows:
        assert "XNNPACK" not in row.placement.compute_nodes


def test_a_runtime_can_be_chosen(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["parity", str(run.root), "--tolerance", "8"]
    assert command([*asked, "--runtime", "saved_model"]) == 0, "the formats it does not read are not missed"
    assert "saved_model on saved_model (cpu)" in capsys.readouterr().out
    record = run.load(run_directory.PARITY, Parity, "parity")
    assert {row.runtime for row in record.rows} == {"saved_model"}
    assert record.origin.inputs["runtimes"] == "saved_model"
    chosen = replace(LOOSE, runtimes=("saved_model",))
    assert is_current(run, chosen) and not is_current(run, LOOSE)
    assert command([*asked, "--runtime", "saved_mode"]) == 2
    assert "did you mean saved_model" in capsys.readouterr().err
    assert command([*asked, "--runtime", "keras"]) == 2
    assert "None of these exports runs on keras" in capsys.readouterr().err


def test_a_provider_that_cannot_answer_is_an_error(run: Run) -> None:
    with pytest.raises(MachineError, match=r"cuda was chosen and did not run: .*has no CUDAExecutionProvider"):
        parity(run, ParityOptions(formats=("onnx_float32",), providers=("cuda",)))
    with pytest.raises(UsageError, match="did you mean cuda"):
        parity(run, ParityOptions(providers=("cuad",)))


def test_tflite_micro_answers_a_part_and_is_judged_through_the_whole(run: Run) -> None:
    pytest.importorskip("tflite_micro")
    record = parity(run, replace(LOOSE, formats=("tflite_int8_micro",), max_images=40))
    whole, part = record.rows
    assert (part.runtime, part.images, part.extrapolated_from) == ("tflite_micro", 40, whole.name)
    assert part.accuracy is not None and part.accuracy.total == 40
    assert part.paired is not None and part.gate_difference is not None and whole.gate_difference is not None
    assert part.gate_difference.low_points < whole.gate_difference.low_points
    with np.load(run.path(run_directory.PREDICTIONS)) as archive:
        assert (archive["predictions"] >= 0).sum(axis=1).tolist() == [whole.images, 40]


def test_a_verdict_on_drawn_images_is_stale_once_the_data_is_back(run: Run) -> None:
    training = run.training()
    run.save(run_directory.TRAINING, replace(training, data=replace(training.data, spec="/nowhere/data.npz")))
    options = ParityOptions(formats=("onnx_float32",))
    record = parity(run, options)
    assert "synthetic images" in record.evaluated_on
    assert record.reference_accuracy is record.rows[0].accuracy is record.rows[0].paired is None
    assert record.verdict == "pass", "agreement is judged on synthetic images"
    assert is_current(run, options)
    run.save(run_directory.TRAINING, training)
    assert not is_current(run, options)


def test_a_model_that_is_not_the_contracts_is_no_reference(run: Run) -> None:
    with run.path(run_directory.MODEL).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(InputError, match=r"is not the model of contract\.json"):
        parity(run, LOOSE)


def test_exports_of_another_model_are_refused(run: Run) -> None:
    run.save(run_directory.CONTRACT, replace(run.contract(), model="another"))
    with pytest.raises(InputError, match="another model"):
        parity(run, LOOSE)


def test_formats_unknown_missing_and_not_exported(run: Run) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        pairs(run, ["onnx_float23"])
    run.path("exports/tflite_int8.tflite").unlink()
    with pytest.raises(InputError, match="is missing"):
        pairs(run, ["tflite_int8"])
    record = run.artifacts()
    run.save(run_directory.ARTIFACTS, replace(record, artifacts=record.artifacts[:1]))
    with pytest.raises(InputError, match="not exported yet"):
        pairs(run, ["tflite_int8"])


def test_a_runtime_that_is_not_installed_leaves_its_formats_unproven(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "litert" in name else there(name))
    record = parity(run, replace(LOOSE, formats=("onnx_float32", "tflite_float32")))
    assert record.verdict == "not proven"
    assert record.reasons == ("tflite_float32 runs on no runtime here",)
    assert [row.verdict for row in record.rows] == ["pass"]


def test_an_export_of_another_number_of_classes_fails(run: Run) -> None:
    shutil.copy(find_run("cifar10-cnn") / "exports" / "onnx_float32.onnx", run.path("exports/onnx_float32.onnx"))
    record = parity(run, replace(LOOSE, formats=("onnx_float32", "tflite_float32")))
    assert record.verdict == "fail"
    assert "does not run: It gives outputs of the shape [10], the model [3]" in record.reasons[0]
