"""A faster first convolution for full-integer ONNX files: the image gets a fourth channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTHS = (4, 2, 1)  # pixels of a row that are widened together
CHANNELS, PADDED = 3, 4


@dataclass(frozen=True)
class _FirstConvolution:
    """Where an int8 convolution of three channels begins: image -> DequantizeLinear -> Transpose -> Conv."""

    dequantize: Any
    transpose: Any
    weights: Any  # its int8 constant


def widen_image(proto: Any) -> None:
    """Give the first convolution four input channels in place of three, the last of zeros.

    ONNX Runtime's fast integer convolution takes channels in fours; with three it copies every window together, which
    costs more than the arithmetic. A 1 x 1 convolution with the weights 0 and 1 widens a few pixels at once; all
    outputs stay equal to the bit. Nothing is done where the first layer is no quantized convolution of three channels.
    """
    found = _match(proto.graph)
    if found is not None:
        _pad_channels(found.weights)
        _splice(proto.graph, found.transpose, _widening(proto.graph, found))


def _match(graph: Any) -> _FirstConvolution | None:
    """The pattern at the graph's beginning, None where it begins otherwise."""
    import onnx

    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}

    def only_user(tensor: str, operator: str) -> Any:
        users = [node for node in graph.node if tensor in node.input]
        return users[0] if [node.op_type for node in users] == [operator] else None

    dequantize = graph.node[0]
    transpose = only_user(dequantize.output[0], "Transpose")
    convolution = only_user(transpose.output[0], "Conv") if transpose is not None else None
    kernel = makers.get(convolution.input[1]) if convolution is not None else None
    weights = constants.get(kernel.input[0]) if kernel is not None and kernel.op_type == "DequantizeLinear" else None
    if weights is None or weights.data_type != onnx.TensorProto.INT8 or weights.dims[1] != CHANNELS:
        return None
    return _FirstConvolution(dequantize, transpose, weights)


def _pad_channels(weights: Any) -> None:
    """int8 [O, 3, H, W] becomes [O, 4, H, W] in place."""
    import numpy as np
    from onnx import numpy_helper

    values = numpy_helper.to_array(weights)
    padded = np.pad(values, ((0, 0), (0, PADDED - CHANNELS), (0, 0), (0, 0)))
    weights.CopyFrom(numpy_helper.from_array(padded, weights.name))


def _widening(graph: Any, found: _FirstConvolution) -> list[Any]:
    """The nodes that take the transpose's place and give its output with four channels; adds their constants."""
    import numpy as np

    image = graph.input[0]
    _, height, width, _ = (dim.dim_value for dim in image.type.tensor_type.shape.dim)
    together = next(count for count in WIDTHS if width % count == 0)
    name = f"{image.name}_wide"
    kernel = np.kron(np.eye(together, dtype=np.int8), np.eye(PADDED, CHANNELS, dtype=np.int8))[:, :, None, None]
    constants = {
        f"{name}_groups": np.array([-1, height, width // together, CHANNELS * together]),
        f"{name}_shape": np.array([-1, height, width, PADDED]),
        f"{name}_kernel": kernel,
        f"{name}_kernel_scale": np.array(1, np.float32),
        f"{name}_kernel_zero_point": np.array(0, np.int8),
    }
    chain = _Chain(graph, name, constants, scale=list(found.dequantize.input[1:]))
    pixels = found.dequantize.output[0]
    groups = chain.quantized("Reshape", [pixels, f"{name}_groups"])
    channels_first = chain.add("Transpose", [groups], perm=[0, 3, 1, 2])
    ones = chain.add("DequantizeLinear", [f"{name}_kernel{part}" for part in ("", "_scale", "_zero_point")])
    wide = chain.quantized("Conv", [channels_first, ones], kernel_shape=[1, 1])
    channels_last = chain.quantized("Transpose", [wide], perm=[0, 2, 3, 1])
    whole = chain.quantized("Reshape", [channels_last, f"{name}_shape"])
    chain.add("Transpose", [whole], output=found.transpose.output[0], perm=[0, 3, 1, 2])
    return chain.nodes


class _Chain:
    """New nodes of a graph, named after each other; `scale` are the image's scale and zero point."""

    def __init__(self, graph: Any, name: str, constants: Mapping[str, Any], scale: Sequence[str]) -> None:
        from onnx import numpy_helper

        self.nodes: list[Any] = []
        self._name, self._scale = name, scale
        graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in constants.items())

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Append a node; its output tensor."""
        from onnx import helper

        name = f"{self._name}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output or name], name, **attributes))
        return output or name

    def quantized(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node and the pair that tells its output's quantization, the image's own; the pair's output."""
        made = self.add(operator, inputs, **attributes)
        stored = self.add("QuantizeLinear", [made, *self._scale], f"{made}_quantized")
        return self.add("DequantizeLinear", [stored, *self._scale], f"{stored}_floats")


def _splice(graph: Any, old: Any, nodes: Sequence[Any]) -> None:
    """Put these nodes into the place of the old one."""
    place = list(graph.node).index(old)
    graph.node.remove(old)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*rest[:place], *nodes, *rest[place:]])
