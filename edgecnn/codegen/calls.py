"""The call of each step's kernel, with literal sizes, and the constants it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.graph import (
    Add,
    AddOnce,
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
    from edgecnn.codegen.target import Target

PARTS = ("weights", "bias", "multipliers", "shifts")  # the arrays of a layer
C_TYPES = {"int8": "int8_t", "int32": "int32_t", "float32": "float"}


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel's name, its arguments in lines, and the arrays that it reads: C type, name, values."""

    kernel: str
    arguments: tuple[str, ...]
    constants: tuple[tuple[str, str, npt.NDArray[Any]], ...] = field(default=())


def literal(number: int | float) -> str:
    """A number as C writes it; a float32 gets back to the same."""
    return str(number) if isinstance(number, int) else f"{number:.8e}f"


def call_of(step: Step, tensors: Sequence[Tensor], pointers: Sequence[str], name: str, target: Target) -> Call:
    """The call of a step; `pointers` are C expressions of its inputs and its output, `name` begins its arrays'."""
    sources, output = [tensors[number] for number in step.inputs], tensors[step.output]
    kernel, write = _WRITERS[type(step)]
    if isinstance(step, Convolution) and step.is_dense:
        kernel, write = "dense", _dense
    call = Call(kernel, *write(step, sources, output, pointers, name))
    return _blocked(call, step, target) if isinstance(step, Convolution) else call


def _blocked(call: Call, step: Convolution, target: Target) -> Call:
    """The call that computes several pixels and channels at a time; the weights lie as it reads them."""
    import numpy as np

    block = target.block(len(step.bias))
    at_once = (block,) if step.is_dense else (target.pixels(len(step.bias)), block)
    weights, bias, *others = call.constants
    out = -(-len(step.bias) // block) * block
    matrix = step.weights.reshape(len(step.bias), -1)
    group = len(target.group)
    groups = -(-matrix.shape[1] // group)
    whole = np.zeros((out, groups * group), np.int8)
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    blocks = whole.reshape(-1, 1 if target.rows else block, groups, group)[..., list(target.group)].swapaxes(1, 2)
    offset = (bias[2] - target.input_offset * matrix.astype(np.int64).sum(axis=1)).astype(np.int32)
    constants = ((*weights[:2], blocks.ravel()), (*bias[:2], offset), *others)
    return Call(call.kernel, (*call.arguments, _line("windows", "sums", *at_once)), constants)


def folded_bias(step: Weighted, zero_point: int) -> npt.NDArray[np.int32]:
    """The bias less the zero point of the input times the weights, int32 [out]: what an accumulator begins with."""
    import numpy as np

    depthwise = isinstance(step, DepthwiseConvolution)
    sums = step.weights.astype(np.int64).sum(axis=(0, 1) if depthwise else (1, 2, 3))
    return np.asarray(step.bias - zero_point * sums, np.int32)


Written = tuple[tuple[str, ...], tuple[tuple[str, str, "npt.NDArray[Any]"], ...]]


def _line(*values: object) -> str:
    return ", ".join(str(value) for value in values)


def _weighted(step: Weighted, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    source = sources[0]
    lines = [
        _line(pointers[0], *source.shape, source.zero_point),
        _line(pointers[1], *output.shape, output.zero_point, step.low, step.high),
        _line(*(f"{name}_{part}" for part in PARTS)),
        _line(*step.size, *step.stride, *step.padding),
    ]
    if isinstance(step, Convolution):
        lines[-1] = _line(lines[-1], *step.pool[0], *step.pool[1])
    return tuple(lines), _arrays(step, source, name)


def _dense(step: Convolution, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    return (
        _line(pointers[0], sources[0].size_bytes),
        _line(pointers[1], output.size_bytes, output.zero_point, step.low, step.high),
        _line(*(f"{name}_{part}" for part in PARTS)),
    ), _arrays(step, sources[0], name)


def _arrays(step: Weighted, source: Tensor, name: str) -> tuple[tuple[str, str, npt.NDArray[Any]], ...]:
    found = step.weights, folded_bias(step, source.zero_point), step.multipliers, step.shifts
    return tuple(
        (C_TYPES[values.dtype.name], f"{name}_{part}", values.ravel())
        for part, values in zip(PARTS, found, strict=True)
    )


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
        _line(pointers[0], height * width, channels, step.zero),
        _line(pointers[1], step.offset, step.low, step.high, literal(step.multiplier), step.shift),
    ), ()


def _add(step: Add, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    inputs = zip(pointers, sources, step.multipliers, step.shifts, strict=False)
    lines = [_line(pointer, source.zero_point, factor, shift) for pointer, source, factor, shift in inputs]
    total = step.multipliers[2], step.shifts[2], step.low, step.high
    return (*lines, _line(pointers[2], output.size_bytes, output.zero_point, *total)), ()


def _add_once(step: AddOnce, sources: Sequence[Tensor], output: Tensor, pointers: Sequence[str], name: str) -> Written:
    inputs = zip(pointers, sources, step.multipliers, strict=False)
    lines = [_line(pointer, source.zero_point, factor) for pointer, source, factor in inputs]
    return (*lines, _line(pointers[2], output.size_bytes, output.zero_point, step.shift, step.low, step.high)), ()


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


_WRITERS: dict[type[Step], tuple[str, Callable[..., Written]]] = {
    Add: ("add", _add),
    AddOnce: ("add_once", _add_once),
    AveragePooling: ("average_pooling", _pooling),
    Convolution: ("convolution", _weighted),
    DepthwiseConvolution: ("depthwise_convolution", _weighted),
    MaxPooling: ("max_pooling", _pooling),
    Mean: ("mean", _mean),
    Pad: ("pad", _pad),
    Rescale: ("rescale", _rescale),
    Softmax: ("softmax", _softmax),
}
