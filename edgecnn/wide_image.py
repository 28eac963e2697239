"""A faster first convolution for full-integer ONNX files: the image gets a fourth channel."""

from __future__ import annotations

from typing import Any

WIDTHS = (4, 2, 1)  # pixels of a row that are widened together


def widen_image(proto: Any) -> None:
    """Give the first convolution four input channels in place of three, the last of zeros.

    ONNX Runtime's fast integer convolution takes channels in fours; with three it copies every window together, which
    costs more than the arithmetic. A 1 x 1 convolution with the weights 0 and 1 widens a few pixels at once; all
    answers stay equal to the bit. Nothing is done where the first layer is no quantized convolution of three channels.
    """
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    image, pixels = graph.input[0], graph.node[0].output[0]
    transposes = [node for node in graph.node if pixels in node.input]
    if [node.op_type for node in transposes] != ["Transpose"]:
        return
    users = [node for node in graph.node if transposes[0].output[0] in node.input]
    kernel = makers.get(users[0].input[1]) if [node.op_type for node in users] == ["Conv"] else None
    weights = constants.get(kernel.input[0]) if kernel is not None and kernel.op_type == "DequantizeLinear" else None
    if weights is None or weights.data_type != onnx.TensorProto.INT8 or weights.dims[1] != 3:
        return
    values = numpy_helper.to_array(weights)
    weights.CopyFrom(numpy_helper.from_array(np.pad(values, ((0, 0), (0, 1), (0, 0), (0, 0))), weights.name))
    _, height, width, _ = (dim.dim_value for dim in image.type.tensor_type.shape.dim)
    together = next(count for count in WIDTHS if width % count == 0)
    identity = np.kron(np.eye(together, dtype=np.int8), np.eye(4, 3, dtype=np.int8))[:, :, None, None]
    name = f"{image.name}_wide"
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([-1, height, width // together, 3 * together]), f"{name}_groups"),
            numpy_helper.from_array(np.array([-1, height, width, 4]), f"{name}_shape"),
            numpy_helper.from_array(identity, f"{name}_kernel"),
            numpy_helper.from_array(np.array(1, np.float32), f"{name}_kernel_scale"),
            numpy_helper.from_array(np.array(0, np.int8), f"{name}_kernel_zero_point"),
        ]
    )
    parameters = list(graph.node[0].input[1:])
    nodes: list[Any] = []

    def add(operator: str, inputs: list[str], *, quantized: bool = True, output: str = "", **attributes: Any) -> str:
        """Append a node, and the pair that tells its output's quantization; the tensor to go on with."""
        node = make_node(operator, inputs, output or f"{name}/{operator}_{len(nodes)}", attributes)
        if not quantized:
            return str(node.output[0])
        stored = make_node("QuantizeLinear", [node.output[0], *parameters], f"{node.output[0]}_quantized", {})
        return str(
            make_node("DequantizeLinear", [stored.output[0], *parameters], f"{stored.output[0]}_floats", {}).output[0]
        )

    def make_node(operator: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> Any:
        node = helper.make_node(operator, inputs, [output], f"{name}/{operator}_{len(nodes)}", **attributes)
        nodes.append(node)
        return node

    groups = add("Reshape", [pixels, f"{name}_groups"])
    channels_first = add("Transpose", [groups], quantized=False, perm=[0, 3, 1, 2])
    ones = add("DequantizeLinear", [f"{name}_kernel{part}" for part in ("", "_scale", "_zero_point")], quantized=False)
    wide = add("Conv", [channels_first, ones], kernel_shape=[1, 1])
    channels_last = add("Transpose", [wide], perm=[0, 2, 3, 1])
    whole = add("Reshape", [channels_last, f"{name}_shape"])
    add("Transpose", [whole], quantized=False, perm=[0, 3, 1, 2], output=transposes[0].output[0])
    place = list(graph.node).index(transposes[0])
    graph.node.remove(transposes[0])
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*rest[:place], *nodes, *rest[place:]])
