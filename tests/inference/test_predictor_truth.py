"""The predictor against Keras, and against the same file run by ONNX Runtime alone, over several kinds of network."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn import records
from edgecnn.data.loading import load_data
from edgecnn.data.samples import synthetic_images
from edgecnn.environment import usable_cores
from edgecnn.execution.client import ModelWorker
from edgecnn.export import layer_map
from edgecnn.export.format import ExportSource, Format
from edgecnn.inference.predictor import Predictor
from edgecnn.plugins import pick
from edgecnn.preprocessing import decode
from edgecnn.pretrained import PLACES
from edgecnn.run_directory import Run
from edgecnn.training.architecture import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

IMAGES = 12
FORMATS = ("onnx_float32", "onnx_int8")
PUBLISHED = PLACES[1] / "cifar10-cnn"


def _mobile(shape: tuple[int, int, int], classes: int) -> Any:
    """Depthwise and pointwise convolutions with normalisation, and one shortcut, as MobileNet has them."""
    import keras
    from keras import layers

    image = keras.Input(shape, name="image")
    flow = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv2d")(image)
    flow = layers.BatchNormalization(name="batch_normalization")(flow)
    flow = layers.ReLU(6, name="re_lu")(flow)
    before = flow
    for i in (1, 2):
        flow = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"depthwise_conv2d_{i}")(flow)
        flow = layers.BatchNormalization(name=f"batch_normalization_{2 * i}")(flow)
        flow = layers.ReLU(6, name=f"re_lu_{i}")(flow)
        flow = layers.Conv2D(8, 1, use_bias=False, name=f"conv2d_{i}")(flow)
        flow = layers.BatchNormalization(name=f"batch_normalization_{2 * i + 1}")(flow)
    flow = layers.Add(name="add")([before, flow])
    flow = layers.GlobalAveragePooling2D(name="global_average_pooling2d")(flow)
    return keras.Model(image, layers.Dense(classes, name="dense")(flow))


BUILD: dict[str, Callable[[tuple[int, int, int], int], Any]] = {
    "cnn": lambda shape, classes: pick(Architecture, "cnn").build(shape, classes),
    "resnet8": lambda shape, classes: pick(Architecture, "resnet8").build(shape, classes),
    "mobile": _mobile,
}


@dataclass(frozen=True)
class Case:
    """A Keras model, [0, 1] floats in, and its exported files by format."""

    model: Any
    files: dict[str, Path]
    images: np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module", params=sorted(BUILD))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(3)
    model: Any = BUILD[request.param]((32, 32, 3), 10)
    for layer in model.layers:  # as if trained: statistics of its own in every normalisation
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape).astype(np.float32) for w in layer.get_weights()])
    labels = tuple(str(i) for i in range(10))
    data = records.DataSource(name="synthetic", spec="synthetic", sha256="", labels=labels, train_count=1, test_count=1)
    rules = records.Contract(
        schema=records.SCHEMA, model=request.param, model_sha256="0" * 64, layout="NHWC", color_space="RGB",
        value_range=(0, 255), input=records.TensorSpec(name="image", dtype="uint8", shape=(None, 32, 32, 3)),
        resize=decode.RESIZE_RULE, output=records.TensorSpec(name="logits", dtype="float32", shape=(None, 10)),
        output_meaning="logits", labels=labels, data=data,
    )  # fmt: skip
    images = synthetic_images(200, rules)
    source = ExportSource(model, rules, images[:100], images[:0], np.zeros(0, np.int64))
    folder = tmp_path_factory.mktemp(request.param)
    files = {}
    for name in FORMATS:
        exported = pick(Format, name).export(source)
        facts = records.Export(
            format=name, versions={}, layers=dict(exported.layers), calibration=None, excluded_from_quantization=(),
            fused_into=layer_map.fused_into(source, exported.layers),
        )  # fmt: skip
        files[name] = folder / f"{name}.onnx"
        exported.write(replace(rules, export=facts), files[name])
    return Case(model, files, images[-IMAGES:])


def directly(path: Path, tensors: list[str], images: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors' values, [N, ...], of the file with outputs added by the onnx package."""
    model = onnx.load(path)
    there = [output.name for output in model.graph.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(tensors) if name not in there)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(tensors, session.run(tensors, {"image": images}), strict=True))


def nhwc(values: np.ndarray[Any, Any], layer: records.LayerTensor) -> np.ndarray[Any, Any]:
    return np.moveaxis(values, 1, 3) if layer.layout == "NCHW" else values


def test_float_maps_are_keras_maps(case: Case) -> None:
    import keras

    predictor = Predictor(case.files["onnx_float32"])
    named = {layer.name for layer in case.model.layers} - {"image"}
    assert named == {*predictor.layers, *predictor.fused_into}
    outputs = {name: case.model.get_layer(name).output for name in predictor.layers}
    expected = keras.Model(case.model.inputs, outputs)(
        [case.images.astype(np.float32) / np.float32(255)], training=False
    )
    for i, image in enumerate(case.images):
        maps = predictor.features(image, list(predictor.layers))
        for name, values in maps.items():
            wanted = np.asarray(expected[name])[i]
            assert values.shape == wanted.shape, name
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-5 * np.abs(expected[name]).max(), err_msg=name)


@pytest.mark.parametrize("format", FORMATS)
def test_maps_are_the_tensors_of_that_very_file(case: Case, format: str) -> None:
    predictor = Predictor(case.files[format])
    tensors = [layer.tensor for layer in predictor.layers.values()]
    together = directly(case.files[format], tensors, case.images)
    alone = {tensor: directly(case.files[format], [tensor], case.images)[tensor] for tensor in tensors}
    for i, image in enumerate(case.images):
        for name, values in predictor.features(image, list(predictor.layers)).items():
            layer = predictor.layers[name]
            np.testing.assert_array_equal(values, nhwc(together[layer.tensor], layer)[i], err_msg=name)
            if format == "onnx_int8":
                np.testing.assert_array_equal(values, nhwc(alone[layer.tensor], layer)[i], err_msg=name)


@pytest.mark.parametrize("format", FORMATS)
def test_predictions_are_what_the_plain_file_answers(case: Case, format: str) -> None:
    predictor = Predictor(case.files[format])
    expected = directly(case.files[format], ["logits"], case.images)["logits"]
    predictor.features(case.images[0])
    for i, answer in enumerate(predictor.predict(list(case.images))):
        assert answer.scores.tobytes() == expected[i].tobytes()
        assert predictor.predict(case.images[i]).scores.tobytes() == expected[i].tobytes()


@pytest.mark.parametrize("format", FORMATS)
def test_predictions_equal_paritys_row_to_the_bit(format: str, tmp_path: Path) -> None:
    run = Run(PUBLISHED)
    real = bool(os.environ.get("EDGECNN_DATA"))
    images = load_data("cifar10", (32, 32)).test_images if real else synthetic_images(1000, run.contract())
    np.save(tmp_path / "images.npy", images)
    with ModelWorker("onnxruntime", run.path(f"exports/{format}.onnx"), threads=usable_cores()) as worker:
        worker.run(tmp_path / "images.npy", tmp_path / "a.npy")
    predictor = Predictor(run.root, format=format, threads=usable_cores())
    for expected, answer in zip(np.load(tmp_path / "a.npy"), predictor.predict(list(images)), strict=True):
        assert answer.scores.tobytes() == expected.tobytes()
