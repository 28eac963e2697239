"""ONNX in int8 as quantize and dequantize pairs (QDQ): what ONNX Runtime turns into integer operators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.plugins import Exported, Format, Gate
from edgecnn.records import LayerTensor
from edgecnn.wide_image import widen_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgecnn.plugins import ExportSource

OPERATORS = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "GlobalAveragePool", "LeakyRelu", "MatMul", "MaxPool",
    "Mul", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
PREPROCESSED = ("onnx.quant.pre_process", "onnxruntime.quant")  # tells the quantizer to ask for no further passes


def export(source: ExportSource) -> Exported:
    """An .onnx file with a dynamic batch: signed weights per channel, raw pixels into the first DequantizeLinear."""
    import tempfile

    from edgecnn import precision
    from edgecnn.mean_pooling import with_means
    from edgecnn.onnx_files import answers, finished, float_graph, run_batch, weighted_nodes
    from edgecnn.safe_weights import prove

    source = with_means(source)
    original, layers = float_graph(source)
    nodes, batch = weighted_nodes(original), run_batch(source)
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        model, found = precision.find(
            source,
            what=PLUGIN.name,
            layers=list(nodes),
            quantize=lambda kept: _quantized(source, original, [n for layer in kept for n in nodes[layer]], folder),
            answers=lambda model, images: answers(model, images, batch),
            reference=lambda images: answers(original, images, batch),
        )
    images = source.selection_images if len(source.selection_images) else source.calibration_images
    return Exported(
        layers=_after_quantization(model, layers),
        precision=found,
        int8_safety=prove(model, images, batch),
        write=lambda contract, path: path.write_bytes(finished(model, contract)),
    )


def _quantized(source: ExportSource, original: bytes, in_float: list[str], folder: str) -> bytes:
    """The int8 file, with the nodes `in_float` left as they are; ranges are measured once and kept in `folder`.

    Weights are signed and symmetric per output channel, activations unsigned: the pair for which CPUs have
    instructions (VNNI) and ONNX Runtime its fastest kernels. Their scales keep CPUs without such instructions, whose
    kernels add products in 16 bits, from overflowing: see :mod:`edgecnn.int8_overflow`.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    from edgecnn.onnx_files import weighted_nodes
    from edgecnn.safe_weights import scale_overrides

    before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
    proto = onnx.ModelProto.FromString(original)
    _take_floats(proto)
    before.write_bytes(proto.SerializeToString())
    weighted = {n for names in weighted_nodes(original).values() for n in names}
    excluded = _with_followers(proto, in_float, weighted)
    quantize_static(
        before,
        after,
        _reader(source),
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
    _take_pixels(proto)
    _answer_in_float(proto)
    widen_image(proto)
    del proto.graph.value_info[:]
    content: bytes = proto.SerializeToString()
    return content


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


def _reader(source: ExportSource) -> Any:
    """A black and a white image, so that the input's range is exactly [0, 1], then the calibration images."""
    from edgecnn.conversion import representatives

    class Reader:
        def __init__(self) -> None:
            self._images: Iterator[dict[str, Any]] = representatives(source)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._images, None)

    return Reader()


def _take_floats(proto: Any) -> None:
    """Cut off the cast and the scaling: the graph takes float32 in [0, 1], as the quantizer has to see it.

    The scaling's factor may hold more than 1/255, a model's own normalisation for instance: then the rest stays.
    """
    import numpy as np
    import onnx

    graph = proto.graph
    image = graph.input[0]
    cast = next(node for node in graph.node if node.op_type == "Cast" and node.input[0] == image.name)
    scaling = next(node for node in graph.node if cast.output[0] in node.input)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    factor = next(constants[name] for name in scaling.input if name in constants)
    values = onnx.numpy_helper.to_array(factor).astype(np.float64)
    rest = (values / 255 if scaling.op_type == "Div" else values * 255).astype(np.float32)
    if np.abs(rest - 1).max() > np.finfo(np.float32).eps:
        name = f"{scaling.name}/rest"
        graph.initializer.append(onnx.numpy_helper.from_array(rest, name))
        replacement = onnx.helper.make_node(
            scaling.op_type, [image.name, name], list(scaling.output), name=scaling.name
        )
        scaling.CopyFrom(replacement)
    else:
        for node in graph.node:
            for i, name in enumerate(node.input):
                if name == scaling.output[0]:
                    node.input[i] = image.name
        graph.node.remove(scaling)
    graph.node.remove(cast)
    _drop_unused(proto)
    image.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    entry = proto.metadata_props.add()
    entry.key, entry.value = PREPROCESSED


def _take_pixels(proto: Any) -> None:
    """The image is uint8 and goes straight into the first DequantizeLinear.

    Its pixels already are the quantized values, with scale 1/255 and zero point 0, so the QuantizeLinear behind it,
    or behind its transpose, falls away. Raises InputError where the quantizer chose another scale.
    """
    import numpy as np
    import onnx

    graph = proto.graph
    image = graph.input[0]
    image.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    pixels, scale, zero_point = (f"{image.name}_{part}" for part in ("floats", "scale", "zero_point"))
    same = {image.name: pixels}
    same |= {n.output[0]: n.output[0] for n in graph.node if n.op_type == "Transpose" and n.input[0] == image.name}
    replaced = {image.name: pixels}
    for quantize in [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] in same]:
        _check_input_scale(proto, quantize)
        for end in [node for node in graph.node if node.input[0] == quantize.output[0]]:
            replaced[end.output[0]] = same[quantize.input[0]]
            graph.node.remove(end)
        graph.node.remove(quantize)
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = replaced.get(name, name)
    _drop_unused(proto)
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(1 / 255, np.float32), scale),
            onnx.numpy_helper.from_array(np.array(0, np.uint8), zero_point),
        ]
    )
    inputs = [image.name, scale, zero_point]
    graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", inputs, [pixels], f"{image.name}/DequantizeLinear"))


def _check_input_scale(proto: Any, quantize: Any) -> None:
    import numpy as np
    import onnx

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    scale, zero_point = (float(onnx.numpy_helper.to_array(constants[name])) for name in quantize.input[1:3])
    if abs(scale * 255 - 1) > np.finfo(np.float32).eps or zero_point:
        raise InputError(
            f"The quantizer gave the input a scale of {scale} and zero point {zero_point:.0f} where 1/255 and 0 are "
            "needed, so raw pixels would be misread; this model cannot be exported as onnx_int8."
        )


def _drop_unused(proto: Any) -> None:
    used = {name for node in proto.graph.node for name in node.input}
    for tensor in [tensor for tensor in proto.graph.initializer if tensor.name not in used]:
        proto.graph.initializer.remove(tensor)


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
        _drop_unused(proto)


def _after_quantization(model: bytes, layers: Mapping[str, LayerTensor]) -> dict[str, LayerTensor]:
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


PLUGIN = Format(
    name="onnx_int8",
    summary="ONNX int8 (static, QDQ), a quarter of the size, faster on CPUs with VNNI: ONNX Runtime",
    suffix=".onnx",
    file_kind="onnx",
    batched=True,
    gate=Gate(tolerance_points=1.0, min_agreement=0.9),
    numbers="int8",
    weighed_against="onnx_float32",
    calibrated=True,
    export=export,
)
