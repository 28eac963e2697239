"""What a .tflite file is made of, read from its flatbuffer alone; no interpreter sees it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.contract import CONTRACT_KEY
from edgecnn.errors import InputError
from edgecnn.records import GraphLayer, GraphTensor, Inspection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDENTIFIER = b"TFL3"  # at bytes 4 to 8 of every TFLite file
# Operator -> where its weights, its bias and its image stand among the inputs.
WEIGHTED = {
    "CONV_2D": (1, 2, 0),
    "DEPTHWISE_CONV_2D": (1, 2, 0),
    "CONV_3D": (1, 2, 0),
    "TRANSPOSE_CONV": (1, 3, 2),
    "FULLY_CONNECTED": (1, 2, 0),
    "BATCH_MATMUL": (1, -1, 0),
}
BITS = {"float32": 32, "float16": 16, "int8": 8, "uint8": 8, "int16": 16, "int32": 32, "int4": 4, "float64": 64}
SHAPES = ("SHAPE", "GATHER", "SLICE", "STRIDED_SLICE", "PACK")


def read(path: Path) -> tuple[Inspection, bytes | None]:
    """What the file holds, and the contract in its metadata; raises InputError where it is no TFLite model."""
    content = path.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise InputError(
            f"{path} is damaged or no TFLite model (TFL3 is missing at its start); export or copy it again."
        )
    from ai_edge_litert import schema_py_generated as schema

    try:
        file = _File(schema, content)
        return file.facts(), file.contract()
    except Exception as error:  # a broken flatbuffer breaks whatever reads it first
        reason = (str(error).splitlines() or [""])[0].strip(" .")[:120] or type(error).__name__
        raise InputError(f"{path} is damaged or no TFLite model ({reason}); export or copy it again.") from None


class _File:
    def __init__(self, schema: Any, content: bytes) -> None:
        def names(kind: Any) -> dict[int, str]:
            return {number: name for name, number in vars(kind).items() if not name.startswith("_")}

        operators, self.types = names(schema.BuiltinOperator), names(schema.TensorType)
        self.model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
        if not self.model.subgraphs or not self.model.subgraphs[0].tensors or not self.model.buffers:
            raise ValueError("it holds no graph")
        self.graph: Any = self.model.subgraphs[0]
        self.codes = []
        for code in self.model.operatorCodes or []:
            kind = operators[max(code.builtinCode, code.deprecatedBuiltinCode)]
            self.codes.append(code.customCode.decode() if kind == "CUSTOM" else kind)
        self.custom = {code.customCode.decode() for code in self.model.operatorCodes or [] if code.customCode}
        for tensor in (tensor for graph in self.model.subgraphs for tensor in graph.tensors or []):
            self._check(tensor)

    def _dtype(self, tensor: Any) -> str:
        return self.types[tensor.type].lower()

    def _check(self, tensor: Any) -> None:
        """Raise ValueError where a constant holds more or less than its shape says."""
        bits = BITS.get(self._dtype(tensor), 0)
        data = self.model.buffers[tensor.buffer].data
        if data is None or not bits or tensor.sparsity is not None or len(data) == 0:
            return
        if len(data) != (math.prod(_shape(tensor)) * bits + 7) // 8:
            raise ValueError(f"{tensor.name.decode()} holds {len(data)} bytes, which do not fit its shape")

    def contract(self) -> bytes | None:
        """The bytes of the metadata buffer named for the contract."""
        for entry in self.model.metadata or []:
            if entry.name == CONTRACT_KEY.encode():
                return bytes(self.model.buffers[entry.buffer].data)
        return None

    def facts(self) -> Inspection:
        """The whole file but its contract."""
        operators = Counter(
            self.codes[operator.opcodeIndex] for graph in self.model.subgraphs for operator in graph.operators or []
        )
        return Inspection(
            kind="TFLite",
            made_by=(self.model.description or b"").decode(),
            inputs=tuple(self._tensor(int(number)) for number in self.graph.inputs),
            outputs=tuple(self._tensor(int(number)) for number in self.graph.outputs),
            operators=dict(sorted(operators.items(), key=lambda pair: (-pair[1], pair[0]))),
            parameters=self._parameters(),
            layers=tuple(self._layers()),
            missing=tuple(self._missing()),
        )

    def _tensor(self, number: int) -> GraphTensor:
        tensor = self.graph.tensors[number]
        open_shape = tensor.shapeSignature if tensor.shapeSignature is not None else _shape(tensor)
        shape = tuple(None if side < 0 else int(side) for side in open_shape)
        quantization = tensor.quantization
        known = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
        zero = quantization.zeroPoint if known else None
        return GraphTensor(
            name=tensor.name.decode(),
            dtype=self._dtype(tensor),
            shape=shape,
            scale=float(quantization.scale[0]) if known else None,
            zero_point=(0 if zero is None else int(zero[0])) if known else None,
        )

    def _constant(self, number: int) -> Any | None:
        """A tensor whose values stand in the file, past a step from float16 to float32; None for any other."""
        makers = {int(out): operator for operator in self.graph.operators or [] for out in operator.outputs}
        if number in makers and self.codes[makers[number].opcodeIndex] == "DEQUANTIZE":
            number = int(makers[number].inputs[0])
        if number < 0:
            return None
        tensor = self.graph.tensors[number]
        buffer = self.model.buffers[tensor.buffer]
        filled = buffer.offset > 1 or (buffer.data is not None and len(buffer.data) > 0)
        return tensor if filled else None

    def _layers(self) -> Iterator[GraphLayer]:
        first = self.graph.tensors[int(self.graph.inputs[0])] if len(self.graph.inputs) else None
        batch = int(first.shape[0]) if first is not None and len(_shape(first)) > 1 else 1
        for operator in self.graph.operators or []:
            kind = self.codes[operator.opcodeIndex]
            if kind not in WEIGHTED:
                continue
            place, bias_place, image_place = WEIGHTED[kind]
            weights = self._constant(int(operator.inputs[place]))
            bias = self._constant(int(operator.inputs[bias_place])) if 0 < bias_place < len(operator.inputs) else None
            made = self.graph.tensors[int(operator.outputs[0])]
            seen = self.graph.tensors[int(operator.inputs[image_place])]
            second = self.graph.tensors[int(operator.inputs[place])]
            name = made.name.decode().split(";")[0]
            head, _, tail = name.rpartition("/")
            yield GraphLayer(
                name=head if head and tail.startswith(kind.lower()) else name,
                operator=kind,
                output=_shape(made),
                weights=self._dtype(weights) if weights is not None else "",
                parameters=sum(math.prod(_shape(tensor)) for tensor in (weights, bias) if tensor is not None),
                multiply_adds=_multiply_adds(kind, _shape(seen), _shape(made), _shape(second), batch),
            )

    def _parameters(self) -> int:
        """Values of the constants that are computed with: no scalars and no shapes."""
        found: dict[int, int] = {}
        for graph in self.model.subgraphs:
            biases = {
                int(operator.inputs[WEIGHTED[kind][1]])
                for operator in graph.operators or []
                if (kind := self.codes[operator.opcodeIndex]) in WEIGHTED
                and 0 < WEIGHTED[kind][1] < len(operator.inputs)
            }
            for number, tensor in enumerate(graph.tensors or []):
                buffer, size, kind = self.model.buffers[tensor.buffer], math.prod(_shape(tensor)), self._dtype(tensor)
                filled = buffer.offset > 1 or (buffer.data is not None and len(buffer.data) > 0)
                if filled and size > 1 and (number in biases or (kind in BITS and kind != "int32")):
                    found[tensor.buffer] = size
        return sum(found.values())

    def _missing(self) -> Iterator[str]:
        flex = sorted(name for name in self.custom if name.startswith("Flex"))
        if flex:
            yield f"It needs TensorFlow's own operators ({', '.join(flex)}), which take the Flex delegate."
        if others := sorted(self.custom - set(flex)):
            yield f"It needs custom operators ({', '.join(others)}), which an app has to bring along."
        if not self.model.signatureDefs:
            yield "It has no SignatureDef, so an app must find inputs and outputs by their order."
        shapes: Counter[str] = Counter()
        for operator in self.graph.operators or []:
            kind, made = self.codes[operator.opcodeIndex], self.graph.tensors[int(operator.outputs[0])]
            plain = made.quantization is None or made.quantization.scale is None
            if kind == "SHAPE" or (kind in SHAPES and plain and self._dtype(made) in ("int32", "int64")):
                shapes[kind] += 1
        if shapes:
            kinds = ", ".join(f"{kind} {count}" for kind, count in shapes.items())
            yield f"Arithmetic on shapes is left in the graph ({kinds}), which delegates refuse; fix the batch."


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(side) for side in tensor.shape)


def _multiply_adds(
    kind: str, seen: tuple[int, ...], made: tuple[int, ...], weights: tuple[int, ...], batch: int
) -> int | None:
    """For one image: the weights, or a matrix product's inner side, times how often they are used."""
    if "CONV" in kind:
        positions = (seen if kind == "TRANSPOSE_CONV" else made)[1:-1]
        return math.prod(positions) * math.prod(weights) if positions else None
    if not made or not seen or not weights:
        return None
    inner = weights[-1] if kind == "FULLY_CONNECTED" else seen[-1]
    return math.prod(made) * inner // max(batch, 1)
