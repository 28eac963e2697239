"""A full-integer .tflite file as the graph that C is generated from; whatever the kernels assume is checked here.

Anything else is refused with the layer's name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgecnn.codegen.fusion import fused
from edgecnn.codegen.graph import Graph, Tensor
from edgecnn.codegen.operands import Constant, Operands, refusal
from edgecnn.codegen.operators import OPERATORS
from edgecnn.codegen.rounding import DEFAULT_ROUNDING, ROUNDINGS
from edgecnn.model_files.tflite_model import File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgecnn.codegen.graph import Step
    from edgecnn.codegen.rounding import Rounding

ALIASES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})  # they move no byte
IMAGE_ZERO_POINT = -128  # once 128 is taken from each byte
DTYPES = {"INT8": "int8", "INT32": "<i4", "FLOAT32": "<f4"}


def read(
    flatbuffer: bytes, layers: Mapping[str, str] | None = None, rounding: Rounding = ROUNDINGS[DEFAULT_ROUNDING]
) -> Graph:
    """The graph of a file with one uint8 image in and one int8 tensor out; `layers` is tensor name -> Keras layer.

    Raises InputError, with the layer's name, for what the kernels cannot compute to the bit.
    """
    return _Reader(File(flatbuffer), layers or {}, rounding).graph()


class _Reader:
    def __init__(self, file: File, layers: Mapping[str, str], rounding: Rounding) -> None:
        self.file, self.layers, self.rounding = file, layers, rounding
        self.numbers: dict[int, int] = {}  # of the file's tensors -> of ours
        self.tensors: list[Tensor] = []
        self.storage: list[int] = []
        self.steps: list[Step] = []

    def graph(self) -> Graph:
        image, output = self._borders()
        for operator, kind in enumerate(self.file.kinds):
            self._add(operator, kind)
        if output not in self.numbers:
            raise refusal(self._layer(output), "no operator makes the model's output")
        result = self.numbers[output]
        owner = self.storage[result]
        read = {self.storage[number] for step in self.steps for number in step.inputs}
        if owner == self.numbers[image] or owner in read:
            raise refusal(self._layer(output), "the model's output is its image, or is read inside the model too")
        return Graph(
            tensors=tuple(self.tensors),
            steps=fused(self.steps, self.tensors, result),
            storage=tuple(self.storage),
            image=self.numbers[image],
            output=result,
            rounding=self.rounding,
        )

    def _borders(self) -> tuple[int, int]:
        """The image, which becomes the tensor that its QUANTIZE gives, and the output."""
        graph = self.file.graph
        image, output = int(graph.inputs[0]), int(graph.outputs[0])
        readers = [i for i in range(len(self.file.kinds)) if image in self.file.inputs_of(i)]
        border = [i for i in readers if self.file.kinds[i] == "QUANTIZE"]
        if len(graph.inputs) != 1 or len(graph.outputs) != 1 or readers != border or len(border) != 1:
            raise refusal(self._layer(image), "the model needs one uint8 image and one int8 output")
        inside = self.file.outputs_of(border[0])[0]
        first, second = (self._quantization(tensor) for tensor in (image, inside))
        if self._type(image) != "UINT8" or first[1] != 0 or second != (first[0], IMAGE_ZERO_POINT):
            raise refusal(self._layer(image), "its image is not uint8 with zero point 0, taken over in the same scale")
        self.numbers[image] = self.numbers[inside] = self._activation(inside)
        return image, output

    def _add(self, operator: int, kind: str) -> None:
        inputs, outputs = self.file.inputs_of(operator), self.file.outputs_of(operator)
        if outputs[0] in self.numbers:  # the border's QUANTIZE
            return
        layer = self._layer(outputs[0])
        reads = [tensor for tensor in inputs if not self.file.is_constant(tensor)]
        if len(outputs) != 1 or any(tensor not in self.numbers for tensor in reads) or not reads:
            raise refusal(layer, f"its operator {kind} has other inputs or outputs than an image's")
        if kind in ALIASES:
            self._alias(layer, reads[0], outputs[0])
            return
        if kind in self.rounding.unproven:
            raise refusal(layer, f"its operator {kind} has no kernel that rounds as {self.rounding.runtime} does")
        if kind not in OPERATORS:
            raise refusal(layer, f"C has no kernel for its operator {kind}")
        self.numbers[outputs[0]] = self._activation(outputs[0])
        operands = Operands(
            layer=layer,
            kind=kind,
            options=self.file.operators[operator].builtinOptions,
            numbers=tuple(self.numbers[tensor] for tensor in reads),
            inputs=tuple(self.tensors[self.numbers[tensor]] for tensor in reads),
            number=self.numbers[outputs[0]],
            output=self.tensors[self.numbers[outputs[0]]],
            constants=tuple(self._constant(layer, tensor) for tensor in inputs if self.file.is_constant(tensor)),
            rounding=self.rounding,
        )
        self.steps.append(OPERATORS[kind](operands))

    def _alias(self, layer: str, source: int, output: int) -> None:
        if self._quantization(source) != self._quantization(output):
            raise refusal(layer, "its operator changes the scale without computing")
        old, number = self.numbers[source], self._activation(output)
        if self.tensors[number].size_bytes != self.tensors[old].size_bytes:
            raise refusal(layer, "its operator changes the number of values")
        self.numbers[output], self.storage[number] = number, self.storage[old]

    def _activation(self, tensor: int) -> int:
        """The number of a new tensor of ours."""
        layer, side = self._layer(tensor), self.file.graph.tensors[tensor]
        shape = [int(length) for length in side.shape]
        if self._type(tensor) == "FLOAT32":
            raise refusal(layer, "it is excluded from quantization, and computes in float32")
        if self._type(tensor) != "INT8" or shape[0] != 1 or len(shape) not in (2, 4) or min(shape) < 1:
            raise refusal(layer, f"its output is {self._type(tensor).lower()} of the shape {shape}")
        scale, zero_point = self._quantization(tensor)
        height, width, channels = shape[1:] if len(shape) == 4 else (1, 1, shape[1])
        self.tensors.append(Tensor(side.name.decode(), (height, width, channels), scale, zero_point))
        self.storage.append(len(self.tensors) - 1)
        return len(self.tensors) - 1

    def _quantization(self, tensor: int) -> tuple[float, int]:
        found = self.file.graph.tensors[tensor].quantization
        scales = [] if found is None or found.scale is None else [float(scale) for scale in found.scale]
        if len(scales) != 1 or not 0 < scales[0] < math.inf:
            raise refusal(self._layer(tensor), "its output has no scale, or more than one")
        return scales[0], int(found.zeroPoint[0])

    def _constant(self, layer: str, tensor: int) -> Constant:
        import numpy as np

        side = self.file.graph.tensors[tensor]
        dtype = DTYPES.get(self._type(tensor))
        if dtype is None:
            raise refusal(layer, f"it has constants of the type {self._type(tensor).lower()}")
        data = np.asarray(self.file.model.buffers[side.buffer].data, np.uint8)
        known = side.quantization
        scales = [] if known is None or known.scale is None else known.scale
        return Constant(
            values=data.view(dtype).reshape([int(length) for length in side.shape]),
            scales=np.asarray(scales, np.float32),
            zero_points=np.asarray(known.zeroPoint if len(scales) else [], np.int64),
            axis=int(known.quantizedDimension) if known is not None else 0,
        )

    def _type(self, tensor: int) -> str:
        from ai_edge_litert.schema_py_generated import TensorType

        names = {number: name for name, number in vars(TensorType).items() if not name.startswith("_")}
        return str(names.get(self.file.graph.tensors[tensor].type, "of unknown type"))

    def _layer(self, tensor: int) -> str:
        name: str = self.file.graph.tensors[tensor].name.decode()
        return self.layers.get(name, name)
