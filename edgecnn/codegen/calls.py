"""The call of each step's kernel, with literal sizes, and the constants it reads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from edgecnn.codegen.reach import ELEMENTWISE, reach_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.graph import Step, Tensor, Window
    from edgecnn.codegen.target import Target

PARTS = ("weights", "bias", "multipliers", "shifts")  # the arrays of a layer
C_TYPES = {"int8": "int8_t", "int32": "int32_t", "float32": "float"}


@dataclass(frozen=True, eq=False)
class Call:
    """A kernel's name, its arguments in lines, and the arrays that it reads: C type, name, values."""

    kernel: str
    arguments: tuple[str, ...]
    constants: tuple[tuple[str, str, npt.NDArray[Any]], ...] = field(default=())


@dataclass(frozen=True)
class Site:
    """Where a step is called: C expressions of its inputs and its output, and what the names of its arrays begin with;
    `row` is an expression of the one row of the output that is computed, "" for all of them."""

    pointers: tuple[str, ...]
    name: str
    row: str = ""

    def padding(self, step: Window | Pad) -> str:
        """Rows above and columns to the left of the input; above a row's windows there are less, from its own on."""
        reach = reach_of(step, 0)
        above = f"{step.padding[0]} - {self.row} * {reach.stride}" if self.row and reach else step.padding[0]
        return _line(above, step.padding[1])


def literal(number: int | float) -> str:
    """A number as C writes it; a float32 gets back to the same."""
    return str(number) if isinstance(number, int) else f"{number:.8e}f"


def call_of(step: Step, tensors: Sequence[Tensor], site: Site, target: Target) -> Call:
    """The call of a step."""
    sources, output = [tensors[number] for number in step.inputs], tensors[step.output]
    if site.row:
        moved = (isinstance(step, ELEMENTWISE),) * len(sources) + (True,)
        pairs = zip(site.pointers, moved, [*sources, output], strict=True)
        pointers = tuple(_at_row(pointer, tensor, site.row) if move else pointer for pointer, move, tensor in pairs)
        site, output = replace(site, pointers=pointers), replace(output, shape=(1, *output.shape[1:]))
    kernel, write = _WRITERS[type(step)]
    if isinstance(step, Convolution) and step.is_dense:
        kernel, write = "dense", _dense
    call = Call(kernel, *write(step, sources, output, site))
    return _blocked(call, step, target) if isinstance(step, Convolution) else call


def _at_row(pointer: str, tensor: Tensor, row: str) -> str:
    return f"{pointer} + {row} * {tensor.size_bytes // tensor.shape[0]}"


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


def _weighted(step: Weighted, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    source = sources[0]
    lines = [
        _line(site.pointers[0], *source.shape, source.zero_point),
        _line(site.pointers[1], *output.shape, output.zero_point, step.low, step.high),
        _line(*(f"{site.name}_{part}" for part in PARTS)),
        _line(*step.size, *step.stride, site.padding(step)),
    ]
    if isinstance(step, Convolution):
        lines[-1] = _line(lines[-1], *step.pool[0], *step.pool[1])
    return tuple(lines), _arrays(step, source, site.name)


def _dense(step: Convolution, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    return (
        _line(site.pointers[0], sources[0].size_bytes),
        _line(site.pointers[1], output.size_bytes, output.zero_point, step.low, step.high),
        _line(*(f"{site.name}_{part}" for part in PARTS)),
    ), _arrays(step, sources[0], site.name)


def _arrays(step: Weighted, source: Tensor, name: str) -> tuple[tuple[str, str, npt.NDArray[Any]], ...]:
    found = step.weights, folded_bias(step, source.zero_point), step.multipliers, step.shifts
    return tuple(
        (C_TYPES[values.dtype.name], f"{name}_{part}", values.ravel())
        for part, values in zip(PARTS, found, strict=True)
    )


def _pooling(step: MaxPooling | AveragePooling, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    return (
        _line(site.pointers[0], *sources[0].shape),
        _line(site.pointers[1], *output.shape[:2], step.low, step.high),
        _line(*step.size, *step.stride, site.padding(step)),
    ), ()


def _mean(step: Mean, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    height, width, channels = sources[0].shape
    return (
        _line(site.pointers[0], height * width, channels, step.zero),
        _line(site.pointers[1], step.offset, step.low, step.high, literal(step.multiplier), step.shift),
    ), ()


def _add(step: Add, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    inputs = zip(site.pointers, sources, step.multipliers, step.shifts, strict=False)
    lines = [_line(pointer, source.zero_point, factor, shift) for pointer, source, factor, shift in inputs]
    total = step.multipliers[2], step.shifts[2], step.low, step.high
    return (*lines, _line(site.pointers[2], output.size_bytes, output.zero_point, *total)), ()


def _add_once(step: AddOnce, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    inputs = zip(site.pointers, sources, step.multipliers, strict=False)
    lines = [_line(pointer, source.zero_point, factor) for pointer, source, factor in inputs]
    return (*lines, _line(site.pointers[2], output.size_bytes, output.zero_point, step.shift, step.low, step.high)), ()


def _pad(step: Pad, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    first = _line(site.pointers[0], *sources[0].shape, sources[0].zero_point)
    return (first, _line(site.pointers[1], *output.shape[:2], site.padding(step))), ()


def _rescale(step: Rescale, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    factors = step.multiplier, step.shift, step.low, step.high
    line = _line(site.pointers[1], output.size_bytes, output.zero_point, *factors)
    return (_line(site.pointers[0], sources[0].zero_point), line), ()


def _softmax(step: Softmax, sources: Sequence[Tensor], output: Tensor, site: Site) -> Written:
    height, width, channels = sources[0].shape
    parameters = step.multiplier, step.shift, step.least_difference
    return (_line(site.pointers[0], height * width, channels), _line(site.pointers[1], *parameters)), ()


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
