"""The contract every format keeps, over all that are discovered; a new one is tested for free."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.dataset import Dataset
from edgecnn.execution.client import ModelWorker
from edgecnn.execution.targets import pairs
from edgecnn.export.format import Format
from edgecnn.files import sha256_of, size_of
from edgecnn.model_files import c_header
from edgecnn.plugins import discover, pick
from edgecnn.records import Contract, decode
from edgecnn.records.contract import CONTRACT_KEY
from edgecnn.run_directory import Run
from edgecnn.runtimes.runtime import Runtime
from edgecnn.training.architecture import Architecture

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Artifact

FORMATS = sorted(discover(Format))


@pytest.fixture
def run(every_format_run: Path, tmp_path: Path) -> Run:
    """A copy of the run with all formats."""
    return Run(shutil.copytree(every_format_run, tmp_path / "run"))


def _artifact(run: Run, name: str) -> Artifact:
    return next(artifact for artifact in run.artifacts().artifacts if artifact.format == name)


def _pixels(run: Run, count: int) -> np.ndarray:
    with np.load(run.path("samples.npz")) as samples:
        return samples["images"][:count]


def _ask(
    runtime: str, path: Path, batches: list[np.ndarray], folder: Path, provider: str = "cpu"
) -> tuple[list[np.ndarray], dict[str, int]]:
    """The answers to each batch from a worker, since TensorFlow's threads can be set once a process only."""
    answers = []
    with ModelWorker(runtime, path, threads=1, provider=provider) as worker:
        for pixels in batches:
            np.save(folder / "images.npy", pixels)
            worker.ask("run", images=str(folder / "images.npy"), outputs=str(folder / "a.npy"))
            answers.append(np.load(folder / "a.npy"))
        return answers, worker.loaded["placement"]["compute_nodes"]


@pytest.mark.parametrize("kind", [Format, Runtime, Dataset, Architecture])
def test_a_plug_in_is_called_as_its_module(kind: type) -> None:
    for name, plugin in discover(kind).items():
        assert plugin.summary
        assert importlib.util.find_spec(f"{kind.PACKAGE}.{name}"), name


@pytest.mark.parametrize("name", FORMATS)
def test_the_record_tells_the_truth_about_the_file(run: Run, name: str) -> None:
    artifact = _artifact(run, name)
    path = run.path(artifact.path)
    assert artifact.path == f"exports/{name}{pick(Format, name).suffix}"
    assert artifact.size_bytes == size_of(path)
    assert artifact.sha256 == sha256_of(path)
    assert artifact.size_bytes > 80_000, "a file this small holds no weights"
    assert (artifact.input.name, artifact.input.dtype) == ("image", "uint8")
    assert (artifact.output.name, artifact.output.dtype) == ("logits", pick(Format, name).output_dtype)


@pytest.mark.parametrize("name", FORMATS)
def test_it_answers_as_the_model_does_on_every_runtime(run: Run, name: str, tmp_path: Path) -> None:
    pixels = _pixels(run, 64)
    (expected,), _ = _ask("keras", run.path("model.keras"), [pixels], tmp_path)
    found, skipped = pairs(run, [name])
    assert found or skipped
    for pair in found:
        (answers, one), compute_nodes = _ask(
            pair.runtime.name, pair.path, [pixels, pixels[5:6]], tmp_path, pair.provider
        )
        assert answers.dtype == np.float32
        assert answers.shape == expected.shape
        assert (answers.argmax(axis=1) == expected.argmax(axis=1)).mean() >= pair.format.gate.min_agreement - 1 / 64
        np.testing.assert_allclose(one[0], answers[5], rtol=0, atol=1e-4)
        widening = int(name == "onnx_int8")
        assert sum(compute_nodes.values()) == 7 + widening, "three convolutions, two poolings, two dense layers"


def _contract_inside(path: Path) -> Contract:
    if path.suffix == ".onnx":
        import onnx

        content = {entry.key: entry.value for entry in onnx.load(path).metadata_props}[CONTRACT_KEY].encode()
    elif path.is_dir():
        content = c_header.read(path).contract
    else:
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        content = next(bytes(model.buffers[e.buffer].data) for e in model.metadata if e.name.decode() == CONTRACT_KEY)
    return decode(content, Contract, str(path))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "saved_model"])
def test_the_contract_travels_inside(run: Run, name: str) -> None:
    artifact = _artifact(run, name)
    inside = _contract_inside(run.path(artifact.path))
    contract = run.contract()
    assert replace(inside, export=None, input=contract.input, output=contract.output) == contract
    assert (inside.input, inside.output) == (artifact.input, artifact.output)
    assert inside.calibration_sha256
    assert inside.export is not None
    assert inside.export.format == name
    assert inside.export.layers == artifact.layers
    assert inside.export.calibration == artifact.calibration
    assert "tensorflow" in inside.export.versions
    if pick(Format, name).calibrator:
        assert artifact.calibration is not None
        assert artifact.calibration.sha256 == contract.calibration_sha256
        assert artifact.calibration.images == 150
        assert artifact.calibration.source == "training images"


