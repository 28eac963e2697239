"""Bias correction of int8 ONNX files (QDQ), see :mod:`edgecnn.export.quantization.bias_correction`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.export.quantization.bias_correction import IMAGES, corrected, moved

if TYPE_CHECKING:
    from edgecnn.arrays import Pixels
    from edgecnn.export.format import ExportSource
    from edgecnn.export.quantization.bias_correction import Means

WITH_BIAS = ("Conv", "ConvTranspose", "Gemm")  # in a file: channels are axis 1 of their outputs


def with_corrected_biases(source: ExportSource, original: bytes, model: bytes, batch: int) -> bytes:
    """The int8 file of the float file `original` with its quantized biases moved until the products have its means;
    `batch` images a call."""
    import onnx

    images = source.calibration_images[:IMAGES]
    nodes = list(_biases(onnx.ModelProto.FromString(model)))
    return corrected(
        model,
        {node: _means(original, node, images, batch) for node in nodes},
        lambda model, node: _means(model, node, images, batch),
        _shifted,
    )


def _biases(proto: Any) -> dict[str, Any]:
    """Node name -> the DequantizeLinear of its int32 bias, which nothing else reads, in graph order."""
    import onnx

    makers = {name: node for node in proto.graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    read = [name for node in proto.graph.node for name in node.input]
    found = {}
    for node in proto.graph.node:
        if node.op_type in WITH_BIAS and len(node.input) > 2:
            maker = makers.get(node.input[2])
            bias = constants.get(maker.input[0]) if maker is not None else None
            if bias is None or bias.data_type != onnx.TensorProto.INT32:
                continue
            if read.count(bias.name) == read.count(node.input[2]) == 1:
                found[node.name] = maker
    return found


def _means(model: bytes, node: str, images: Pixels, batch: int) -> Means:
    """The mean of each channel of a node's output, before any activation, run without graph optimization."""
    import numpy as np
    import onnx
    import onnxruntime

    exposed = onnx.ModelProto.FromString(model)
    output = next(n.output[0] for n in exposed.graph.node if n.name == node)
    del exposed.graph.output[:]
    exposed.graph.output.add().name = output
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    values = np.concatenate([session.run(None, {name: images[i : i + batch]})[0] for i in range(0, len(images), batch)])
    return np.asarray(np.moveaxis(values, 1, -1).reshape(-1, values.shape[1]).mean(axis=0, dtype=np.float64))


def _shifted(model: bytes, node: str, by: Means) -> bytes:
    import onnx

    proto = onnx.ModelProto.FromString(model)
    bias, scale = (
        next(tensor for tensor in proto.graph.initializer if tensor.name == name)
        for name in _biases(proto)[node].input[:2]
    )
    new = moved(onnx.numpy_helper.to_array(bias), onnx.numpy_helper.to_array(scale), by)
    bias.CopyFrom(onnx.numpy_helper.from_array(new, bias.name))
    content: bytes = proto.SerializeToString()
    return content
