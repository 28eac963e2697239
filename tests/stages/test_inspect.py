"""edgecnn inspect: any exported file, ours, foreign, and broken."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.cli import _run as command
from edgecnn.console import printable
from edgecnn.errors import InputError, MachineError
from edgecnn.records import Inspection, decode
from edgecnn.stages import inspect as stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.run_directory import Run

PUBLISHED = Path(__file__).parent.parent.parent / "artifacts" / "cifar10-cnn" / "exports"
CONVOLUTIONS = [30 * 30 * 3 * 3 * 3 * 32, 13 * 13 * 9 * 32 * 64, 4 * 4 * 9 * 64 * 64]
FOREIGN = """
<ir_version: 10, opset_import: ["" : 19, "com.example" : 1]>
foreign (float[2, 4, 8, 8] x) => (float[2, 5] y) {
    deep = Conv <group = 4, kernel_shape = [3, 3]> (x, deep_w)
    wide = ConvTranspose <strides = [2, 2], kernel_shape = [2, 2]> (deep, wide_w)
    mean = GlobalAveragePool (wide)
    size = Shape (mean)
    first = Gather (size, zero)
    sides = Concat <axis = 0> (first, rest)
    flat = Reshape (mean, sides)
    strange = com.example.Strange (flat)
    y = Gemm (flat, dense_w, dense_b)
}
"""


@pytest.fixture
def foreign_onnx(tmp_path: Path) -> Path:
    """A model that nobody here exported: depthwise and transposed convolution, batch of two, shape arithmetic."""
    onnx = pytest.importorskip("onnx")
    model = onnx.parser.parse_model(FOREIGN)
    floats = {"deep_w": (4, 1, 3, 3), "wide_w": (4, 6, 2, 2), "dense_w": (6, 5), "dense_b": (5,)}
    arrays = {name: np.ones(shape, np.float32) for name, shape in floats.items()}
    arrays |= {"zero": np.array([0], np.int64), "rest": np.array([6], np.int64)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(values, name) for name, values in arrays.items())
    path = tmp_path / "foreign.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence the command ends with, exit code 4."""
    assert command(["inspect", str(path)]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("name", ["onnx_float32.onnx", "tflite_float32.tflite", "saved_model"])
def test_the_published_run(name: str) -> None:
    pytest.importorskip("tensorflow" if name == "saved_model" else "onnx")
    found = stage.inspect(PUBLISHED / name)
    assert [layer.multiply_adds for layer in found.layers] == [*CONVOLUTIONS, 1024 * 64, 64 * 10]
    assert found.multiply_adds == sum(CONVOLUTIONS) + 1024 * 64 + 64 * 10
    assert found.parameters == 122_570
    assert (found.inputs[0].name, found.inputs[0].dtype, found.inputs[0].shape[1:]) == ("image", "uint8", (32, 32, 3))
    if name == "saved_model":
        assert found.contract is None and "contract.json" in found.warnings[0]
    else:
        assert found.contract is not None and found.contract.labels[0] == "airplane"


def test_a_saved_model_away_from_its_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    shutil.copytree(PUBLISHED / "saved_model", tmp_path / "a" / "b")
    assert "an app must guess" in stage.inspect(tmp_path / "a" / "b").warnings[0]


def test_every_export_of_a_run(run: Run) -> None:
    for artifact in run.artifacts().artifacts:
        found = stage.inspect(run.path(artifact.path))
        assert (found.size_bytes, found.sha256) == (artifact.size_bytes, artifact.sha256)
        assert found.inputs[0].dtype == "uint8" and found.outputs[0].dtype == artifact.output.dtype
        assert found.inputs[0].shape[0] == (1 if found.kind == "TFLite" else "batch")
        counts = [layer.multiply_adds for layer in found.layers]
        assert counts[-4:] == [*CONVOLUTIONS[1:], 1024 * 64, 64 * 3], artifact.format
        if artifact.format not in ("onnx_int8", "tflite_int8"):  # their first convolution is rewritten
            assert counts[0] == CONVOLUTIONS[0] == 777_600
        if found.kind == "SavedModel":
            assert str(run.path("contract.json")) in found.warnings[0]
            continue
        assert found.warnings == (), artifact.format
        assert found.contract is not None and found.contract.export is not None
        assert found.contract.export.format == artifact.format
        assert [layer.name for layer in found.layers][-4:] == ["conv2d_1", "conv2d_2", "dense", "dense_1"]
        text = "\n".join(stage.describe(found))
        assert "Nothing is missing." in text and f"{counts[0]:,}" in text
        assert max(len(line) for line in text.splitlines()[1:]) <= 100


def test_weights_behind_dequantization_and_scales(run: Run) -> None:
    quantized = stage.inspect(run.path("exports/onnx_int8.onnx"))
    assert {layer.weights for layer in quantized.layers} == {"int8"}
    micro = stage.inspect(run.path("exports/tflite_int8_micro.tflite"))
    assert micro.inputs[0].scale == pytest.approx(1 / 255) and micro.inputs[0].zero_point == 0
    assert micro.outputs[0].dtype == "int8" and micro.outputs[0].scale
    assert micro.parameters == 122_570 - 7 * 65


def test_a_small_onnx_file(tiny_onnx: Path) -> None:
    found = stage.inspect(tiny_onnx)
    assert [layer.name for layer in found.layers] == ["conv", "hidden", "dense_1"]
    assert [layer.multiply_adds for layer in found.layers] == [6 * 6 * 9 * 3 * 4, 36 * 5, 5 * 3]
    assert found.parameters == 4 * 27 + 4 + 36 * 5 + 5 + 5 * 3 + 3
    assert found.inputs[0].shape == ("N", 8, 8, 3)
    assert (found.opset, found.ir_version, found.warnings) == ({"ai.onnx": 17}, 8, ())


def test_json_is_the_record(tiny_onnx: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["inspect", str(tiny_onnx), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["inputs"][0]["shape"] == ["N", 8, 8, 3]
    assert decode(printed.encode(), Inspection, "it") == stage.inspect(tiny_onnx)


def test_a_foreign_onnx_file(foreign_onnx: Path) -> None:
    found = stage.inspect(foreign_onnx)
    deep, wide, dense = found.layers
    assert deep.multiply_adds == 6 * 6 * 9 * 4
    assert wide.multiply_adds == 6 * 6 * 4 * 6 * 4
    assert dense.multiply_adds == 6 * 5  # for one image, though the batch is two
    assert found.parameters == 36 + 96 + 30 + 5
    assert found.operators["com.example.Strange"] == 1
    said = "\n".join(stage.describe(found)).replace("\n         ", " ")
    for part in (
        "carries no contract", "fixed at 2", "com.example.Strange", "Opset 19", "IR version 10", "Shape 1, Gather 1",
        "float32, not uint8",
    ):  # fmt: skip
        assert part in said


def test_long_names_of_layers_keep_what_tells_them_apart(tiny_onnx: Path) -> None:
    import onnx

    model = onnx.load(tiny_onnx)
    for node in model.graph.node:
        node.name = f"a_model_with_quite_a_long_name/and_a_block_in_it/{node.output[0]}"
    onnx.save(model, tiny_onnx)
    lines = stage.describe(stage.inspect(tiny_onnx))
    assert "layers of       a_model_with_quite_a_long_name/and_a_block_in_it" in lines
    assert any(line.startswith("hidden  ") for line in lines)


def test_names_cannot_command_the_terminal(tiny_onnx: Path) -> None:
    import onnx

    model = onnx.load(tiny_onnx)
    model.producer_name = "\x1b[2Jevil"
    model.graph.node[3].name = "two\nlines"
    onnx.save(model, tiny_onnx)
    lines = [printable(line) for line in stage.describe(stage.inspect(tiny_onnx))]
    assert any("\\x1b[2Jevil" in line for line in lines)
    assert not any("\n" in line for line in lines)


def _nested_functions(depth: int, calls: int) -> bytes:
    """A model whose functions call the one before, `calls` times each."""
    from onnx import helper, parser

    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = []
    for number in range(depth):
        called = ("Relu", "") if number == 0 else (f"F{number - 1}", "own")
        names = ["a", *(f"t{i}" for i in range(calls - 1)), "b"]
        nodes = [helper.make_node(called[0], [names[i]], [names[i + 1]], domain=called[1]) for i in range(calls)]
        functions.append(helper.make_function("own", f"F{number}", ["a"], ["b"], nodes, opsets))
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17, "own" : 1]> g (float[N, 3] x) => (float[N, 3] y) '
        f"{{ y = own.F{depth - 1} (x) }}"
    )
    model.functions.extend(functions)
    return bytes(model.SerializeToString())


def test_functions_are_written_out_within_measure(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    path = tmp_path / "functions.onnx"
    path.write_bytes(_nested_functions(depth=4, calls=2))
    assert stage.inspect(path).operators == {"Relu": 16}
    for depth, calls in ((40, 2), (1_000, 1)):
        path.write_bytes(_nested_functions(depth, calls))
        with pytest.raises(InputError, match="call each other too often"):
            stage.inspect(path)


def _folded_tflite(graphs: int, tensors: int) -> bytes:
    """A flatbuffer in which every graph is the same one, and every tensor of it, too."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder()

    def vector(start: Callable[..., object], place: int, count: int) -> int:
        start(builder, count)
        for _ in range(count):
            builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())

    schema.TensorStart(builder)
    many = vector(schema.SubGraphStartTensorsVector, schema.TensorEnd(builder), tensors)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, many)
    subgraphs = vector(schema.ModelStartSubgraphsVector, schema.SubGraphEnd(builder), graphs)
    schema.BufferStart(builder)
    buffers = vector(schema.ModelStartBuffersVector, schema.BufferEnd(builder), 1)
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_a_tflite_file_cannot_unfold_without_measure(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "folded.tflite"
    path.write_bytes(_folded_tflite(2, 3))
    assert stage.inspect(path).operators == {}
    path.write_bytes(_folded_tflite(2_000, 2_000))  # 16 KB that ask for four million tensors
    with pytest.raises(InputError, match="refers to more than it holds"):
        stage.inspect(path)


def test_a_saved_model_cannot_call_itself(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    meta = model.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.signature_def["serving_default"].outputs["y"].name = "y:0"
    function = meta.graph_def.library.function.add()
    function.signature.name = "F"
    for node in (meta.graph_def.node.add(), function.node_def.add()):
        node.name, node.op = "y", "PartitionedCall"
        node.attr["f"].func.name = "F"
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="call each other too often"):
        stage.inspect(tmp_path)


def test_an_unnamed_batch_and_a_broken_contract(tiny_onnx: Path) -> None:
    import onnx

    model = onnx.load(tiny_onnx)
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    onnx.helper.set_model_props(model, {"edgecnn.contract": "{}"})
    onnx.save(model, tiny_onnx)
    found = stage.inspect(tiny_onnx)
    assert "cannot be read" in found.warnings[0] and "no name" in found.warnings[1]
    onnx.helper.set_model_props(model, {"edgecnn.contract": '{"a": ' + "[" * 100_000})
    onnx.save(model, tiny_onnx)
    assert "cannot be read" in stage.inspect(tiny_onnx).warnings[0]
    onnx.helper.set_model_props(model, {"edgecnn.contract": '{"schema": 99}'})
    onnx.save(model, tiny_onnx)
    assert "newer edgecnn" in stage.inspect(tiny_onnx).warnings[0]
    onnx.helper.set_model_props(model, {"edgecnn.contract": '{"schema": 1}'})
    onnx.save(model, tiny_onnx)
    assert "older edgecnn" in stage.inspect(tiny_onnx).warnings[0]


def test_a_foreign_tflite_file(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    weights = [np.ones(shape, np.float32) for shape in ((3, 3, 4, 1), (2, 2, 6, 4))]

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4), tf.float32)])
    def answer(x: object) -> object:
        deep = tf.nn.depthwise_conv2d(x, weights[0], (1, 1, 1, 1), "VALID")
        return tf.nn.conv2d_transpose(deep, weights[1], (1, 12, 12, 6), 2, "VALID")

    module = tf.Module()
    module.answer = answer
    path = tmp_path / "foreign.tflite"
    path.write_bytes(
        tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()], module).convert()
    )
    found = stage.inspect(path)
    counts = {layer.operator: layer.multiply_adds for layer in found.layers}
    assert counts == {"DEPTHWISE_CONV_2D": 6 * 6 * 9 * 4, "TRANSPOSE_CONV": 6 * 6 * 4 * 6 * 4}
    assert found.parameters >= 36 + 96
    assert "no contract" in found.warnings[0] and "float32" in found.warnings[1]


@pytest.mark.parametrize("name", ["onnx_float32.onnx", "tflite_float32.tflite", "tflite_int8.tflite"])
def test_truncated_and_random_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    content = (PUBLISHED / name).read_bytes()
    path = tmp_path / name
    random = np.random.default_rng(3)
    for length in (0, 1, 7, 8, 100, 5_000, len(content) // 2, len(content) - 1_000):
        path.write_bytes(content[:length])
        assert str(path) in _refused(path, capsys)
    for length in (40, 3_000):
        path.write_bytes(random.bytes(length))
        _refused(path, capsys)
        path.write_bytes(content[:8] + random.bytes(length))
        _refused(path, capsys)


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    random = np.random.default_rng(4)
    for name in ("onnx_float32.onnx", "tflite_int8.tflite"):
        content = np.frombuffer((PUBLISHED / name).read_bytes(), np.uint8)
        for _ in range(60):
            broken = content.copy()
            places = random.integers(0, 6_000, 8)
            broken[np.where(places % 2, places, len(content) - 1 - places)] = random.integers(0, 256, 8)
            path = tmp_path / name
            path.write_bytes(broken.tobytes())
            try:
                stage.describe(stage.inspect(path))
            except InputError as error:
                assert str(path) in str(error)


def test_a_broken_saved_model(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run.path("exports/saved_model")
    variables = next(folder.glob("variables/variables.data-*"))
    variables.write_bytes(variables.read_bytes()[:1_000])
    assert "variables" in _refused(folder, capsys)
    graph = folder / "saved_model.pb"
    assert "give its folder" in _refused(graph, capsys)
    graph.write_bytes(graph.read_bytes()[:2_000])
    assert "not a valid SavedModel" in _refused(folder, capsys)


def test_what_is_no_exported_file(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Keras model" in _refused(run.path("model.keras"), capsys)
    (tmp_path / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "Keras model" in _refused(tmp_path / "old.h5", capsys)
    assert "onnx_float32.onnx" in _refused(run.root, capsys)
    assert "no file" in _refused(tmp_path / "nothing.onnx", capsys)
    (tmp_path / "notes.txt").write_text("hello, it is a text")
    assert "is not a folder of generated C, an .onnx file, a SavedModel" in _refused(tmp_path / "notes.txt", capsys)
    assert "no file" in _refused(tmp_path / ("x" * 300 + ".onnx"), capsys)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
        assert "not a regular file" in _refused(tmp_path / "pipe.onnx", capsys)
    (tmp_path / "empty").mkdir()
    assert "not a SavedModel" in _refused(tmp_path / "empty", capsys)


def test_visualize(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install netron"):
        stage.visualize(tiny_onnx)
    opened: list[str] = []
    monkeypatch.setattr(stage, "find_spec", lambda name: name == "netron" or None)
    monkeypatch.setitem(sys.modules, "netron", SimpleNamespace(start=opened.append, wait=lambda: None))
    stage.visualize(tiny_onnx)
    assert opened == [str(tiny_onnx)]
