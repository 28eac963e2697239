"""Int8 weights that no kernel can overflow on: the scales that make them so, and the proof on the finished file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.model_files.int8_overflow import (
    FLOAT_OPERATORS,
    MAX_PAIR_SUM,
    channel_axis,
    has_exact_kernels,
    int8_nodes,
    pair_sums,
)
from edgecnn.records import Int8Safety

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from edgecnn.arrays import Floats, Pixels


MAX_WEIGHT = 127
STEP = 1 + 2**-10  # a scale grows by this until rounding, too, keeps within the bound


def safe_scales(weights: npt.NDArray[Any], axis: int) -> Floats:
    """A scale for each index along `axis`, float32: the smallest, but for STEP, at which round(w / scale) is safe.

    Safe is |a| + |b| <= MAX_PAIR_SUM for any two weights of a channel, and |a| <= 127.
    """
    import numpy as np

    rows = np.abs(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)).astype(np.float32)
    largest, both = rows.max(axis=1), pair_sums(rows)
    scales: Floats = np.maximum(largest / np.float32(MAX_WEIGHT), (both / MAX_PAIR_SUM).astype(np.float32))
    scales[scales < np.finfo(np.float32).tiny] = 1  # a channel of zeros
    while len(over := np.flatnonzero(pair_sums(np.round(rows / scales[:, None])) > MAX_PAIR_SUM)):
        scales[over] *= np.float32(STEP)
    return scales


def scale_overrides(proto: Any, excluded: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """What onnxruntime.quantization takes as TensorQuantOverrides: safe scales for all weights it will quantize.

    `proto` is the float onnx.ModelProto, `excluded` the nodes that stay in float.
    """
    import onnx
    from onnxruntime.quantization import QuantType

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    overrides = {}
    for node in proto.graph.node:
        tensor = constants.get(node.input[1]) if node.op_type in FLOAT_OPERATORS else None
        if tensor is None or node.name in excluded or len(tensor.dims) < 2:
            continue
        axis = channel_axis(node, len(tensor.dims))
        overrides[tensor.name] = [
            {"axis": axis, "quant_type": QuantType.QInt8, "scale": scale, "zero_point": 0}
            for scale in safe_scales(onnx.numpy_helper.to_array(tensor), axis)
        ]
    return overrides


def prove(model: bytes, images: Pixels, batch: int) -> Int8Safety:
    """Check that the outputs of an int8 ONNX file cannot depend on the CPU's int8 kernels, and record how.

    On the weights: no two of an output channel add up to more than MAX_PAIR_SUM. By running it, on x86: ONNX Runtime's
    default kernels give for uint8 `images` [N, H, W, C], `batch` a call, what its exact ones give, to the bit. Raises
    InputError naming the node, or the number of images, where either is not so.
    """
    import onnx

    from edgecnn.export.onnx_file import outputs_of

    nodes = int8_nodes(onnx.ModelProto.FromString(model))
    for node in nodes:
        if node.pair_sum > MAX_PAIR_SUM:
            raise InputError(
                f"Two weights of {node.name} add up to {node.pair_sum} where {MAX_PAIR_SUM} is the most that int8 "
                "kernels without VNNI can add, so outputs would depend on the CPU."
            )
    compared = 0
    if has_exact_kernels() and len(images):
        compared = len(images)
        default, exact = outputs_of(model, images, batch), outputs_of(model, images, batch, exact=True)
        different = int((default != exact).any(axis=1).sum())
        if different:
            raise InputError(
                f"ONNX Runtime's default int8 kernels and its exact ones differ on {different} of {compared} images, "
                "so outputs would depend on the CPU."
            )
    return Int8Safety(
        nodes=len(nodes),
        channels=sum(node.channels for node in nodes),
        max_pair_sum=max((node.pair_sum for node in nodes), default=0),
        allowed_pair_sum=MAX_PAIR_SUM,
        images_compared=compared,
    )
