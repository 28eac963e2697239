"""ONNX with float32 weights and arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.plugins import Exported, Format, Gate
from edgecnn.records import LayerTensor

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import ExportSource

    Floats = npt.NDArray[np.float32]

OPSET = 17  # old enough for the runtimes found on devices
PROBE_IMAGES = 4
NCHW_TO_NHWC = (0, 2, 3, 1)


def export(source: ExportSource, path: Path) -> Exported:
    """Write an .onnx file with a dynamic batch, its layer map and contract inside."""
    import onnx

    from edgecnn.conversion import embed_in_onnx

    proto = _convert(source)
    layers = _layer_map(source, proto)
    embed_in_onnx(proto, source.contract, layers)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())
    return Exported(layers=layers)


def _convert(source: ExportSource) -> Any:
    """Convert by way of tf.function: tf2onnx's `from_keras` fails on Keras 3. onnxslim folds what shape
    arithmetic the converter leaves behind and keeps the batch dynamic."""
    import onnxslim
    import tensorflow as tf
    import tf2onnx

    from edgecnn.conversion import input_signature, quiet, serving_function

    signature = input_signature(source, raw_pixels=True, batch=None)
    function = tf.function(serving_function(source, raw_pixels=True), input_signature=signature)
    with quiet():
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
        proto = onnxslim.slim(proto)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    used = {node.domain for node in proto.graph.node}
    for opset in [opset for opset in proto.opset_import if opset.domain not in used]:
        proto.opset_import.remove(opset)
    return proto


def _layer_map(source: ExportSource, proto: Any) -> dict[str, LayerTensor]:
    """Which tensor holds each Keras layer's output, found by value on a few images.

    Names do not tell: the converter calls layer `conv2d` "conv2d_1" and layer `conv2d_1` "conv2d_1_2".
    """
    import keras
    import numpy as np

    model: Any = source.model
    images = source.calibration_images[:PROBE_IMAGES]
    outputs = {layer.name: layer.output for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)}
    wanted = keras.Model(model.inputs, outputs)([images.astype(np.float32) / np.float32(255)], training=False)
    tensors = _all_tensors(proto, images)
    found: dict[str, LayerTensor] = {}
    for layer in outputs:
        match = _find(np.asarray(wanted[layer]), tensors)
        if match is not None:
            found[layer] = match
    if not found:
        raise InputError("No tensor of the ONNX file holds any Keras layer's output: the conversion went wrong.")
    return found


def _all_tensors(proto: Any, images: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    """Every node output of the graph on these images, in graph order, run without graph optimisation."""
    import onnx
    import onnxruntime

    exposed = onnx.ModelProto()
    exposed.CopyFrom(proto)
    names = [name for node in proto.graph.node for name in node.output]
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {proto.graph.input[0].name: images}), strict=True))


def _find(wanted: Floats, tensors: dict[str, Floats]) -> LayerTensor | None:
    """The first tensor equal to `wanted` up to float rounding, as it is or with its channels first."""
    import numpy as np

    tolerance = 1e-4 * max(float(np.abs(wanted).max()), 1e-6)
    for name, value in tensors.items():
        for layout in ("NHWC", "NCHW") if wanted.ndim == 4 else ("N",):
            candidate = value.transpose(NCHW_TO_NHWC) if layout == "NCHW" and value.ndim == 4 else value
            if candidate.shape == wanted.shape and np.abs(candidate - wanted).max() <= tolerance:
                return LayerTensor(tensor=name, layout=layout)
    return None


PLUGIN = Format(
    name="onnx_float32",
    summary="ONNX float32 for ONNX Runtime: servers, desktops, browsers, phones",
    suffix=".onnx",
    file_kind="onnx",
    batched=True,
    gate=Gate(max_drop_points=0.05, min_agreement=0.9998),
    export=export,
)
