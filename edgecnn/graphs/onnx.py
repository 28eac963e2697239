"""What an .onnx file is made of, read with the onnx package alone; nothing in it is run."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.contract import CONTRACT_KEY
from edgecnn.errors import InputError
from edgecnn.records import GraphLayer, GraphTensor, Inspection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Shape = tuple[int | str | None, ...]

MAX_OPSET, MAX_IR = 17, 8  # what the runtimes found on devices read
OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
# Operator -> where its weights and its bias stand among the inputs.
WEIGHTED = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "MatMul": (1, -1), "ConvInteger": (1, -1),
    "MatMulInteger": (1, -1), "QLinearConv": (3, 8), "QLinearMatMul": (3, -1),
}  # fmt: skip
QUANTIZATION = {  # inputs that are scales and zero points: no weights
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "ConvInteger": (2, 3), "MatMulInteger": (2, 3),
    "QLinearConv": (1, 2, 4, 5, 6, 7), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
}  # fmt: skip
SEE_THROUGH = ("DequantizeLinear", "QuantizeLinear", "Identity", "Cast", "Transpose", "Reshape")
ARITHMETIC = ("Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast", "Mul", "Add", "Div")  # of shapes, if int64
NUMBERS = {  # what weights may be, and the bits of each
    "float32": 32, "float16": 16, "bfloat16": 16, "float64": 64, "int32": 32, "int16": 16, "uint16": 16, "int8": 8,
    "uint8": 8, "int4": 4, "uint4": 4,
}  # fmt: skip


@dataclass(frozen=True)
class _Value:
    dtype: str
    shape: Shape


def read(path: Path) -> tuple[Inspection, bytes | None]:
    """What the file holds, and the contract in its metadata; raises InputError where it is no ONNX model."""
    proto = _parsed(path)
    try:
        found = _facts(proto)
        inside = next((_text(entry.value) for entry in proto.metadata_props if entry.key == CONTRACT_KEY), None)
    except Exception as error:  # a broken graph breaks whatever reads it first
        raise _damaged(path, error) from None
    return found, None if inside is None else inside.encode()


def _parsed(path: Path) -> Any:
    import onnx

    try:
        proto = onnx.ModelProto.FromString(path.read_bytes())
    except OSError:
        raise
    except Exception as error:  # protobuf's errors differ from version to version
        raise _damaged(path, error) from None
    if not (proto.ir_version and proto.opset_import and proto.graph.node and proto.graph.output):
        raise InputError(f"{path} is damaged or no ONNX model (it holds no graph); export or copy it again.")
    return proto


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [""])[0].strip(" .")[:120] or type(error).__name__
    return InputError(f"{path} is damaged or no ONNX model ({reason}); export or copy it again.")


def _text(value: Any) -> str:
    """A string of the file; protobuf gives bytes instead where it is no UTF-8."""
    if not isinstance(value, str):
        raise ValueError(f"{value[:40]!r} is no UTF-8")
    return value


def _facts(proto: Any) -> Inspection:
    graph = proto.graph
    nodes = list(_nodes(graph))
    constants = _constants(graph)
    inputs = [_tensor(value) for value in graph.input if value.name not in constants]
    values = _values(proto, {value.name for value in inputs})
    layers = tuple(_layers(graph.node, constants, values, _fixed_batch(inputs)))
    opset = {_text(entry.domain) or "ai.onnx": int(entry.version) for entry in proto.opset_import}
    operators = Counter(_kind(node) for node in nodes)
    return Inspection(
        kind="ONNX",
        made_by=f"{_text(proto.producer_name)} {_text(proto.producer_version)}".strip().removesuffix(" None"),
        inputs=tuple(inputs),
        outputs=tuple(_tensor(value) for value in graph.output),
        operators=dict(sorted(operators.items(), key=lambda pair: (-pair[1], pair[0]))),
        parameters=_parameters(nodes, constants),
        layers=layers,
        opset=opset,
        ir_version=int(proto.ir_version),
        missing=tuple(_missing(proto, inputs, opset, operators, values)),
    )


def _nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of the graphs in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _kind(node: Any) -> str:
    if not node.op_type:
        raise ValueError("a node without operator")
    return _text(node.op_type) if node.domain in OWN_DOMAINS else f"{_text(node.domain)}.{_text(node.op_type)}"


def _dtype(number: int) -> str:
    import onnx

    name = onnx.TensorProto.DataType.Name(number).lower() if number else "?"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _tensor(value: Any) -> GraphTensor:
    kind = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else _text(dim.dim_param) or None for dim in kind.shape.dim
    )
    return GraphTensor(name=_text(value.name), dtype=_dtype(kind.elem_type), shape=shape)


def _constants(graph: Any) -> dict[str, _Value]:
    """Every constant of the graph and the graphs in it; raises ValueError where one holds less than its shape says."""
    found: dict[str, _Value] = {}
    tensors = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in _nodes(graph):
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value" and node.output:
                tensors.append((node.output[0], attribute.t))
            tensors += [
                (tensor.name, tensor) for inner in (attribute.g, *attribute.graphs) for tensor in inner.initializer
            ]
    for name, tensor in tensors:
        value = _Value(_dtype(tensor.data_type), tuple(tensor.dims))
        bits = NUMBERS.get(value.dtype, 0)
        if bits and tensor.HasField("raw_data") and len(tensor.raw_data) != (math.prod(tensor.dims) * bits + 7) // 8:
            raise ValueError(f"{name} holds {len(tensor.raw_data)} bytes, which do not fit its shape")
        found[name] = value
    return found


def _values(proto: Any, inputs: Iterable[str]) -> dict[str, _Value]:
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
    with contextlib.suppress(Exception):  # a model it cannot judge, or of more than 2 GB: what the file says remains
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    tensors = [_tensor(value) for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)]
    return {tensor.name: _Value(tensor.dtype, tensor.shape) for tensor in tensors}


def _fixed_batch(inputs: list[GraphTensor]) -> int:
    """The batch the file insists on, otherwise 1."""
    first = inputs[0].shape[0] if inputs and len(inputs[0].shape) > 1 else 1
    return first if isinstance(first, int) and first > 0 else 1


def _layers(
    nodes: Iterable[Any], constants: dict[str, _Value], values: dict[str, _Value], batch: int
) -> Iterator[GraphLayer]:
    producers = {name: node for node in nodes for name in node.output}

    def constant(name: str) -> _Value | None:
        """The constant a tensor stems from, past the operators that leave its size alone."""
        for _ in range(16):
            if name in constants or name not in producers or producers[name].op_type not in SEE_THROUGH:
                break
            name = producers[name].input[0]
        return constants.get(name)

    for node in nodes:
        if node.op_type not in WEIGHTED:
            continue
        place, bias_place = WEIGHTED[node.op_type]
        given = list(node.input)
        weights = constant(given[place])
        bias = constant(given[bias_place]) if 0 < bias_place < len(given) else None
        unknown = _Value("?", ())
        seen, made = values.get(given[0], unknown), values.get(node.output[0], unknown)
        second = weights or values.get(given[place], unknown)
        name = _text(node.name or node.output[0])
        head, _, tail = name.rpartition("/")
        yield GraphLayer(
            name=head if head and tail.startswith(node.op_type) else name,
            operator=node.op_type,
            output=made.shape,
            weights=weights.dtype if weights else "",
            parameters=sum(_size(constant.shape) or 0 for constant in (weights, bias) if constant),
            multiply_adds=_multiply_adds(node.op_type, seen.shape, made.shape, second.shape, batch),
        )


def _size(shape: Shape) -> int | None:
    """How many values a tensor has, None where a side is not known."""
    sides = [side for side in shape if isinstance(side, int)]
    return math.prod(sides) if len(sides) == len(shape) else None


def _multiply_adds(kind: str, seen: Shape, made: Shape, weights: Shape, batch: int) -> int | None:
    """For one image: the weights, or a matrix product's inner side, times how often they are used."""
    if "Conv" in kind:
        if len(made) < 3 or len(seen) < 3:
            return None
        positions, each = _size(seen[2:] if kind == "ConvTranspose" else made[2:]), _size(weights)
    elif kind == "Gemm":
        positions, each = (_size(made[:1]) if made else None), _size(weights)
    else:
        positions, each = (_size(made) if made else None), (_size(seen[-1:]) if seen else None)
    if positions is None or each is None:
        return None
    return positions * each if "Conv" in kind else positions * each // batch


