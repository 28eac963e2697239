"""The call of each step's kernel, with literal sizes, and the constants it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecnn.codegen.graph import (
    Add,
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    MaxPooling,
    Mean,
    Pad,
    Rescale,
    Softmax,
    Weighted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.graph import Step, Tensor

KERNELS: dict[type[Step], str] = {
    Add: "add",
    AveragePooling: "average_pooling",
    Convolution: "convolution",
    DepthwiseConvolution: "depthwise_convolution",
    MaxPooling: "max_pooling",
    Mean: "mean",
    Pad: "pad",
    Rescale: "rescale",
    Softmax: "softmax",
}


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel's name, its arguments in lines, and the arrays that it reads: C type, name, values."""

    kernel: str
    arguments: tuple[str, ...]
    constants: tuple[tuple[str, str, npt.NDArray[np.int32]], ...] = field(default=())


def call_of(step: Step, tensors: Sequence[Tensor], pointers: Sequence[str], name: str) -> Call:
    """The call of a step; `pointers` are C expressions of its inputs and its output, `name` begins its arrays'."""
    sources, output = [tensors[number] for number in step.inputs], tensors[step.output]
    return Call(KERNELS[type(step)], *_WRITERS[type(step)](step, sources, output, pointers, name))


def folded_bias(step: Weighted, zero_point: int) -> npt.NDArray[np.int32]:
    """The bias less the zero point of the input times the weights, int32 [out]: what an accumulator begins with."""
    import numpy as np

    depthwise = isinstance(step, DepthwiseConvolution)
    sums = step.weights.astype(np.int64).sum(axis=(0, 1) if depthwise else (1, 2, 3))
    return np.asarray(step.bias - zero_point * sums, np.int32)


Written = tuple[tuple[str, ...], tuple[tuple[str, str, "npt.NDArray[np.int32]"], ...]]


def _line(*values: object) -> str:
    return ", ".join(str(value) for value in values)


def _weighted(step: Weighted, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    import numpy as np

    source = sources[0]
    # A dense layer is a convolution of one pixel, whatever shape its input has.
    dense = step.operators[0] == "FULLY_CONNECTED"
    shape = (1, 1, source.size_bytes) if dense else source.shape
    lines = [
        _line(pointers[0], *shape, source.zero_point),
        _line(pointers[1], *output.shape, output.zero_point, step.low, step.high),
        _line(*(f"{name}_{part}" for part in ("weights", "bias", "multipliers", "shifts"))),
        _line(*step.size, *step.stride, *step.padding),
    ]
    if isinstance(step, Convolution):
        lines[-1] = _line(lines[-1], *step.pool[0], *step.pool[1])
    arrays = (
        ("int8_t", f"{name}_weights", step.weights),
        ("int32_t", f"{name}_bias", folded_bias(step, source.zero_point)),
        ("int32_t", f"{name}_multipliers", step.multipliers),
        ("int8_t", f"{name}_shifts", step.shifts),
    )
    return tuple(lines), tuple((kind, array, values.ravel().astype(np.int32)) for kind, array, values in arrays)


def _pooling(
    step: MaxPooling | AveragePooling, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str
) -> Written:
    return (
        _line(pointers[0], *sources[0].shape),
        _line(pointers[1], *output.shape[:2], step.low, step.high),
        _line(*step.size, *step.stride, *step.padding),
    ), ()


def _mean(step: Mean, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    height, width, channels = sources[0].shape
    return (
        _line(pointers[0], height * width, channels, sources[0].zero_point),
        _line(pointers[1], output.zero_point, step.low, step.high, step.multiplier, step.shift),
    ), ()


def _add(step: Add, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    inputs = zip(pointers, sources, step.multipliers, step.shifts, strict=False)
    lines = [_line(pointer, source.zero_point, factor, shift) for pointer, source, factor, shift in inputs]
    total = step.multipliers[2], step.shifts[2], step.low, step.high
    return (*lines, _line(pointers[2], output.size_bytes, output.zero_point, *total)), ()


def _pad(step: Pad, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    first = _line(pointers[0], *sources[0].shape, sources[0].zero_point)
    return (first, _line(pointers[1], *output.shape[:2], *step.padding)), ()


def _rescale(step: Rescale, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    line = _line(pointers[1], output.size_bytes, output.zero_point, step.multiplier, step.shift, step.low, step.high)
    return (_line(pointers[0], sources[0].zero_point), line), ()


def _softmax(step: Softmax, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    height, width, channels = sources[0].shape
    parameters = step.multiplier, step.shift, step.least_difference
    return (_line(pointers[0], height * width, channels), _line(pointers[1], *parameters)), ()


_WRITERS: dict[type[Step], Callable[..., Written]] = {
    Add: _add,
    AveragePooling: _pooling,
    Convolution: _weighted,
    DepthwiseConvolution: _weighted,
    MaxPooling: _pooling,
    Mean: _mean,
    Pad: _pad,
    Rescale: _rescale,
    Softmax: _softmax,
}
