"""Export: what is asked for, what is kept, what is refused."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from edgecnn import run as files
from edgecnn.cli import _run as command
from edgecnn.errors import InputError
from edgecnn.stages.export import export, is_current

if TYPE_CHECKING:
    from edgecnn.run import Run


def test_one_format_again_keeps_the_others(run: Run) -> None:
    before = {a.format: a for a in run.artifacts().artifacts}
    assert is_current(run, ())
    after = {a.format: a for a in export(run, ["tflite_int8"]).artifacts}
    assert after.keys() == before.keys()
    assert after["onnx_float32"] == before["onnx_float32"]
    assert after["tflite_int8"].sha256 == before["tflite_int8"].sha256, "the same bytes twice"
    assert is_current(run, ())


def test_other_exports_are_renewed_when_they_are_stale(run: Run) -> None:
    run.path("exports/onnx_float32.onnx").write_bytes(b"spoilt")
    export(run, ["tflite_int8"])
    for artifact in run.artifacts().artifacts:
        run.artifact_path(artifact)
    assert is_current(run, ())


def test_an_unknown_format_exits_2_with_the_nearest(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["export", str(run.root), "--format", "tflite_int"]) == 2
    assert "did you mean tflite_int8" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_a_truncated_model_is_refused(run: Run, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = run.path(files.MODEL)
    path.write_bytes(path.read_bytes()[:size])
    assert command(["export", str(run.root)]) == 4
    assert "damaged" in capsys.readouterr().err


def test_a_model_keras_refuses_is_one_sentence(run: Run) -> None:
    from dataclasses import replace

    with zipfile.ZipFile(run.path(files.MODEL), "w") as archive:
        archive.writestr("config.json", '{"module": "builtins", "class_name": "eval", "config": {}}')
        archive.writestr("metadata.json", "{}")
    run.save(files.CONTRACT, replace(run.contract(), model_sha256=run.hash_of(files.MODEL)))
    with pytest.raises(InputError, match="cannot be loaded by Keras") as caught:
        export(run)
    assert "\n" not in str(caught.value)


def test_without_samples_drawn_images_calibrate_and_the_record_says_so(run: Run) -> None:
    run.path(files.SAMPLES).unlink()
    artifact = next(a for a in export(run, ["tflite_int8"]).artifacts if a.format == "tflite_int8")
    assert artifact.calibration is not None
    assert artifact.calibration.source == "drawn images"