def _parameters(nodes: Iterable[Any], constants: dict[str, _Value]) -> int:
    """Values of the constants that are computed with: no scalars, shapes, scales and zero points."""
    used = set()
    for node in nodes:
        skipped = QUANTIZATION.get(node.op_type, ())
        used |= {name for i, name in enumerate(node.input) if i not in skipped}
    sizes = [
        _size(constants[name].shape) or 0 for name in used if name in constants and constants[name].dtype in NUMBERS
    ]
    return sum(size for size in sizes if size > 1)


def _missing(
    proto: Any, inputs: list[GraphTensor], opset: dict[str, int], operators: Counter[str], values: dict[str, _Value]
) -> Iterator[str]:
    batch = inputs[0].shape[0] if inputs and inputs[0].shape else None
    if isinstance(batch, int):
        yield f"The batch is fixed at {batch}: the file takes that many images at a time, no more and no fewer."
    elif batch is None:
        yield "The batch has no name, so tools cannot tell it from a side that may vary."
    foreign = [kind for kind in operators if "." in kind]
    if foreign:
        yield f"It needs operators outside ONNX's own set ({', '.join(foreign)}), which only some runtimes have."
    if opset.get("ai.onnx", 0) > MAX_OPSET:
        yield f"Opset {opset['ai.onnx']} is above {MAX_OPSET}: runtimes on devices may be too old for it."
    if proto.ir_version > MAX_IR:
        yield f"IR version {proto.ir_version} is above {MAX_IR}: runtimes on devices may be too old for it."
    shapes = Counter(
        node.op_type
        for node in proto.graph.node
        if node.op_type == "Shape"
        or (node.op_type in ARITHMETIC and node.output and values.get(node.output[0], _Value("", ())).dtype == "int64")
    )
    if shapes["Shape"] or shapes["Gather"] or shapes["Slice"]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in shapes.items())
        yield f"Arithmetic on shapes is left in the graph ({kinds}), which mobile delegates refuse; simplify it."
    outside = {
        entry.value for tensor in proto.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    if outside:
        yield f"Weights lie outside the file, in {', '.join(sorted(outside))}, and have to be shipped with it."
