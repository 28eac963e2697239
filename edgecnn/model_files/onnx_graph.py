"""An ONNX graph of any origin, made ready for reading: parsed, checked, functions written out, shapes inferred."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, damaged
from edgecnn.model_files.inlining_limit import check_unfolding
from edgecnn.records import GraphTensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Shape = tuple[int | str | None, ...]

OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
NUMBERS = {  # what weights may be, and the bits of each
    "float32": 32, "float16": 16, "bfloat16": 16, "float64": 64, "int32": 32, "int16": 16, "uint16": 16, "int8": 8,
    "uint8": 8, "int4": 4, "uint4": 4,
}  # fmt: skip
MAX_NODES = 100_000  # once functions are written out


@dataclass(frozen=True)
class Value:
    """What is known of a tensor; the shape is empty where nothing is."""

    dtype: str
    shape: Shape


def parse(path: Path) -> Any:
    """The ModelProto in the file; raises InputError where there is none."""
    import onnx

    content = path.read_bytes()
    try:
        proto = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's errors differ from version to version
        raise damaged(path, "ONNX model", error) from None
    if not (proto.ir_version and proto.opset_import and proto.graph.node and proto.graph.output):
        raise InputError(f"{path} is damaged or no ONNX model (it holds no graph); export or copy it again.")
    return proto


def inlined(proto: Any) -> Any:
    """The model with its own functions written out where they are called.

    Raises ValueError where they would not end, or grow beyond `MAX_NODES`.
    """
    if not proto.functions:
        return proto
    from onnx import inliner

    def calls(place: Any) -> list[tuple[str, str]]:
        return [(node.domain, node.op_type) for node in nodes_of(place)]

    bodies = {(function.domain, function.name): calls(function) for function in proto.functions}
    check_unfolding(calls(proto.graph), bodies, MAX_NODES)
    with contextlib.suppress(Exception):  # what cannot be written out stays an operator by the function's name
        return inliner.inline_local_functions(proto)
    return proto


def text_of(value: Any) -> str:
    """A string of the file; protobuf gives bytes instead where it is no UTF-8."""
    if not isinstance(value, str):
        raise ValueError(f"{value[:40]!r} is not UTF-8")
    return value


def nodes_of(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of the graphs in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def kind_of(node: Any) -> str:
    """A node's operator, with its domain in front unless it is ONNX's own."""
    if not node.op_type:
        raise ValueError("a node without operator")
    kind, domain = text_of(node.op_type), text_of(node.domain)
    return kind if domain in OWN_DOMAINS else f"{domain}.{kind}"


def _dtype(number: int) -> str:
    import onnx

    name = onnx.TensorProto.DataType.Name(number).lower() if number else "?"
    return {"float": "float32", "double": "float64"}.get(name, name)


def tensor_of(value: Any) -> GraphTensor:
    """An input, output or inner value of a graph."""
    kind = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else text_of(dim.dim_param) or None for dim in kind.shape.dim
    )
    return GraphTensor(name=text_of(value.name), dtype=_dtype(kind.elem_type), shape=shape)


def constants_of(graph: Any) -> dict[str, Value]:
    """Every constant of the graph and the graphs in it; raises ValueError where one holds less than its shape says."""
    found: dict[str, Value] = {}
    tensors = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in nodes_of(graph):
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value" and node.output:
                tensors.append((node.output[0], attribute.t))
            tensors += [
                (tensor.name, tensor) for inner in (attribute.g, *attribute.graphs) for tensor in inner.initializer
            ]
    for name, tensor in tensors:
        value = Value(_dtype(tensor.data_type), tuple(tensor.dims))
        bits = NUMBERS.get(value.dtype, 0)
        if bits and tensor.HasField("raw_data") and len(tensor.raw_data) != (math.prod(tensor.dims) * bits + 7) // 8:
            raise ValueError(f"{name} holds {len(tensor.raw_data)} bytes, which do not fit its shape")
        found[name] = value
    return found


def values_of(proto: Any, inputs: Iterable[str]) -> dict[str, Value]:
    """The type and shape of every tensor for a batch of one, as far as ONNX can infer them."""
    import onnx

    model = onnx.ModelProto.FromString(proto.SerializeToString())
    named, wanted = set(), set(inputs)
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in wanted and dims and not dims[0].HasField("dim_value"):
            named.add(dims[0].dim_param)
            dims[0].dim_value = 1
    for value in (*model.graph.value_info, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and dim.dim_param in named:
                dim.dim_value = 1
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except MemoryError:
        raise
    except Exception:  # a model it cannot judge, or of more than 2 GB: what the file says remains
        pass
    tensors = [tensor_of(value) for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)]
    return {tensor.name: Value(tensor.dtype, tensor.shape) for tensor in tensors}


def size_of_shape(shape: Shape) -> int | None:
    """How many values a tensor has, None where a side is not known."""
    sides = [side for side in shape if isinstance(side, int)]
    return math.prod(sides) if len(sides) == len(shape) else None
