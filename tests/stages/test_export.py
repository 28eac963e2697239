"""Export: what is asked for, what is kept, what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.data.samples import digests, samples_of
from edgecnn.errors import InputError
from edgecnn.export.format import ExportOptions, Format
from edgecnn.plugins import discover
from edgecnn.records import Artifacts
from edgecnn.report.summary import losses
from edgecnn.run_directory import Run
from edgecnn.stages.export import export, is_current
from edgecnn.stages.parity import ParityOptions, parity


def test_one_format_again_keeps_the_others(run: Run) -> None:
    before = {a.format: a for a in run.artifacts().artifacts}
    assert is_current(run)
    after = {a.format: a for a in export(run, ["tflite_int8"]).artifacts}
    assert after.keys() == before.keys()
    assert after["onnx_float32"] == before["onnx_float32"]
    assert after["tflite_int8"].sha256 == before["tflite_int8"].sha256, "the same bytes twice"
    assert is_current(run)


def test_other_exports_are_renewed_when_they_are_stale(run: Run) -> None:
    run.path("exports/onnx_float32.onnx").write_bytes(b"spoilt")
    export(run, ["tflite_int8"])
    for artifact in run.artifacts().artifacts:
        run.artifact_path(artifact)
    assert is_current(run)


def test_an_unknown_format_exits_2_with_the_nearest(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["export", str(run.root), "--format", "tflite_int"]) == 2
    assert "did you mean tflite_int8" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_a_truncated_model_is_refused(run: Run, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = run.path(run_directory.MODEL)
    path.write_bytes(path.read_bytes()[:size])
    assert command(["export", str(run.root)]) == 4
    assert "damaged" in capsys.readouterr().err


def test_a_model_keras_refuses_is_one_sentence(run: Run) -> None:
    with zipfile.ZipFile(run.path(run_directory.MODEL), "w") as archive:
        archive.writestr("config.json", '{"module": "builtins", "class_name": "eval", "config": {}}')
        archive.writestr("metadata.json", "{}")
    run.save(run_directory.CONTRACT, replace(run.contract(), model_sha256=run.hash_of(run_directory.MODEL)))
    with pytest.raises(InputError, match="cannot be loaded by Keras") as caught:
        export(run)
    assert "\n" not in str(caught.value)


def test_without_samples_drawn_images_calibrate_and_the_record_says_so(run: Run) -> None:
    run.path(run_directory.SAMPLES).unlink()
    _forget_exports(run)
    (artifact,) = export(run, ["tflite_int8"]).artifacts
    assert artifact.calibration is not None
    assert artifact.calibration.source == "synthetic images"


def test_the_formats_are_listed_with_what_runs_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["export", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(discover(Format))
    assert all(len(line) > 40 for line in lines)


def test_another_process_in_another_directory_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    other = Run(shutil.copytree(run.root, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("exports", "art*")))
    code = f"from edgecnn.cli import main; main(['export', {str(other.root)!r}])"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "7"})
    mine = {a.format: a for a in run.artifacts().artifacts}
    for artifact in other.artifacts().artifacts:
        assert artifact.content_sha256 == mine[artifact.format].content_sha256, artifact.format
        if artifact.format != "saved_model":
            assert artifact.sha256 == mine[artifact.format].sha256, artifact.format


def test_check_compares_and_finds_another_model(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    formats = ["--format", "saved_model", "--format", "tflite_float32"]
    assert command(["export", str(run.root), "--check", *formats]) == 0
    assert "saved_model, tflite_float32" in capsys.readouterr().out
    _scale_channels(run, "conv2d", "conv2d_1", factor=1.5)
    record = run.load(run_directory.ARTIFACTS, Artifacts, "export")
    run.save(run_directory.ARTIFACTS, replace(record, origin=replace(record.origin, inputs=_inputs_now(run, record))))
    assert command(["export", str(run.root), "--check", *formats]) == 1
    assert "saved_model, tflite_float32" in capsys.readouterr().err


def test_calibration_on_test_images_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(run.path(run_directory.SAMPLES)) as archive:
        samples = dict(archive)
    samples["calibration"][3] = samples["images"][5]
    np.savez_compressed(run.path(run_directory.SAMPLES), **samples)
    shutil.rmtree(run.path(run_directory.EXPORTS))
    run.path(run_directory.ARTIFACTS).unlink()
    for name in ("tflite_int8", "tflite_int8_micro", "onnx_int8"):
        assert command(["export", str(run.root), "--format", name]) == 4
        assert "1 of the 150 calibration images are test images" in capsys.readouterr().err
        assert not list(run.root.glob(f"{run_directory.EXPORTS}/*"))
        run.path(run_directory.ARTIFACTS).unlink(missing_ok=True)
    assert command(["export", str(run.root), "--format", "tflite_dynamic"]) == 0


def test_samples_are_apart_from_the_test_images_and_from_each_other(run: Run) -> None:
    samples = samples_of(run, run.contract())
    calibration, selection = (set(digests(a).tolist()) for a in (samples.calibration, samples.selection))
    assert not calibration & selection
    assert not (calibration | selection) & set(samples.test_digests.tolist())
    assert set(digests(samples.images).tolist()) <= set(samples.test_digests.tolist())
    assert len(samples.selection) == len(samples.selection_labels) > 200


def _scale_channels(run: Run, layer: str, after: str, factor: float) -> None:
    """Scale every second channel of a convolution and take it back in the next: the same answers in float."""
    import keras

    model = keras.saving.load_model(run.path(run_directory.MODEL))
    kernel, bias = model.get_layer(layer).get_weights()
    kernel[..., ::2] *= factor
    bias[::2] *= factor
    model.get_layer(layer).set_weights([kernel, bias])
    kernel, bias = model.get_layer(after).get_weights()
    kernel[:, :, ::2] /= factor
    model.get_layer(after).set_weights([kernel, bias])
    model.save(run.path(run_directory.MODEL))
    run.save(run_directory.CONTRACT, replace(run.contract(), model_sha256=run.hash_of(run_directory.MODEL)))


def _forget_exports(run: Run) -> None:
    """Where the model or the images are others, every export on record would be made again."""
    run.path(run_directory.ARTIFACTS).unlink()


def _inputs_now(run: Run, record: Artifacts) -> dict[str, str]:
    now = {name: run.hash_of(name) for name in (run_directory.MODEL, run_directory.CONTRACT, run_directory.SAMPLES)}
    return {**record.origin.inputs, **now}


@pytest.mark.parametrize("name", ["tflite_int8", "onnx_int8"])
def test_layers_that_int8_would_break_are_found_and_kept_in_float(run: Run, name: str) -> None:
    _scale_channels(run, "conv2d_1", "conv2d_2", factor=4096)
    _forget_exports(run)
    (artifact,) = export(run, [name], ExportOptions(max_accuracy_drop=0.5)).artifacts
    found = artifact.mixed_precision
    assert found is not None
    assert found.steps[0].excluded_from_quantization == ()
    assert found.steps[0].accuracy_drop_points > 0.5, "full int8 is broken"
    assert set(found.excluded_from_quantization) == {"conv2d_1", "conv2d_2"}
    worst = sorted(found.sensitivity_sqnr_db, key=lambda layer: found.sensitivity_sqnr_db[layer])[:2]
    assert set(worst) == {"conv2d_1", "conv2d_2"}
    best = next(step for step in found.steps if step.excluded_from_quantization == found.excluded_from_quantization)
    assert best.accuracy_drop_points <= 0.5
    assert found.seconds > 0
    assert found.spreads.keys() == found.sensitivity_sqnr_db.keys()
    why = {layer: words for layer, _, _, words in losses(found)}
    assert "output's channels differ in size" in why["conv2d_1"]
    assert "weights by input channel differ in size" in why["conv2d_2"]
    assert [layer for layer, words in why.items() if words] == [
        layer for layer in why if layer in found.excluded_from_quantization
    ]
    record = parity(run, ParityOptions(formats=(name,), tolerances={"": 8.0}))
    assert {row.verdict for row in record.rows} == {"pass"}
    assert record.rows[0].agreement > 0.98


def test_a_generous_budget_keeps_nothing_in_float(run: Run) -> None:
    _scale_channels(run, "conv2d_1", "conv2d_2", factor=4096)
    _forget_exports(run)
    (artifact,) = export(run, ["onnx_int8"], ExportOptions(max_accuracy_drop=100)).artifacts
    assert artifact.mixed_precision is not None
    assert artifact.mixed_precision.excluded_from_quantization == ()
    assert artifact.mixed_precision.sensitivity_sqnr_db == {}
    assert artifact.mixed_precision.spreads == {}
    assert artifact.mixed_precision.seconds == 0


def test_generated_c_keeps_its_rounding_until_another_is_named(every_format_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(every_format_run, tmp_path / "run")))

    def header() -> str:
        return next(run.path("exports/c_int8").glob("*.h")).read_text()

    assert "Outputs equal those of TFLite Micro" in header()
    assert command(["export", str(run.root), "--format", "onnx_float32", "--rounding", "xnnpack"]) == 2
    before = run.artifacts()
    assert command(["export", str(run.root), "--format", "c_int8", "--rounding", "xnnpack"]) == 0
    assert "Outputs equal those of LiteRT with XNNPACK to the bit" in header()
    others = [artifact for artifact in run.artifacts().artifacts if artifact.format != "c_int8"]
    assert others == [artifact for artifact in before.artifacts if artifact.format != "c_int8"], "made again"
    assert is_current(run)
    assert command(["export", str(run.root), "--format", "c_int8"]) == 0
    assert "Outputs equal those of LiteRT with XNNPACK to the bit" in header()
    assert command(["export", str(run.root), "--format", "c_int8", "--check"]) == 0
