"""Conversion of what converters stumble over: loops, grouped convolutions, operators without a counterpart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.errors import InputError
from edgecnn.export import onnx_converter, onnx_file, tflite_converter
from edgecnn.export.format import ExportSource
from edgecnn.export.formats import saved_model
from edgecnn.model_files.onnx_graph import nodes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.records import Contract

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")


def _source(contract: Contract, body: Callable[[Any], Any]) -> ExportSource:
    """A model for 8 x 8 images whose `body` lies between the image and a dense layer."""
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 3), name="image")
    scores = keras.layers.Dense(3, name="scores")(keras.layers.Flatten(name="flatten")(body(image)))
    images = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    return ExportSource(
        model=keras.Model(image, scores), contract=contract, calibration_images=images, selection_images=images[:0],
        selection_labels=np.zeros(0, np.int64),
    )  # fmt: skip


def _gru(x: Any) -> Any:
    return keras.layers.GRU(4, name="memory")(keras.layers.Reshape((8, 24), name="rows")(x))


def test_a_loop_gives_the_same_files_twice_and_is_named_for_its_layer(tiny_contract: Contract) -> None:
    source = _source(tiny_contract, _gru)
    (first, layers), (second, _) = (onnx_file.float_graph(again) for again in (source, replace(source)))
    assert first == second
    assert set(layers) >= {"rows", "memory", "scores"}
    inner = [node for node in nodes_of(onnx.ModelProto.FromString(first).graph) if "Loop" not in node.op_type]
    assert sum(node.name.startswith("memory/") for node in inner) > 20
    hashes = {saved_model.export(again).content_sha256 for again in (source, replace(source))}
    assert len(hashes) == 1
    pixels = source.calibration_images
    wanted = np.asarray(source.model(pixels.astype(np.float32) / np.float32(255)))  # type: ignore[operator]
    np.testing.assert_allclose(onnx_file.outputs_of(first, pixels), wanted, atol=1e-5)


def test_the_weights_inside_a_loop_count_for_the_content_hash(tiny_contract: Contract) -> None:
    source = _source(tiny_contract, _gru)
    before = saved_model.export(source).content_sha256
    model: Any = source.model
    layer = model.get_layer("memory")
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    assert saved_model.export(replace(source)).content_sha256 != before


def test_a_loop_is_refused_before_it_is_calibrated(tiny_contract: Contract) -> None:
    with pytest.raises(InputError, match=r"layer 'memory' \(GRU\) is a loop"):
        tflite_converter.calibrated_file(_source(tiny_contract, _gru))


def test_a_grouped_convolution_is_one_operator_and_its_layer_stays_as_it_was(tiny_contract: Contract) -> None:
    convolution = keras.layers.Conv2D(6, 3, strides=2, padding="same", groups=3, name="grouped")
    source = _source(tiny_contract, convolution)
    model, _ = onnx_file.float_graph(source)
    nodes = [node for node in onnx.ModelProto.FromString(model).graph.node if node.op_type == "Conv"]
    assert [(node.name, {a.name: a.i for a in node.attribute}["group"]) for node in nodes] == [("grouped/Conv", 3)]
    assert "convolution_op" not in vars(convolution)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda x: keras.ops.erfinv(x * 0.5), "The layer 'erfinv(_[0-9]+)?' needs TensorFlow's operator Erfinv"),
        (
            lambda x: keras.layers.Activation(keras.ops.erfinv, name="odd")(keras.layers.Conv2D(2, 1)(x)),
            "The layer 'odd' needs TensorFlow's operator Erfinv",
        ),
    ],
)
def test_an_operator_without_counterpart_is_named_with_its_layer(
    body: Callable[[Any], Any], words: str, tiny_contract: Contract
) -> None:
    source = _source(tiny_contract, body)
    with pytest.raises(InputError, match=f"{words}, which ONNX opset 18 has no counterpart of"):
        onnx_converter.convert(source)
    with pytest.raises(InputError, match=f"{words}, which TFLite has no counterpart of"):
        tflite_converter.float_file(source)


def test_a_newer_opset_is_taken_where_the_operators_need_it(tiny_contract: Contract) -> None:
    def coarse(x: Any) -> Any:
        ops = keras.ops
        return ops.cast(ops.bitwise_and(ops.cast(x * 255, "int32"), ops.convert_to_tensor(0xE0, "int32")), "float32")

    for body, opset in ((coarse, 18), (lambda x: x * 2, 17)):
        source = _source(tiny_contract, body)
        model, _ = onnx_file.float_graph(source)
        proto = onnx.ModelProto.FromString(model)
        assert ([entry.version for entry in proto.opset_import], proto.ir_version) == ([opset], 8)
        pixels = source.calibration_images
        wanted = np.asarray(source.model(pixels.astype(np.float32) / np.float32(255)))  # type: ignore[operator]
        np.testing.assert_allclose(onnx_file.outputs_of(model, pixels), wanted, rtol=1e-4, atol=1e-4)
