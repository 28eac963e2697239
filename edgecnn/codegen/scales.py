"""Scales as TFLite's integer kernels take them, a multiplier of 31 bits and a shift; and how they round."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[Any]

MAX_LEFT_SHIFT, MAX_RIGHT_SHIFT = 30, 31
INT32_MAX = 2**31 - 1


def quantized_multiplier(real: float) -> tuple[int, int]:
    """A positive number as multiplier * 2**(shift - 31), the multiplier 2**30 to 2**31 - 1; (0, 0) for one too small.

    Raises ValueError for a number that needs a larger shift to the left than an accumulator has room for.
    """
    if not 0 < real < math.inf:
        raise ValueError(f"a factor of {real} between scales")
    significand, shift = math.frexp(real)
    multiplier = math.floor(significand * 2**31 + 0.5)  # half away from zero
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift > MAX_LEFT_SHIFT:
        raise ValueError(f"a factor of {real:g} between scales")
    return (multiplier, shift) if shift >= -MAX_RIGHT_SHIFT else (0, 0)


def round_half_away(number: float) -> int:
    """The nearest whole number, of two the one further from zero."""
    return math.floor(abs(number) + 0.5) * (1 if number >= 0 else -1)


def multiplied(value: Integers | int, multiplier: Integers | int) -> Integers:
    """value * multiplier / 2**31, to the nearest, a tie upwards."""
    import numpy as np

    product: Integers = (np.asarray(value, np.int64) * multiplier + (1 << 30)) >> 31
    return product


def halved(value: Integers, bits: Integers | int) -> Integers:
    """value / 2**bits, to the nearest, a tie away from zero."""
    import numpy as np

    mask = (1 << np.asarray(bits, np.int64)) - 1
    quotient: Integers = (value >> bits) + ((value & mask) > (mask >> 1) + (value < 0))
    return quotient


def halved_up(value: Integers, bits: Integers | int) -> Integers:
    """value / 2**bits, to the nearest, a tie upwards."""
    import numpy as np

    half = (np.int64(1) << np.asarray(bits, np.int64)) >> 1
    quotient: Integers = (value + half) >> bits
    return quotient


def scaled(value: Integers, multiplier: Integers | int, shift: Integers | int) -> Integers:
    """value * multiplier * 2**(shift - 31), rounded twice as TFLite Micro does."""
    import numpy as np

    shifts = np.asarray(shift, np.int64)
    left: Integers = np.maximum(shifts, 0)
    return halved(multiplied(value << left, multiplier), left - shifts)
