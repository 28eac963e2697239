"""A TFLite graph of any origin, made ready for reading: nothing in the file is believed before it is checked.

A flatbuffer may refer to the same bytes from many places, so a few kilobytes can unfold into gigabytes. Its own
checks exist in C++ only; here fields are read one by one, and what is read may be a few times the file at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

IDENTIFIER = b"TFL3"  # at bytes 4 to 8 of every TFLite file
BITS = {
    "float32": 32, "float16": 16, "bfloat16": 16, "float64": 64, "int64": 64, "int32": 32, "int16": 16, "int8": 8,
    "uint8": 8, "int4": 4, "int2": 2,
}  # fmt: skip
IN_FILE = 1  # an offset above says that a buffer's content stands behind the flatbuffer


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph; `scale` and `zero_point` only where one holds for all of it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    open_shape: tuple[int | None, ...]  # None where a side varies
    buffer: int
    constant: bool  # whether its values stand in the file
    quantized: bool
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Operator:
    """A step of a graph; inputs and outputs are numbers of tensors, -1 for one left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """A function of the model; the first is the one that is called."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A whole file."""

    graphs: tuple[Graph, ...]
    custom: frozenset[str]  # operators that are not TFLite's own
    signatures: int
    metadata: dict[str, bytes]
    description: str


def parse(content: bytes) -> Model:
    """The model in a file's bytes; raises any exception where they are damaged or unfold without measure."""
    return _Reader(content).model()


class _Reader:
    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.content = content
        self.left = 4 * len(content) + (1 << 18)  # bytes that may still be read; strings are shared at times
        self.root: Any = schema.Model.GetRootAs(content, 0)
        self.types = _names(schema.TensorType)
        operators = _names(schema.BuiltinOperator)
        codes = [self.root.OperatorCodes(i) for i in range(self._count(self.root.OperatorCodesLength()))]
        custom = [self._text(code.CustomCode()) for code in codes]
        numbers = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]
        kinds = [operators.get(number, f"BUILTIN_{number}") for number in numbers]
        self.codes = [own if kind == "CUSTOM" else kind for kind, own in zip(kinds, custom, strict=True)]
        self.custom = frozenset(name for name in custom if name)
        self.buffers = [self.root.Buffers(i) for i in range(self._count(self.root.BuffersLength()))]
        self.sizes = [self._size(buffer) for buffer in self.buffers]

    def _count(self, number: int, size: int = 4) -> int:
        """The number of things of `size` bytes that are about to be read; raises ValueError where it is too many."""
        self.left -= number * size
        if self.left < 0:
            raise ValueError("it refers to more than it holds")
        return number

    def _text(self, value: bytes | None) -> str:
        self._count(len(value or b""), 1)
        return (value or b"").decode()

    def _numbers(self, array: Any) -> tuple[int, ...]:
        """A vector of the file; absent ones are given as the number 0."""
        if isinstance(array, int):
            return ()
        self._count(len(array))
        return tuple(array.tolist())

    def _size(self, buffer: Any) -> int:
        """Bytes of a buffer, wherever in the file they stand; raises ValueError where the file ends before."""
        if buffer.Offset() <= IN_FILE:
            data = buffer.DataAsNumpy()
            return 0 if isinstance(data, int) else len(data)
        if buffer.Offset() + buffer.Size() > len(self.content):
            raise ValueError("it is cut off")
        return int(buffer.Size())

    def _bytes(self, number: int) -> bytes:
        buffer, size = self.buffers[number], self._count(self.sizes[number], 1)
        if buffer.Offset() > IN_FILE:
            return self.content[buffer.Offset() : buffer.Offset() + size]
        return bytes(buffer.DataAsNumpy()) if size else b""

    def model(self) -> Model:
        """All of the file; raises ValueError where it holds no graph."""
        graphs = tuple(self._graph(self.root.Subgraphs(i)) for i in range(self._count(self.root.SubgraphsLength())))
        if not graphs or not graphs[0].tensors or not self.buffers:
            raise ValueError("it holds no graph")
        entries = [self.root.Metadata(i) for i in range(self._count(self.root.MetadataLength()))]
        return Model(
            graphs=graphs,
            custom=self.custom,
            signatures=self.root.SignatureDefsLength(),
            metadata={self._text(entry.Name()): self._bytes(entry.Buffer()) for entry in entries},
            description=self._text(self.root.Description()),
        )

    def _graph(self, graph: Any) -> Graph:
        made = Graph(
            tensors=tuple(self._tensor(graph.Tensors(i)) for i in range(self._count(graph.TensorsLength()))),
            operators=tuple(self._operator(graph.Operators(i)) for i in range(self._count(graph.OperatorsLength()))),
            inputs=self._numbers(graph.InputsAsNumpy()),
            outputs=self._numbers(graph.OutputsAsNumpy()),
        )
        used = {number for operator in made.operators for number in (*operator.inputs, *operator.outputs)}
        if any(not -1 <= number < len(made.tensors) for number in used.union(made.inputs, made.outputs)):
            raise ValueError("it refers to a tensor that is not there")
        return made

    def _operator(self, operator: Any) -> Operator:
        options = operator.BuiltinOptions()
        if options is not None and options.Pos >= len(self.content):
            raise ValueError("it is cut off")
        inputs, outputs = self._numbers(operator.InputsAsNumpy()), self._numbers(operator.OutputsAsNumpy())
        return Operator(self.codes[operator.OpcodeIndex()], inputs, outputs)

    def _tensor(self, tensor: Any) -> Tensor:
        shape, buffer = self._numbers(tensor.ShapeAsNumpy()), tensor.Buffer()
        known, dtype = tensor.Quantization(), self.types.get(tensor.Type(), f"type {tensor.Type()}").lower()
        scales = known.ScaleLength() if known is not None else 0
        zero = known.ZeroPoint(0) if scales and known.ZeroPointLength() else 0
        made = Tensor(
            name=self._text(tensor.Name()),
            dtype=dtype,
            shape=shape,
            open_shape=tuple(
                None if side < 0 else side for side in self._numbers(tensor.ShapeSignatureAsNumpy()) or shape
            ),
            buffer=buffer,
            constant=self.sizes[buffer] > 0,
            quantized=scales > 0,
            scale=float(known.Scale(0)) if scales == 1 else None,
            zero_point=int(zero) if scales == 1 else None,
        )
        bits = BITS.get(dtype, 0)
        if bits and made.constant and tensor.Sparsity() is None:
            _check_size(made, self.sizes[buffer], bits)
        return made


def _check_size(tensor: Tensor, size: int, bits: int) -> None:
    """Raise ValueError where a constant holds more or less than its shape says."""
    if min(tensor.shape, default=1) < 0 or size != (math.prod(tensor.shape) * bits + 7) // 8:
        raise ValueError(f"{tensor.name} holds {size} bytes, which do not fit its shape")


def _names(kind: Any) -> dict[int, str]:
    """An enumeration of the schema, the other way round."""
    return {number: name for name, number in vars(kind).items() if not name.startswith("_")}
