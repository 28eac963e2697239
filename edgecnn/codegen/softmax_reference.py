"""The integer softmax of TFLite's reference kernels, by numpy; see kernels/softmax.c for its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.scales import halved, multiplied

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.int64]

ONE = 2**31 - 1  # in Q0
FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-1/4), exp(-1/2), ... exp(-16)


def probabilities(value: Values, multiplier: int, shift: int, least_difference: int) -> Values:
    """Over the last axis, in steps of 1/256 from -128 on."""
    import numpy as np

    difference = value - value.max(axis=-1, keepdims=True)
    counts = difference >= least_difference
    powers = np.where(
        counts, _exponential(multiplied(np.maximum(difference, least_difference) << shift, multiplier)), 0
    )
    total = halved(powers, 12).sum(axis=-1, keepdims=True)
    over = 31 - np.floor(np.log2(total)).astype(np.int64)
    factor = _reciprocal((total << over) - 2**31)
    made: Values = np.where(counts, halved(multiplied(factor, powers), 35 - over), 0) - 128
    return made


def _exponential(value: Values) -> Values:
    import numpy as np

    quarter, eighth, third = 1 << 24, 1895147668, 715827883
    rest = (value & (quarter - 1)) - quarter
    whole, x = rest - value, (rest << 5) + (1 << 28)
    square = multiplied(x, x)
    cube, fourth = multiplied(square, x), multiplied(square, square)
    series = halved(multiplied(halved(fourth, 2) + cube, third) + square, 1)
    result: Values = eighth + multiplied(eighth, x + series)
    for bit, factor in enumerate(FACTORS, 24):
        result = np.where(whole & (1 << bit), multiplied(result, factor), result)
    powers: Values = np.where(value == 0, ONE, result)
    return powers


def _reciprocal(value: Values) -> Values:
    import numpy as np

    half = (value + ONE + 1) // 2
    x = 1515870810 + multiplied(half, -1010580540)
    for _ in range(3):
        x = x + np.clip(multiplied(x, (1 << 29) - multiplied(half, x)) << 2, -(2**31), ONE)
    twice: Values = np.clip(x << 1, -(2**31), ONE)
    return twice
