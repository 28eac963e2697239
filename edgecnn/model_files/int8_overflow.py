"""Whether the int8 kernels of a CPU can overflow on the weights of an ONNX file, so that outputs depend on the CPU.

x86 CPUs without VNNI multiply uint8 by int8 with `vpmaddubsw`, which adds two neighbouring products in 16 bits and
saturates (Intel 64 and IA-32 Architectures Software Developer's Manual, PMADDUBSW). ONNX Runtime uses it with AVX2
and AVX-512 (`QgemmU8S8KernelAvx2`, `ConvSymKernelAvx2` in its MLAS library). With activations up to 255 the sum of
two products stays in range where the weights' magnitudes add up to 128: 255 * 128 = 32,640 < 32,767. Files with int8
activations are no way out: unless `session.qdqisint8allowed` is set, ONNX Runtime turns these to uint8 on x86.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    Weights = npt.NDArray[np.int8]
    Sums = npt.NDArray[np.int64]

EXACT_INT8 = ("session.x64quantprecision", "1")  # the session option with which ONNX Runtime adds in 32 bits on x86
MAX_PAIR_SUM = 128  # of the magnitudes of two weights that a kernel may add
# Integer operators: where the weights stand among the inputs. ConvInteger is not one of them: it takes the weights as
# the left side of its product, for which ONNX Runtime has no 16-bit kernel.
INTEGER_OPERATORS = {
    "QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3, "MatMulInteger": 1, "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
}  # fmt: skip
FLOAT_OPERATORS = ("Conv", "Gemm", "MatMul")  # made integer ones where both sides come out of a DequantizeLinear
SEE_THROUGH = ("MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "Flatten")  # ONNX Runtime moves DQ past them


@dataclass(frozen=True)
class Int8Node:
    """A node that multiplies 8-bit activations by constant int8 weights."""

    name: str
    channels: int  # output channels
    pair_sum: int  # the largest |a| + |b| over two weights of one output channel
    overflows: bool | None  # whether two of one sign add up to more than MAX_PAIR_SUM; None: weights outside the file


def has_exact_kernels() -> bool:
    """Whether ONNX Runtime has, on this CPU's architecture, a second set of int8 kernels to compare with."""
    return platform.machine().lower() in ("x86_64", "amd64")


def int8_nodes(proto: Any) -> list[Int8Node]:
    """Every node of an onnx.ModelProto that an integer kernel with int8 weights may run, in graph order."""
    return [_judged(node, rows) for node, rows in _weights_of(proto)]


def _judged(node: Any, rows: Weights | None) -> Int8Node:
    name = node.name or node.output[0]
    if rows is None:
        return Int8Node(name, channels=0, pair_sum=0, overflows=None)
    overflows = bool((_one_sign(rows) > MAX_PAIR_SUM).any()) and not _is_depthwise(node, len(rows))
    return Int8Node(name, len(rows), int(pair_sums(rows).max(initial=0)), overflows)


def _is_depthwise(node: Any, channels: int) -> bool:
    """Whether each output channel sees one input channel of its own: that kernel multiplies in 32 bits everywhere."""
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return bool(groups == channels > 1)


def pair_sums(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The sum of the two largest magnitudes of each row of [channels, weights]; float64 or int64."""
    import numpy as np

    wide = np.abs(rows.astype(np.float64 if rows.dtype.kind == "f" else np.int64))
    sums: npt.NDArray[Any] = np.sort(wide, axis=1)[:, -2:].sum(axis=1)
    return sums


def _one_sign(rows: Weights) -> Sums:
    """The largest sum, in magnitude, of two weights of the same sign in each row: only these can leave 16 bits."""
    import numpy as np

    wide = rows.astype(np.int64)
    sums: Sums = np.maximum(pair_sums(np.maximum(wide, 0)), pair_sums(np.minimum(wide, 0)))
    return sums


def _weights_of(proto: Any) -> Iterator[tuple[Any, Weights | None]]:
    """Each such node with its weights as int8 [output channels, weights of a channel]; None: outside the file."""
    import numpy as np
    import onnx

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in proto.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    makers = {name: node for node in proto.graph.node for name in node.output}
    for node in proto.graph.node:
        name = _weights_name(node, makers)
        tensor = constants.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.INT8 or len(tensor.dims) < 2:
            continue
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield node, None
            continue
        values: Weights = onnx.numpy_helper.to_array(tensor)
        yield node, np.moveaxis(values, channel_axis(node, values.ndim), 0).reshape(-1, _per_channel(node, values))


def _weights_name(node: Any, makers: dict[str, Any]) -> str:
    """The int8 constant a node multiplies 8-bit activations by; "" where it does no such thing."""
    if node.op_type in INTEGER_OPERATORS and len(node.input) > INTEGER_OPERATORS[node.op_type]:
        return str(node.input[INTEGER_OPERATORS[node.op_type]])
    if node.op_type not in FLOAT_OPERATORS:
        return ""
    kernel, seen = makers.get(node.input[1]), makers.get(node.input[0])
    while seen is not None and seen.op_type in SEE_THROUGH:
        seen = makers.get(seen.input[0])
    if any(side is None or side.op_type != "DequantizeLinear" for side in (kernel, seen)):
        return ""
    assert kernel is not None
    return str(kernel.input[0])


def channel_axis(node: Any, rank: int) -> int:
    """The axis of a node's weights that counts output channels: the first in a convolution, else the last."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if "Conv" in node.op_type or transposed else rank - 1


def _per_channel(node: Any, values: Weights) -> int:
    channels = values.shape[channel_axis(node, values.ndim)]
    return values.size // channels if channels else 1
