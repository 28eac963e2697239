"""Small full-integer .tflite files, written operator by operator: any scales, weights and shapes, also the worst."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.model_files.tflite_model import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3
WINDOW = {"strideW": 1, "strideH": 1, "padding": VALID, "fusedActivationFunction": NONE}


@dataclass
class Network:
    """A graph under construction; it begins with the image, uint8 [1, H, W, C], made int8."""

    shape: tuple[int, int, int]
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def __post_init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.buffers, self.model.operatorCodes = 3, [schema.BufferT()], []
        self.model.subgraphs = [self.graph]
        self.graph.tensors, self.graph.operators = [], []
        image = self._tensor("image", "UINT8", (1, *self.shape), [1 / 255], [0])
        self.graph.inputs = [image]
        self.last = self.add("QUANTIZE", [image], self.shape, scale=1 / 255, zero_point=-128)

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        *,
        scale: float | None = None,
        zero_point: int = 0,
        options: dict[str, Any] | None = None,
    ) -> int:
        """An operator with one int8 output of a shape without batch; no scale: that of its first input."""
        side = self.graph.tensors[inputs[0]].quantization
        scale, zero_point = (float(side.scale[0]), int(side.zeroPoint[0])) if scale is None else (scale, zero_point)
        output = self._tensor(f"{kind.lower()}_{len(self.graph.operators)}", "INT8", (1, *shape), [scale], [zero_point])
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._code(kind), list(inputs), [output]
        name = OPTIONS.get(kind)
        if name:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            made.builtinOptions = getattr(schema, f"{name}T")()
            for option, value in (options or {}).items():
                assert hasattr(made.builtinOptions, option), option
                setattr(made.builtinOptions, option, value)
        self.graph.operators.append(made)
        self.last = output
        return output

    def constant(self, values: np.ndarray, scales: Sequence[float] = (), axis: int = 0) -> int:
        """A tensor whose values stand in the file: int8 or int32."""
        kind = {"int8": "INT8", "int32": "INT32"}[values.dtype.name]
        number = self._tensor(
            f"constant_{len(self.graph.tensors)}", kind, values.shape, scales, [0] * len(scales), axis
        )
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        self.graph.tensors[number].buffer = len(self.model.buffers) - 1
        return number

    def shape_of(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(side) for side in self.graph.tensors[tensor].shape[1:])

    def scale_of(self, tensor: int) -> float:
        return float(self.graph.tensors[tensor].quantization.scale[0])

    def weighted(
        self, kind: str, source: int, weights: np.ndarray, shape: Sequence[int], bias: np.ndarray | None = None, *,
        scales: Sequence[float], scale: float, zero_point: int, **options: Any,
    ) -> int:  # fmt: skip
        """A convolution or dense layer; `weights` as TFLite has them."""
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        bias = np.zeros(shape[-1], np.int32) if bias is None else bias
        scaled = [self.scale_of(source) * one for one in scales]
        inputs = [source, self.constant(weights, scales, axis), self.constant(bias, scaled)]
        base = WINDOW if kind != "FULLY_CONNECTED" else {}
        return self.add(kind, inputs, shape, scale=scale, zero_point=zero_point, options=base | options)

    def bytes(self) -> bytes:
        """The file; its output is what was added last."""
        self.graph.outputs = [self.last]
        return packed(self.model)

    def _tensor(
        self, name: str, kind: str, shape: Sequence[int], scales: Sequence[float], zeros: Sequence[int], axis: int = 0
    ) -> int:
        made = schema.TensorT()
        made.name, made.type, made.shape, made.buffer = name, getattr(schema.TensorType, kind), list(shape), 0
        made.quantization = schema.QuantizationParametersT()
        if len(scales):
            made.quantization.scale = np.asarray(scales, np.float32)
            made.quantization.zeroPoint = np.asarray(zeros, np.int64)
            made.quantization.quantizedDimension = axis
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def _code(self, kind: str) -> int:
        made = schema.OperatorCodeT()
        made.builtinCode = getattr(schema.BuiltinOperator, kind)
        made.deprecatedBuiltinCode, made.version = min(made.builtinCode, 127), 1
        self.model.operatorCodes.append(made)
        return len(self.model.operatorCodes) - 1


OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "PAD": "PadOptions",
    "RESHAPE": "ReshapeOptions",
    "SOFTMAX": "SoftmaxOptions",
}


def random_network(seed: int) -> Network:
    """A network of two to eight layers: random operators, shapes, strides, scales and zero points, and a dense end."""
    random = np.random.default_rng(seed)
    network = Network((int(random.integers(1, 11)), int(random.integers(1, 11)), int(random.choice([1, 3]))), random)
    kinds = [_convolution, _convolution, _depthwise, _pooling, _pooling, _addition, _padding, _rescaling, _branch]
    kinds += [_residual, _residual]
    for _ in range(int(random.integers(1, 6))):
        kinds[int(random.integers(len(kinds)))](network)
    if random.random() < 0.3:
        axes = network.constant(np.array([1, 2], np.int32))
        channels = network.shape_of(network.last)[2]
        network.add("MEAN", [network.last, axes], (1, 1, channels), **_scale(network), options={"keepDims": True})
    _dense(network)
    if random.random() < 0.3 and network.scale_of(network.last) < 8:
        shape = network.shape_of(network.last)
        network.add("SOFTMAX", [network.last], shape, scale=1 / 256, zero_point=-128, options={"beta": 1.0})
    return network


def _scale(network: Network) -> dict[str, Any]:
    return {"scale": float(network.random.uniform(0.002, 0.2)), "zero_point": int(network.random.integers(-128, 128))}


def _sum_scale(network: Network, depth: int, scales: Sequence[float]) -> dict[str, Any]:
    """Of a sum of so many products, so that most outputs lie inside the range."""
    spread = network.scale_of(network.last) * float(np.mean(scales)) * 70 * 70 * depth**0.5
    return _scale(network) | {"scale": spread / 60 * float(network.random.uniform(0.3, 3))}


def _weights(network: Network, shape: Sequence[int], out: int) -> tuple[np.ndarray, np.ndarray, list[float]]:
    random = network.random
    worst = random.random() < 0.3
    weights = random.choice([-127, 127], shape) if worst else random.integers(-127, 128, shape)
    scales = random.uniform(0.0005, 0.02, out if random.random() < 0.7 else 1)
    bias = random.integers(-2_000, 2_000, out)
    return weights.astype(np.int8), bias.astype(np.int32), [float(scale) for scale in scales]


def _window(network: Network, largest: int) -> tuple[int, int, dict[str, Any], tuple[int, int]]:
    """A window's height and width, its options, and the output's height and width."""
    random = network.random
    shape = network.shape_of(network.last)
    same = bool(random.random() < 0.5)
    sides, strides, made = [], [], []
    for seen in shape[:2]:
        size, stride = int(random.integers(1, largest + 1)), int(random.integers(1, 4))
        size = size if same else min(size, seen)
        sides.append(size)
        strides.append(stride)
        made.append(-(-seen // stride) if same else (seen - size) // stride + 1)
    options = {"padding": SAME if same else VALID, "strideH": strides[0], "strideW": strides[1]}
    options["fusedActivationFunction"] = int(random.choice([NONE, RELU, RELU6]))
    return sides[0], sides[1], options, (made[0], made[1])


def _convolution(network: Network) -> None:
    height, width, options, made = _window(network, 7)
    channels, out = network.shape_of(network.last)[2], int(network.random.integers(1, 10))
    weights, bias, scales = _weights(network, (out, height, width, channels), out)
    network.weighted(
        "CONV_2D", network.last, weights, (*made, out), bias, scales=scales,
        **_sum_scale(network, height * width * channels, scales),
        dilationHFactor=1, dilationWFactor=1, **options,
    )  # fmt: skip


def _depthwise(network: Network) -> None:
    height, width, options, made = _window(network, 5)
    channels = network.shape_of(network.last)[2]
    multiple = int(network.random.integers(1, 3))
    out = channels * multiple
    weights, bias, scales = _weights(network, (1, height, width, out), out)
    network.weighted(
        "DEPTHWISE_CONV_2D", network.last, weights, (*made, out), bias, scales=scales,
        **_sum_scale(network, height * width, scales),
        depthMultiplier=multiple, dilationHFactor=1, dilationWFactor=1, **options,
    )  # fmt: skip


def _pooling(network: Network) -> None:
    height, width, options, made = _window(network, 3)
    channels = network.shape_of(network.last)[2]
    kind = str(network.random.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    options |= {"filterHeight": height, "filterWidth": width}
    network.add(kind, [network.last], (*made, channels), options=options)


def _addition(network: Network) -> None:
    """Of a tensor and a convolution of it."""
    first = network.last
    shape = network.shape_of(first)
    weights, bias, scales = _weights(network, (shape[2], 3, 3, shape[2]), shape[2])
    second = network.weighted(
        "CONV_2D", first, weights, shape, bias, scales=scales, **_sum_scale(network, 9 * shape[2], scales),
        padding=SAME, dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip
    options = {"fusedActivationFunction": int(network.random.choice([NONE, RELU]))}
    inputs = [first, second] if network.random.random() < 0.5 else [second, first]
    network.add("ADD", inputs, shape, **_scale(network), options=options)


def _residual(network: Network) -> None:
    """Of two convolutions and of what they begin with, or a convolution of it where that has another shape."""
    first, random = network.last, network.random
    stride, out = int(random.integers(1, 3)), int(random.choice([network.shape_of(network.last)[2], 6]))
    relu = {"fusedActivationFunction": RELU}
    second = _square(network, _square(network, first, 3, stride, out, **relu), 3, 1, out)
    if stride > 1 or out != network.shape_of(first)[2]:
        first = _square(network, first, 1, stride, out)
    inputs = [first, second] if random.random() < 0.5 else [second, first]
    network.add("ADD", inputs, network.shape_of(second), **_scale(network), options=relu)


def _square(network: Network, source: int, size: int, stride: int, out: int, **options: int) -> int:
    """A convolution with a square window and same padding."""
    height, width, channels = network.shape_of(source)
    weights, bias, scales = _weights(network, (out, size, size, channels), out)
    network.last = source
    return network.weighted(
        "CONV_2D", source, weights, (-(-height // stride), -(-width // stride), out), bias, scales=scales,
        **_sum_scale(network, size * size * channels, scales),
        padding=SAME, strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1, **options,
    )  # fmt: skip


def _branch(network: Network) -> None:
    """The sum of a tensor and itself."""
    network.add(
        "ADD", [network.last, network.last], network.shape_of(network.last), **_scale(network),
        options={"fusedActivationFunction": NONE},
    )  # fmt: skip


def _padding(network: Network) -> None:
    height, width, channels = network.shape_of(network.last)
    rows = network.random.integers(0, 3, (2, 2))
    paddings = network.constant(np.array([[0, 0], *rows, [0, 0]], np.int32))
    shape = (height + int(rows[0].sum()), width + int(rows[1].sum()), channels)
    network.add("PAD", [network.last, paddings], shape)


def _rescaling(network: Network) -> None:
    network.add("QUANTIZE", [network.last], network.shape_of(network.last), **_scale(network))


def _dense(network: Network) -> None:
    shape, out = network.shape_of(network.last), int(network.random.integers(2, 7))
    depth = int(np.prod(shape))
    sides = network.constant(np.array([1, depth], np.int32))
    flat = network.add("RESHAPE", [network.last, sides], (depth,), options={"newShape": [1, depth]})
    weights, bias, scales = _weights(network, (out, depth), out)
    output = _sum_scale(network, depth, scales)
    network.weighted("FULLY_CONNECTED", flat, weights, (out,), bias, scales=scales, **output)
