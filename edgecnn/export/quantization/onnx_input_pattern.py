"""How an ONNX graph takes its pixels: the uint8 input made float32 for the quantizer, and uint8 again behind it.

Graphs begin with a cast of the image to float32. Where a multiplication or division by a constant is all that reads
the cast, it is the scaling to [0, 1], alone or merged with a normalization of the model's own; models that take 0 to
255 have none.
"""

from __future__ import annotations

from typing import Any

from edgecnn.errors import InputError
from edgecnn.model_files.onnx_graph import nodes_of

MAX_PIXEL = 255


def take_floats(proto: Any) -> float | None:
    """Let the graph take a float32 image, as quantizers have to see it; the value that white has then, black being 0.

    That is 1.0 where pixels are scaled, and the scaling goes, but for what its factor holds besides 1/255; else 255.0.
    A graph that uses the uint8 image otherwise than by one cast stays as it is: None. So does one with loops: ONNX
    Runtime aborts where one reads what comes from a DequantizeLinear.
    """
    import onnx

    graph = proto.graph
    image = graph.input[0]
    users = _users(proto, image.name)
    has_loops = sum(1 for _ in nodes_of(graph)) > len(graph.node)
    if has_loops or [node.op_type for node in users] != ["Cast"] or not _is_to_float32(users[0]):
        return None
    cast = users[0]
    scaling = _scaling(proto, cast.output[0])
    if scaling is None:
        _reroute(proto, cast.output[0], image.name)
    else:
        _unscale(proto, scaling, image.name)
    graph.node.remove(cast)
    drop_unused(proto)
    image.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return MAX_PIXEL if scaling is None else 1.0


def take_pixels(proto: Any, white: float) -> None:
    """Let the quantized graph of a float32 image take uint8 pixels again, with `white` from :func:`take_floats`.

    Pixels already are the quantized values, with scale white/255 and zero point 0: they go straight into a
    DequantizeLinear, and the QuantizeLinear behind the image, or behind its transpose, falls away. Raises InputError
    where the quantizer chose another scale.
    """
    import numpy as np
    import onnx

    graph = proto.graph
    image = graph.input[0]
    image.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    pixels, scale, zero_point = (f"{image.name}_{part}" for part in ("floats", "scale", "zero_point"))
    same = {image.name: pixels}
    same |= {n.output[0]: n.output[0] for n in graph.node if n.op_type == "Transpose" and n.input[0] == image.name}
    for quantize in [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] in same]:
        _check_scale(proto, quantize, white / MAX_PIXEL)
        for end in _users(proto, quantize.output[0]):
            _reroute(proto, end.output[0], same[quantize.input[0]])
            graph.node.remove(end)
        graph.node.remove(quantize)
    _reroute(proto, image.name, pixels)
    drop_unused(proto)
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(white / MAX_PIXEL, np.float32), scale),
            onnx.numpy_helper.from_array(np.array(0, np.uint8), zero_point),
        ]
    )
    inputs = [image.name, scale, zero_point]
    graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", inputs, [pixels], f"{image.name}/DequantizeLinear"))


def drop_unused(proto: Any) -> None:
    """Remove the constants that no node reads."""
    used = {name for node in nodes_of(proto.graph) for name in node.input}
    for tensor in [tensor for tensor in proto.graph.initializer if tensor.name not in used]:
        proto.graph.initializer.remove(tensor)


def _users(proto: Any, tensor: str) -> list[Any]:
    return [node for node in proto.graph.node if tensor in node.input]


def _reroute(proto: Any, old: str, new: str) -> None:
    """Let every node that reads `old` read `new`."""
    for node in proto.graph.node:
        for i, name in enumerate(node.input):
            if name == old:
                node.input[i] = new


def _is_to_float32(cast: Any) -> bool:
    import onnx

    return any(attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT for attribute in cast.attribute)


def _scaling(proto: Any, floats: str) -> Any:
    """The node that multiplies the image with a constant or divides it by one, None where something else reads it."""
    import onnx

    constants = {t.name for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    users = _users(proto, floats)
    if len(users) != 1 or users[0].op_type not in ("Mul", "Div"):
        return None
    first, second = users[0].input
    is_scaled = second in constants or (users[0].op_type == "Mul" and first in constants)
    return users[0] if is_scaled else None


def _unscale(proto: Any, scaling: Any, image: str) -> None:
    """Take 1/255 out of a scaling, and the scaling out of the graph where its factor holds nothing else."""
    import numpy as np
    import onnx

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    factor = next(constants[name] for name in scaling.input if name in constants)
    values = onnx.numpy_helper.to_array(factor).astype(np.float64)
    rest = (values / MAX_PIXEL if scaling.op_type == "Div" else values * MAX_PIXEL).astype(np.float32)
    if rest.size == 1 and np.abs(rest - 1).max() <= np.finfo(np.float32).eps:
        _reroute(proto, scaling.output[0], image)
        proto.graph.node.remove(scaling)
        return
    name = f"{scaling.name}/rest"
    proto.graph.initializer.append(onnx.numpy_helper.from_array(rest, name))
    scaling.input[:] = [image, name]


def _check_scale(proto: Any, quantize: Any, wanted: float) -> None:
    import numpy as np
    import onnx

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    scale, zero_point = (float(onnx.numpy_helper.to_array(constants[name])) for name in quantize.input[1:3])
    if abs(scale / wanted - 1) > np.finfo(np.float32).eps or zero_point:
        raise InputError(
            f"The quantizer gave the input a scale of {scale} and zero point {zero_point:.0f} where {wanted:.6g} and 0 "
            "are needed, so raw pixels would be misread; this model cannot be exported as onnx_int8."
        )
