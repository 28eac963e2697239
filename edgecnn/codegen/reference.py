"""The graph computed by numpy in whole numbers: what the self-test of the C files expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from edgecnn.codegen.operators import ADD_BITS
from edgecnn.codegen.scales import scaled
from edgecnn.codegen.softmax_reference import probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.codegen.graph import Graph, Pair, Step, Tensor
    from edgecnn.codegen.rounding import Rounding

    Values = npt.NDArray[np.int64]  # [N, H, W, C]


def outputs_of(graph: Graph, images: Pixels) -> npt.NDArray[np.int8]:
    """int8 [N, classes] for uint8 images [N, H, W, C]."""
    import numpy as np

    values = {graph.storage[graph.image]: images.astype(np.int64) - 128}
    for step in graph.steps:
        sources = [graph.tensors[number] for number in step.inputs]
        given = [
            values[graph.storage[number]].reshape(len(images), *source.shape)
            for number, source in zip(step.inputs, sources, strict=True)
        ]
        output = graph.tensors[step.output]
        if isinstance(step, Weighted | Mean):
            made = _SUMS[type(step)](step, given, sources, output, graph.rounding)
        else:
            made = _RULES[type(step)](step, given, sources, output)
        values[graph.storage[step.output]] = np.clip(made, step.low, step.high)
    return values[graph.storage[graph.output]].reshape(len(images), -1).astype(np.int8)


def _convolution(
    step: Convolution, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor, rounding: Rounding
) -> Values:
    import numpy as np

    size, stride = step.pool
    height, width, channels = output.shape
    made = ((height - 1) * stride[0] + size[0], (width - 1) * stride[1] + size[1], channels)
    value = given[0].reshape(len(given[0]), 1, 1, -1) if step.is_dense else given[0]
    windows = _windows(value - sources[0].zero_point, 0, step.size, step.stride, step.padding, made)
    sums = np.einsum("nyxijc,oijc->nyxo", windows.astype(np.float64), step.weights.astype(np.float64), optimize=True)
    sums = _windows(np.rint(sums).astype(np.int64) + step.bias, 0, size, stride, (0, 0), output.shape).max(axis=(3, 4))
    rule = rounding.dense if step.is_dense else rounding.convolution
    return rule(sums, step.multipliers, step.shifts) + output.zero_point


def _depthwise_convolution(
    step: DepthwiseConvolution, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor, rounding: Rounding
) -> Values:
    import numpy as np

    value = np.repeat(given[0] - sources[0].zero_point, output.shape[2] // sources[0].shape[2], axis=3)
    windows = _windows(value, 0, step.size, step.stride, step.padding, output.shape)
    sums = (windows * step.weights.astype(np.int64)).sum(axis=(3, 4)) + step.bias
    return rounding.depthwise(sums, step.multipliers, step.shifts) + output.zero_point


def _max_pooling(step: MaxPooling, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor) -> Values:
    import numpy as np

    windows = _windows(given[0], -128, step.size, step.stride, step.padding, output.shape)
    return np.asarray(windows.max(axis=(3, 4)), np.int64)


def _average_pooling(
    step: AveragePooling, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor
) -> Values:
    import numpy as np

    window = step.size, step.stride, step.padding, output.shape
    sums = _windows(given[0], 0, *window).sum(axis=(3, 4))
    counts = _windows(np.ones_like(given[0]), 0, *window).sum(axis=(3, 4))
    return np.asarray(np.sign(sums) * ((np.abs(sums) + counts // 2) // counts), np.int64)


def _mean(step: Mean, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor, rounding: Rounding) -> Values:
    import numpy as np

    sums = (given[0] - step.zero).sum(axis=(1, 2), keepdims=True)
    return rounding.convolution(sums, np.asarray(step.multiplier), np.asarray(step.shift)) + step.offset


def _add(step: Add, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor) -> Values:
    import numpy as np

    total = sum(
        scaled((value - source.zero_point) << ADD_BITS, factor, shift)
        for value, source, factor, shift in zip(given, sources, step.multipliers, step.shifts, strict=False)
    )
    return scaled(np.asarray(total), step.multipliers[2], step.shifts[2]) + output.zero_point


def _add_once(step: AddOnce, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor) -> Values:
    first, second = (
        (value - source.zero_point) * factor
        for value, source, factor in zip(given, sources, step.multipliers, strict=True)
    )
    total = first + second
    return ((total + (1 << (step.shift - 1))) >> step.shift) + output.zero_point


def _pad(step: Pad, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor) -> Values:
    import numpy as np

    filled = np.full((len(given[0]), *output.shape), sources[0].zero_point, np.int64)
    (top, left), (height, width, _) = step.padding, sources[0].shape
    filled[:, top : top + height, left : left + width] = given[0]
    return filled


def _rescale(step: Rescale, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor) -> Values:
    return scaled(given[0] - sources[0].zero_point, step.multiplier, step.shift) + output.zero_point


def _softmax(step: Softmax, given: Sequence[Values], sources: Sequence[Tensor], output: Tensor) -> Values:
    return probabilities(given[0], step.multiplier, step.shift, step.least_difference)


def _windows(
    value: Values, outside: int, size: Pair, stride: Pair, padding: Pair, made: tuple[int, int, int]
) -> Values:
    """Windows [N, H, W, height, width, C] of a value [N, ...], which is `outside` beyond its sides."""
    import numpy as np

    below = [
        max(0, (made[side] - 1) * stride[side] + size[side] - padding[side] - value.shape[1 + side]) for side in (0, 1)
    ]
    wide = np.pad(value, [(0, 0), (padding[0], below[0]), (padding[1], below[1]), (0, 0)], constant_values=outside)
    every = np.lib.stride_tricks.sliding_window_view(wide, size, axis=(1, 2))
    chosen = every[:, :: stride[0], :: stride[1]][:, : made[0], : made[1]]
    return np.moveaxis(chosen, 3, 5)


_SUMS: dict[type[Step], Callable[..., Values]] = {
    Convolution: _convolution,
    DepthwiseConvolution: _depthwise_convolution,
    Mean: _mean,
}
_RULES: dict[type[Step], Callable[..., Values]] = {
    Add: _add,
    AddOnce: _add_once,
    AveragePooling: _average_pooling,
    MaxPooling: _max_pooling,
    Pad: _pad,
    Rescale: _rescale,
    Softmax: _softmax,
}
