"""The contract every format keeps, over all that are discovered; a new one is tested for free."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.conversion import CONTRACT_KEY
from edgecnn.plugins import Architecture, Dataset, Format, Runtime, discover, pick
from edgecnn.records import Contract, decode
from edgecnn.run import sha256_of, size_of
from edgecnn.targets import pairs
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Artifact
    from edgecnn.run import Run

FORMATS = sorted(discover(Format))


def _artifact(run: Run, name: str) -> Artifact:
    return next(artifact for artifact in run.artifacts().artifacts if artifact.format == name)


def _pixels(run: Run, count: int) -> np.ndarray:
    with np.load(run.path("samples.npz")) as samples:
        return samples["images"][:count]


def _ask(runtime: str, path: Path, batches: list[np.ndarray], folder: Path) -> tuple[list[np.ndarray], dict[str, int]]:
    """The answers to each batch from a worker, since TensorFlow's threads can be set once a process only."""
    answers = []
    with Worker(runtime, path, threads=1) as worker:
        for pixels in batches:
            np.save(folder / "images.npy", pixels)
            worker.ask("run", images=str(folder / "images.npy"), answers=str(folder / "a.npy"), output="logits")
            answers.append(np.load(folder / "a.npy"))
        return answers, worker.loaded["placement"]["compute_nodes"]


@pytest.mark.parametrize("kind", [Format, Runtime, Dataset, Architecture])
def test_a_plug_in_is_called_as_its_module(kind: type) -> None:
    for name, plugin in discover(kind).items():
        assert plugin.summary
        assert importlib.util.find_spec(f"edgecnn.{kind.__name__.lower()}s.{name}"), name


@pytest.mark.parametrize("name", FORMATS)
def test_the_record_tells_the_truth_about_the_file(run: Run, name: str) -> None:
    artifact = _artifact(run, name)
    path = run.path(artifact.path)
    assert artifact.path == f"exports/{name}{pick(Format, name).suffix}"
    assert artifact.size_bytes == size_of(path)
    assert artifact.sha256 == sha256_of(path)
    assert artifact.size_bytes > 80_000, "a file this small holds no weights"
    assert (artifact.image.name, artifact.image.dtype) == ("image", "uint8")
    assert (artifact.output.name, artifact.output.dtype) == ("logits", "float32")


@pytest.mark.parametrize("name", FORMATS)
def test_it_answers_as_the_model_does_on_every_runtime(run: Run, name: str, tmp_path: Path) -> None:
    pixels = _pixels(run, 64)
    (expected,), _ = _ask("keras", run.path("model.keras"), [pixels], tmp_path)
    found, skipped = pairs(run, [name])
    assert found or skipped
    for pair in found:
        (answers, one), compute_nodes = _ask(pair.runtime.name, pair.path, [pixels, pixels[5:6]], tmp_path)
        assert answers.dtype == np.float32
        assert answers.shape == expected.shape
        assert (answers.argmax(axis=1) == expected.argmax(axis=1)).mean() >= pair.format.gate.min_agreement - 1 / 64
        np.testing.assert_allclose(one[0], answers[5], rtol=0, atol=1e-4)
        assert sum(compute_nodes.values()) == 7, "three convolutions, two poolings, two dense layers"


def test_tflite_names_and_contract_are_inside(run: Run) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    for name in ("tflite_float32", "tflite_int8"):
        path = run.path(_artifact(run, name).path)
        interpreter = Interpreter(str(path))
        details = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        assert [d["name"] for d in details] == ["image", "logits"]
        assert [d["dtype"] for d in details] == [np.uint8, np.float32]
        assert list(interpreter.get_signature_list()["serving_default"].values()) == [["image"], ["logits"]]
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        buffers = {entry.name.decode(): model.buffers[entry.buffer].data for entry in model.metadata}
        assert decode(bytes(buffers[CONTRACT_KEY]), Contract, name) == run.contract()
        operators = {code.builtinCode for code in model.operatorCodes}
        assert schema.BuiltinOperator.CUSTOM not in operators


def test_int8_takes_raw_pixels_and_computes_in_int8(run: Run) -> None:
    from ai_edge_litert.interpreter import Interpreter

    artifact = _artifact(run, "tflite_int8")
    interpreter = Interpreter(str(run.path(artifact.path)))
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    assert (np.float32(scale), zero_point) == (np.float32(1 / 255), 0)
    floats = [d["name"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32]
    assert floats == ["logits"]
    assert artifact.size_bytes < 0.3 * _artifact(run, "tflite_float32").size_bytes
    assert artifact.calibration is not None
    assert artifact.calibration.images == 150
    assert artifact.calibration.source == "training images"


def test_onnx_is_clean_and_batches_row_by_row(run: Run) -> None:
    import onnx
    import onnxruntime

    path = run.path(_artifact(run, "onnx_float32").path)
    model = onnx.load(path)
    assert {node.op_type for node in model.graph.node}.isdisjoint({"Shape", "Gather", "Slice", "Identity"})
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    dims = [value.type.tensor_type.shape.dim[0].dim_param for value in (*model.graph.input, *model.graph.output)]
    assert dims == ["batch", "batch"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pixels = _pixels(run, 64)
    whole = session.run(None, {"image": pixels})[0]
    for size in (1, 7):
        rows = np.concatenate([session.run(None, {"image": pixels[i : i + size]})[0] for i in range(0, 64, size)])
        np.testing.assert_allclose(rows, whole, rtol=0, atol=1e-4)


def test_onnx_layer_map_holds_keras_layers(run: Run) -> None:
    import keras

    from edgecnn.predictor import Predictor

    model = keras.saving.load_model(run.path("model.keras"))
    layers = {layer.name: layer.output for layer in model.layers}
    assert list(_artifact(run, "onnx_float32").layers) == list(layers)
    pixels = _pixels(run, 1)
    expected = keras.Model(model.inputs, layers)([pixels.astype(np.float32) / 255])
    maps = Predictor(run.root).features(pixels[0], list(layers))
    for name, value in expected.items():
        np.testing.assert_allclose(maps[name], value[0], rtol=0, atol=1e-5 * max(1, np.abs(value).max()))
