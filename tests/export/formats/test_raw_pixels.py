"""A trained model that takes pixels of 0 to 255 keeps its accuracy in every int8 file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.plugins import pick
from edgecnn.run_directory import Run
from edgecnn.runtimes.runtime import Runtime
from edgecnn.stages.export import export
from edgecnn.stages.import_model import ImportOptions, adopt

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

RUNTIMES = {"onnx_float32": "onnxruntime", "onnx_int8": "onnxruntime", "tflite_int8": "litert"}


def test_accuracy_is_kept(golden_run: Path, small_data: Path, tmp_path: Path) -> None:
    """The golden model, whose first weights are made 255 times smaller so that it needs no scaling."""
    keras = pytest.importorskip("keras")
    model = keras.saving.load_model(golden_run / "model.keras")
    first = model.get_layer("conv2d")
    kernel, bias = first.get_weights()
    first.set_weights([kernel / 255, bias])
    model.save(tmp_path / "raw.keras")
    with np.load(small_data) as archive:
        data = dict(archive)
    (tmp_path / "labels.txt").write_text("\n".join(data["labels"]))
    run = Run(tmp_path / "run")
    options = ImportOptions(
        model=tmp_path / "raw.keras", labels=tmp_path / "labels.txt", data=str(small_data), input_range="0..255"
    )
    with run.lock():
        adopt(run, options)
        artifacts = {artifact.format: artifact for artifact in export(run, list(RUNTIMES)).artifacts}
    images = np.concatenate([data["x_train"], data["x_test"]])
    labels = np.concatenate([data["y_train"], data["y_test"]])
    right = {}
    for name, runtime in RUNTIMES.items():
        session = pick(Runtime, runtime).load(
            run.artifact_path(artifacts[name]), 1, pick(Runtime, runtime).providers[0], ()
        )
        right[name] = float((next(iter(session.run(images).values())).argmax(axis=1) == labels).mean())
    assert right["onnx_float32"] > 0.7
    assert right["onnx_int8"] >= right["onnx_float32"] - 0.01
    assert right["tflite_int8"] >= right["onnx_float32"] - 0.01
    for name in ("onnx_int8", "tflite_int8"):
        precision = artifacts[name].mixed_precision
        assert precision is not None
        assert not precision.excluded_from_quantization, "nothing needed to be repaired"
