"""ONNX graphs in int8 as quantize and dequantize pairs (QDQ), with raw pixels in and float32 out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.export.optimizations.onnx_pad_input_channels import widen_image
from edgecnn.export.quantization.onnx_input_pattern import MAX_PIXEL, drop_unused, take_floats, take_pixels
from edgecnn.records import LayerTensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgecnn.export.format import ExportSource

OPERATORS = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "GlobalAveragePool", "LeakyRelu", "MatMul", "MaxPool",
    "Mul", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
PREPROCESSED = ("onnx.quant.pre_process", "onnxruntime.quant")  # tells the quantizer that no further passes are needed


def quantized(source: ExportSource, original: bytes, in_float: list[str], folder: str) -> bytes:
    """The int8 file, with the nodes `in_float` left as they are; ranges are measured once and kept in `folder`.

    Weights are signed and symmetric per output channel, activations unsigned: the pair for which CPUs have
    instructions (VNNI) and ONNX Runtime its fastest kernels. Their scales keep CPUs without such instructions, whose
    kernels add products in 16 bits, from overflowing: see :mod:`edgecnn.model_files.int8_overflow`.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    from edgecnn.export.onnx_file import weighted_nodes
    from edgecnn.export.quantization.safe_weights import scale_overrides

    before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
    proto = onnx.ModelProto.FromString(original)
    white = take_floats(proto)
    _unshare(proto)
    entry = proto.metadata_props.add()
    entry.key, entry.value = PREPROCESSED
    before.write_bytes(proto.SerializeToString())
    weighted = {n for names in weighted_nodes(original).values() for n in names}
    excluded = _with_followers(proto, in_float, weighted)
    quantize_static(
        before,
        after,
        _reader(source, white),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(OPERATORS),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=excluded,
        calibrate_method=CalibrationMethod.MinMax,
        calibration_cache_path=Path(folder) / "ranges.json",
        extra_options={"TensorQuantOverrides": scale_overrides(proto, excluded)},
    )
    proto = onnx.load(after)
    if white is not None:
        take_pixels(proto, white)
        widen_image(proto)
    _answer_in_float(proto)
    del proto.graph.value_info[:]
    content: bytes = proto.SerializeToString()
    return content


def _unshare(proto: Any) -> None:
    """Constants of its own for each convolution and dense layer, also where one layer is called twice: what they are
    quantized with depends on what the call reads."""
    from edgecnn.export.onnx_file import WEIGHTED

    taken: set[str] = set()
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        for i, name in enumerate(node.input):
            if name in taken:
                node.input[i] = f"{node.name}/{name}"
                proto.graph.initializer.add().CopyFrom(constants[name])
                proto.graph.initializer[-1].name = node.input[i]
            elif node.op_type in WEIGHTED and name in constants:
                taken.add(name)


def _with_followers(proto: Any, in_float: list[str], weighted: set[str]) -> list[str]:
    """These nodes, and those without weights that read nothing but what they make: to quantize what lies between two
    layers in float32, an activation or an addition, would undo what keeping them is for."""
    kept = set(in_float)
    constants = {tensor.name for tensor in proto.graph.initializer}
    floats: set[str] = set()
    for node in proto.graph.node:
        read = set(node.input) - constants - {""}
        if node.name not in weighted and read and read <= floats:
            kept.add(node.name)
        if node.name in kept:
            floats.update(node.output)
    return sorted(kept)


def _reader(source: ExportSource, white: float | None) -> Any:
    """A black and a white image, so that the input's range is exact, then the calibration images: floats up to
    `white`, or the pixels themselves where it is None."""
    import numpy as np

    from edgecnn.export.quantization.calibration import representatives

    class Reader:
        def __init__(self) -> None:
            self._images: Iterator[dict[str, Any]] = representatives(source, white or MAX_PIXEL)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._images, None)
            if image is None or white is not None:
                return image
            return {name: value.astype(np.uint8) for name, value in image.items()}

    return Reader()


def _answer_in_float(proto: Any) -> None:
    """The last dense layer's integer sums become the float32 output directly, without a rounding to 8 bits."""
    graph = proto.graph
    makers = {name: node for node in graph.node for name in node.output}
    last = makers[graph.output[0].name]
    rounding = makers.get(last.input[0])
    if last.op_type != "DequantizeLinear" or rounding is None or rounding.op_type != "QuantizeLinear":
        return
    product = makers.get(rounding.input[0])
    if product is not None and product.op_type == "Gemm":
        product.output[0] = graph.output[0].name
        graph.node.remove(last)
        graph.node.remove(rounding)
        drop_unused(proto)


def after_quantization(model: bytes, layers: Mapping[str, LayerTensor]) -> dict[str, LayerTensor]:
    """The layer map of the int8 file: a layer's dequantized output where there is one, else the tensor itself."""
    import onnx

    tensors = {name for node in onnx.ModelProto.FromString(model).graph.node for name in node.output}
    found = {}
    for layer, place in layers.items():
        names = (f"{place.tensor}_DequantizeLinear_Output", place.tensor)
        tensor = next((name for name in names if name in tensors), None)
        if tensor is not None:
            found[layer] = LayerTensor(tensor=tensor, layout=place.layout)
    return found
