"""What an .onnx file is made of, read with the onnx package alone; nothing in it is run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn import bounds
from edgecnn.errors import InputError, damaged
from edgecnn.model_files.inspector import Inspector
from edgecnn.model_files.int8_overflow import int8_nodes
from edgecnn.model_files.onnx_graph import (
    NUMBERS,
    Value,
    constants_of,
    inlined,
    kind_of,
    nodes_of,
    parse,
    size_of_shape,
    tensor_of,
    text_of,
    values_of,
)
from edgecnn.records import GraphLayer, GraphTensor, Inspection, Int8Kernels
from edgecnn.records.contract import CONTRACT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from edgecnn.model_files.onnx_graph import Shape

MAX_OPSET, MAX_IR = 17, 8  # what the runtimes found on devices read
# Operator -> where its weights and its bias stand among the inputs.
WEIGHTED = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "MatMul": (1, -1), "ConvInteger": (1, -1),
    "MatMulInteger": (1, -1), "QLinearConv": (3, 8), "QLinearMatMul": (3, -1),
    # and ONNX Runtime's own, which its graph optimizations leave in a file
    "FusedConv": (1, 2), "FusedGemm": (1, 2), "FusedMatMul": (1, -1), "QGemm": (3, 6), "MatMulIntegerToFloat": (1, 6),
    "DynamicQuantizeMatMul": (1, 4),
}  # fmt: skip
NO_WEIGHTS = {  # inputs that are scales, zero points and factors of size
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "ConvInteger": (2, 3), "MatMulInteger": (2, 3),
    "QLinearConv": (1, 2, 4, 5, 6, 7), "QLinearMatMul": (1, 2, 4, 5, 6, 7), "QGemm": (1, 2, 4, 5, 7, 8),
    "MatMulIntegerToFloat": (2, 3, 4, 5), "DynamicQuantizeMatMul": (2, 3), "Resize": (1, 2, 3), "Upsample": (1,),
}  # fmt: skip
SEE_THROUGH = ("DequantizeLinear", "QuantizeLinear", "Identity", "Cast", "Transpose", "Reshape")
ARITHMETIC = ("Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast", "Mul", "Add", "Div")  # of shapes, if int64


def read(path: Path) -> tuple[Inspection, bytes | None]:
    """What the file holds, and the contract in its metadata; raises InputError where it is no ONNX model."""
    proto = parse(path)
    try:
        with bounds.running(path, path.stat().st_size):
            found = _facts(inlined(proto))
        inside = next((text_of(entry.value) for entry in proto.metadata_props if entry.key == CONTRACT_KEY), None)
    except InputError:
        raise
    except Exception as error:  # a broken graph breaks whatever reads it first
        raise damaged(path, "ONNX model", error) from None
    return found, None if inside is None else inside.encode()


def _facts(proto: Any) -> Inspection:
    graph = proto.graph
    nodes = list(nodes_of(graph))
    constants = constants_of(graph)
    inputs = [tensor_of(value) for value in graph.input if value.name not in constants]
    values = values_of(proto, {value.name for value in inputs})
    layers = tuple(_layers(graph.node, constants, values, _fixed_batch(inputs)))
    opset = {text_of(entry.domain) or "ai.onnx": int(entry.version) for entry in proto.opset_import}
    operators = Counter(kind_of(node) for node in nodes)
    return Inspection(
        kind="ONNX",
        producer=f"{text_of(proto.producer_name)} {text_of(proto.producer_version)}".strip().removesuffix(" None"),
        inputs=tuple(inputs),
        outputs=tuple(tensor_of(value) for value in graph.output),
        operators=dict(sorted(operators.items(), key=lambda pair: (-pair[1], pair[0]))),
        parameters=_parameters(nodes, constants),
        layers=layers,
        opset=opset,
        ir_version=int(proto.ir_version),
        int8_kernels=_int8_kernels(proto),
        warnings=tuple(_missing(proto, inputs, opset, operators, values)),
    )


def _int8_kernels(proto: Any) -> Int8Kernels | None:
    nodes = int8_nodes(proto)
    if not nodes:
        return None
    return Int8Kernels(
        nodes=len(nodes),
        overflowing=tuple(text_of(node.name) for node in nodes if node.overflows),
        unknown=tuple(text_of(node.name) for node in nodes if node.overflows is None),
    )


def _fixed_batch(inputs: list[GraphTensor]) -> int:
    """The batch the file insists on, otherwise 1."""
    first = inputs[0].shape[0] if inputs and len(inputs[0].shape) > 1 else 1
    return first if isinstance(first, int) and first > 0 else 1


def _layers(
    nodes: Iterable[Any], constants: dict[str, Value], values: dict[str, Value], batch: int
) -> Iterator[GraphLayer]:
    producers = {name: node for node in nodes for name in node.output}

    def constant(name: str) -> Value | None:
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
        unknown = Value("?", ())
        seen, made = values.get(given[0], unknown), values.get(node.output[0], unknown)
        second = weights or values.get(given[place], unknown)
        name = text_of(node.name or node.output[0])
        head, _, tail = name.rpartition("/")
        yield GraphLayer(
            name=head if head and tail.startswith(node.op_type) else name,
            operator=node.op_type,
            output_shape=made.shape,
            weights=weights.dtype if weights else "",
            parameters=sum(size_of_shape(constant.shape) or 0 for constant in (weights, bias) if constant),
            multiply_adds=_multiply_adds(node.op_type, seen.shape, made.shape, second.shape, batch),
        )


def _multiply_adds(kind: str, seen: Shape, made: Shape, weights: Shape, batch: int) -> int | None:
    """For one image: the weights, or a matrix product's inner side, times how often they are used."""
    if "Conv" in kind:
        if len(made) < 3 or len(seen) < 3:
            return None
        positions, each = size_of_shape(seen[2:] if kind == "ConvTranspose" else made[2:]), size_of_shape(weights)
    elif "Gemm" in kind:
        positions, each = (size_of_shape(made[:1]) if made else None), size_of_shape(weights)
    else:
        positions, each = (size_of_shape(made) if made else None), (size_of_shape(seen[-1:]) if seen else None)
    if positions is None or each is None:
        return None
    return positions * each if "Conv" in kind else positions * each // batch


def _parameters(nodes: Iterable[Any], constants: dict[str, Value]) -> int:
    """Values of the constants that are computed with: no scalars, shapes, scales and zero points."""
    used = set()
    for node in nodes:
        skipped = NO_WEIGHTS.get(node.op_type, ())
        used |= {name for i, name in enumerate(node.input) if i not in skipped}
    sizes = [
        size_of_shape(constants[name].shape) or 0
        for name in used
        if name in constants and constants[name].dtype in NUMBERS
    ]
    return sum(size for size in sizes if size > 1)


def _missing(
    proto: Any, inputs: list[GraphTensor], opset: dict[str, int], operators: Counter[str], values: dict[str, Value]
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
        or (node.op_type in ARITHMETIC and node.output and values.get(node.output[0], Value("", ())).dtype == "int64")
    )
    if shapes["Shape"] or shapes["Gather"] or shapes["Slice"]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in shapes.items())
        yield f"Arithmetic on shapes is left in the graph ({kinds}), which mobile delegates refuse; simplify it."
    outside = {
        entry.value for tensor in proto.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    if outside:
        yield f"Weights lie outside the file, in {', '.join(sorted(outside))}, and have to be shipped with it."


PLUGIN = Inspector(
    name="onnx",
    summary="an .onnx file",
    packages=("onnx",),
    read=read,
    recognizes=lambda path, head: path.suffix == ".onnx",
)
