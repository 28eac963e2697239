"""What a .tflite file is made of, read from its flatbuffer alone; no interpreter sees it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from edgecnn.errors import InputError, damaged
from edgecnn.model_files.inspector import Inspector
from edgecnn.model_files.tflite_graph import BITS, IDENTIFIER, Graph, Model, Tensor, parse
from edgecnn.records import GraphLayer, GraphTensor, Inspection
from edgecnn.records.contract import CONTRACT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Operator -> where its weights, its bias and its image stand among the inputs.
WEIGHTED = {
    "CONV_2D": (1, 2, 0),
    "DEPTHWISE_CONV_2D": (1, 2, 0),
    "CONV_3D": (1, 2, 0),
    "TRANSPOSE_CONV": (1, 3, 2),
    "CONV_3D_TRANSPOSE": (1, 3, 2),
    "FULLY_CONNECTED": (1, 2, 0),
    "BATCH_MATMUL": (1, -1, 0),
}
SHAPES = ("SHAPE", "GATHER", "SLICE", "STRIDED_SLICE", "PACK")


def read(path: Path) -> tuple[Inspection, bytes | None]:
    """What the file holds, and the contract in its metadata; raises InputError where it is no TFLite model."""
    content = path.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise InputError(
            f"{path} is damaged or no TFLite model (TFL3 is missing at its start); export or copy it again."
        )
    try:
        model = parse(content)
        return _facts(model), model.metadata.get(CONTRACT_KEY)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # a broken flatbuffer breaks whatever reads it first
        raise damaged(path, "TFLite model", error) from None


def _facts(model: Model) -> Inspection:
    graph = model.graphs[0]
    operators = Counter(operator.kind for graph in model.graphs for operator in graph.operators)
    return Inspection(
        kind="TFLite",
        producer=model.description,
        inputs=tuple(_given(graph.tensors[number]) for number in graph.inputs),
        outputs=tuple(_given(graph.tensors[number]) for number in graph.outputs),
        operators=dict(sorted(operators.items(), key=lambda pair: (-pair[1], pair[0]))),
        parameters=_parameters(model),
        layers=tuple(_layers(graph)),
        warnings=tuple(_missing(model)),
    )


def _given(tensor: Tensor) -> GraphTensor:
    return GraphTensor(
        name=tensor.name,
        dtype=tensor.dtype,
        shape=tensor.open_shape,
        scale=tensor.scale,
        zero_point=tensor.zero_point,
    )


def _layers(graph: Graph) -> Iterator[GraphLayer]:
    makers = {number: operator for operator in graph.operators for number in operator.outputs}
    first = graph.tensors[graph.inputs[0]].shape if graph.inputs else ()
    batch = max(first[0], 1) if len(first) > 1 else 1

    def constant(number: int) -> Tensor | None:
        """A tensor whose values stand in the file, past a step from float16 to float32; None for any other."""
        if number in makers and makers[number].kind == "DEQUANTIZE":
            number = makers[number].inputs[0]
        return graph.tensors[number] if number >= 0 and graph.tensors[number].constant else None

    for operator in graph.operators:
        if operator.kind not in WEIGHTED:
            continue
        place, bias_place, image_place = WEIGHTED[operator.kind]
        weights = constant(operator.inputs[place])
        bias = constant(operator.inputs[bias_place]) if 0 < bias_place < len(operator.inputs) else None
        made = graph.tensors[operator.outputs[0]]
        shapes = [graph.tensors[operator.inputs[number]].shape for number in (image_place, place)]
        name = made.name.split(";")[0]
        head, _, tail = name.rpartition("/")
        yield GraphLayer(
            name=head if head and tail.startswith(operator.kind.lower()) else name,
            operator=operator.kind,
            output_shape=made.shape,
            weights=weights.dtype if weights is not None else "",
            parameters=sum(math.prod(tensor.shape) for tensor in (weights, bias) if tensor is not None),
            multiply_adds=_multiply_adds(operator.kind, shapes[0], made.shape, shapes[1], batch),
        )


def _multiply_adds(
    kind: str, seen: tuple[int, ...], made: tuple[int, ...], weights: tuple[int, ...], batch: int
) -> int | None:
    """For one image: the weights, or a matrix product's inner side, times how often they are used."""
    if not made or not seen or not weights:
        return None
    if "CONV" in kind:
        positions = (seen if "TRANSPOSE" in kind else made)[1:-1]
        return math.prod(positions) * math.prod(weights)
    if kind == "FULLY_CONNECTED":
        return math.prod(made) * weights[-1] // batch
    return math.prod(seen) * made[-1] // batch  # either side of a product may be transposed, its inner side too


def _parameters(model: Model) -> int:
    """Values of the constants that are computed with: no scalars and no shapes."""
    found: dict[int, int] = {}
    for graph in model.graphs:
        biases = {
            operator.inputs[WEIGHTED[operator.kind][1]]
            for operator in graph.operators
            if operator.kind in WEIGHTED and 0 < WEIGHTED[operator.kind][1] < len(operator.inputs)
        }
        for number, tensor in enumerate(graph.tensors):
            size, weights = math.prod(tensor.shape), tensor.dtype in BITS and tensor.dtype not in ("int32", "int64")
            if tensor.constant and size > 1 and (number in biases or weights):
                found[tensor.buffer] = size
    return sum(found.values())


def _missing(model: Model) -> Iterator[str]:
    flex = sorted(name for name in model.custom if name.startswith("Flex"))
    if flex:
        yield f"It needs TensorFlow's own operators ({', '.join(flex)}), which take the Flex delegate."
    if others := sorted(model.custom - set(flex)):
        yield f"It needs custom operators ({', '.join(others)}), which an app has to bring along."
    if not model.signatures:
        yield "It has no SignatureDef, so an app must find inputs and outputs by their order."
    shapes: Counter[str] = Counter()
    graph = model.graphs[0]
    for operator in graph.operators:
        made = graph.tensors[operator.outputs[0]] if operator.outputs else None
        whole = made is not None and not made.quantized and made.dtype in ("int32", "int64")
        if operator.kind == "SHAPE" or (operator.kind in SHAPES and whole):
            shapes[operator.kind] += 1
    if shapes:
        kinds = ", ".join(f"{kind} {count}" for kind, count in shapes.items())
        yield f"Arithmetic on shapes is left in the graph ({kinds}), which delegates refuse; fix the batch."


PLUGIN = Inspector(
    name="tflite",
    summary="a .tflite file",
    packages=("ai_edge_litert", "flatbuffers"),
    read=read,
    recognizes=lambda path, head: head[4:] == IDENTIFIER or path.suffix == ".tflite",
)
