"""Axes: where a value lies, and where the ticks are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TICKS = 7


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis from `low` to `high`."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, as a share of the axis."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def log_axis(values: Iterable[float], room: float = 1.25) -> Axis:
    """An axis for positive values; its ends are 1, 2 or 5 times a power of ten, at least a factor `room` away."""
    found = [*values]
    least, most = min(found) / room, max(found) * room
    powers = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 2)
    steps = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    low = max(step for step in steps if step <= least)
    high = min(step for step in steps if step >= most)
    inside = [step for step in steps if low <= step <= high]
    if len(inside) > MAX_TICKS:
        inside = [step for step in inside if math.log10(step).is_integer()]
    return Axis(low, high, tuple(inside), log=True)


def linear_axis(values: Iterable[float], most: int = MAX_TICKS) -> Axis:
    """An axis for any values; its ends and ticks are multiples of 1, 2 or 5 times a power of ten."""
    found = [*values]
    low, high = min(found), max(found)
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(s * power for s in (1, 2, 5, 10, 20) if math.ceil(high / (s * power)) - low // (s * power) < most)
    first, last = math.floor(low / step), math.ceil(high / step)
    last += first == last
    ticks = tuple(round(number * step, 12) for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)