@pytest.mark.parametrize("name", [name for name in FORMATS if pick(Format, name).suffix == ".tflite"])
def test_tflite_is_clean(run: Run, name: str) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    path = run.path(_artifact(run, name).path)
    interpreter = Interpreter(str(path))
    details = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert [d["name"] for d in details] == ["image", "logits"]
    assert details[0]["shape"].tolist() == [1, 32, 32, 3]
    assert [d["dtype"] for d in details] == [np.uint8, np.dtype(pick(Format, name).output_dtype)]
    assert list(interpreter.get_signature_list()["serving_default"].values()) == [["image"], ["logits"]]
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    operators = {code.builtinCode for code in model.operatorCodes}
    kinds = schema.BuiltinOperator
    assert operators.isdisjoint({kinds.CUSTOM, kinds.SHAPE, kinds.STRIDED_SLICE, kinds.PACK, kinds.GATHER})
    names = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert {"conv2d", "conv2d/kernel", "conv2d_1", "conv2d_1/bias", "flatten", "dense/kernel"} <= set(names)
    content = path.read_bytes()
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 100:
            assert content.find(bytes(buffer.data)) % 16 == 0, "weights are aligned as TFLite's schema says"


@pytest.mark.parametrize("name", ["tflite_int8", "tflite_int8_micro"])
def test_int8_takes_raw_pixels_and_computes_in_int8(run: Run, name: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    artifact = _artifact(run, name)
    interpreter = Interpreter(str(run.path(artifact.path)))
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    assert (np.float32(scale), zero_point) == (np.float32(1 / 255), 0)
    floats = [d["name"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32]
    assert floats == (["logits"] if name == "tflite_int8" else [])
    assert artifact.mixed_precision is not None
    assert artifact.mixed_precision.excluded_from_quantization == ()


@pytest.mark.parametrize(
    ("name", "of", "share"),
    [
        ("tflite_int8", "tflite_float32", 0.28),
        ("tflite_int8_micro", "tflite_float32", 0.28),
        ("tflite_dynamic", "tflite_float32", 0.28),
        ("tflite_float16", "tflite_float32", 0.52),
        ("onnx_int8", "onnx_float32", 0.30),
    ],
)
def test_quantized_files_are_smaller(run: Run, name: str, of: str, share: float) -> None:
    assert _artifact(run, name).size_bytes <= share * _artifact(run, of).size_bytes


@pytest.mark.parametrize("name", ["onnx_float32", "onnx_int8"])
def test_onnx_is_clean_and_batches_row_by_row(run: Run, name: str) -> None:
    import onnx
    import onnxruntime

    path = run.path(_artifact(run, name).path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node}.isdisjoint({"Shape", "Gather", "Slice", "Identity"})
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    dims = [value.type.tensor_type.shape.dim[0].dim_param for value in (*model.graph.input, *model.graph.output)]
    assert dims == ["batch", "batch"]
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert {"conv2d/Conv", "max_pooling2d/MaxPool", "conv2d_1/Conv", "flatten/Reshape", "dense/Gemm"} <= set(names)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pixels = _pixels(run, 64)
    whole = session.run(None, {"image": pixels})[0]
    for size in (1, 7):
        rows = np.concatenate([session.run(None, {"image": pixels[i : i + size]})[0] for i in range(0, 64, size)])
        np.testing.assert_allclose(rows, whole, rtol=0, atol=1e-4)


def test_onnx_int8_leaves_no_float_compute_node_as_it_ships(run: Run, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    path = run.path(_artifact(run, "onnx_int8").path)
    graph = onnx.load(path).graph
    first = next(node for node in graph.node if "image" in node.input)
    assert first.op_type == "DequantizeLinear"
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert constants[first.input[1]] == np.float32(1 / 255)
    assert constants[first.input[2]] == np.uint8(0)
    assert {values.dtype for name, values in constants.items() if name.endswith("kernel_quantized")} == {
        np.dtype("int8")
    }
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert set(operators) <= {"Reshape", "Transpose", "QLinearConv", "NhwcMaxPool", "MaxPool", "QGemm"}
    assert operators.count("QLinearConv") == 4
    assert operators.count("QGemm") == 2


def _layer_values(run: Run) -> dict[str, np.ndarray]:
    import keras

    model = keras.saving.load_model(run.path("model.keras"))
    layers = {layer.name: layer.output for layer in model.layers}
    values = keras.Model(model.inputs, layers)([_pixels(run, 1).astype(np.float32) / 255])
    return {name: np.asarray(value) for name, value in values.items()}


def _noise(value: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square error as a share of the root mean square."""
    return float(np.sqrt(np.square(value - expected).mean() / np.square(expected).mean()))


def test_onnx_layer_map_holds_keras_layers(run: Run) -> None:
    from edgecnn.inference.predictor import Predictor

    expected = _layer_values(run)
    for name, most in (("onnx_float32", 1e-5), ("onnx_int8", 0.1)):
        artifact = _artifact(run, name)
        assert list(artifact.layers) == list(expected)
        maps = Predictor(run.path(artifact.path)).features(_pixels(run, 1)[0], list(expected))
        for layer, value in expected.items():
            assert maps[layer].shape == value[0].shape
            assert _noise(maps[layer], value[0]) < most, layer


@pytest.mark.parametrize("name", [name for name in FORMATS if pick(Format, name).suffix == ".tflite"])
def test_tflite_layer_map_holds_keras_layers(run: Run, name: str) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    artifact = _artifact(run, name)
    expected = _layer_values(run)
    assert list(artifact.layers) == list(expected)
    interpreter = Interpreter(
        str(run.path(artifact.path)),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], _pixels(run, 1))
    interpreter.invoke()
    tensors = {d["name"]: d for d in interpreter.get_tensor_details()}
    for layer, place in artifact.layers.items():
        details = tensors[place.tensor]
        scale, zero_point = details["quantization"]
        value = interpreter.get_tensor(details["index"]).astype(np.float32)
        value = (value - zero_point) * scale if scale else value
        assert _noise(value, expected[layer]) < (1e-4 if name == "tflite_float32" else 0.1), layer
