"""How runtimes round a scaled sum to a whole number: one .tflite file has other outputs on each of them.

What a runtime computes was read in its sources; tests compare it with the runtime, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.codegen.scales import halved_up, multiplied, scaled
from edgecnn.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.codegen.graph import Multipliers
    from edgecnn.codegen.scales import Integers

    Rule = Callable[[Integers, Multipliers, Integers], Integers]


@dataclass(frozen=True)
class Rounding:
    """A runtime's; its rules map the sums of channels, their multipliers and their shifts to outputs from zero on."""

    name: str
    runtime: str  # as a sentence calls it
    convolution: Rule  # of a mean too
    depthwise: Rule
    dense: Rule
    in_float: bool = False  # a channel's multiplier is float32, and it has no shift
    mean_of_raw: bool = False  # a mean sums without the zero point, whose share is a rounded bias
    adds_once: bool = False  # an addition rounds its sum alone, not its inputs too
    unproven: frozenset[str] = frozenset()  # operators that this runtime computes in another way than C does


def _up(sums: Integers, multipliers: Multipliers, shifts: Integers) -> Integers:
    """Rounded twice, a tie upwards."""
    import numpy as np

    wide = np.asarray(shifts, np.int64)
    left = np.maximum(wide, 0)
    return halved_up(multiplied(sums << left, multipliers), left - wide)


def _once(sums: Integers, multipliers: Multipliers, shifts: Integers) -> Integers:
    """Rounded once, from 64 bits, a tie upwards."""
    import numpy as np

    return halved_up(sums * np.asarray(multipliers, np.int64), 31 - np.asarray(shifts, np.int64))


def _in_float(sums: Integers, multipliers: Multipliers, shifts: Integers) -> Integers:
    """Multiplied in float32, then to the nearest, of two the even one."""
    import numpy as np

    nearest: Integers = np.rint(np.asarray(sums, np.float32) * np.asarray(multipliers, np.float32)).astype(np.int64)
    return nearest


INTEGER_ONLY = frozenset({"QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "SOFTMAX"})
ROUNDINGS = {
    rounding.name: rounding
    for rounding in (
        Rounding("tflite-micro", "TFLite Micro and CMSIS-NN", scaled, scaled, scaled),
        Rounding("litert-reference", "LiteRT's reference kernels", scaled, scaled, _once, unproven=INTEGER_ONLY),
        Rounding(
            "litert-builtin", "LiteRT without a delegate", _up, scaled, _up, mean_of_raw=True, unproven=INTEGER_ONLY
        ),
        Rounding(
            "xnnpack",
            "LiteRT with XNNPACK",
            _in_float,
            _in_float,
            _in_float,
            in_float=True,
            adds_once=True,
            unproven=INTEGER_ONLY,
        ),
    )
}
DEFAULT_ROUNDING = "tflite-micro"


def pick_rounding(name: str) -> Rounding:
    """The rounding of that name; raises UsageError with the nearest names."""
    if name not in ROUNDINGS:
        raise unknown_name("rounding", name, ROUNDINGS)
    return ROUNDINGS[name]
