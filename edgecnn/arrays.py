"""The arrays that many modules speak of, each with its dtype, the limits of an image's size, and the SQNR."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEAST_ENERGY = 1e-30  # of a signal: so that the ratio of one that is zero throughout is a number
MAX_SIDE = 65_535  # JPEG's own limit; keeps the sums behind the weights far inside 64 bits
MAX_PIXELS = 100_000_000  # of an image

Pixels: TypeAlias = "npt.NDArray[np.uint8]"  # images [N, H, W, C], or one [H, W, C]
Floats: TypeAlias = "npt.NDArray[np.float32]"  # of any shape
Logits: TypeAlias = "npt.NDArray[np.float32]"  # [N, classes]: outputs of a model
Labels: TypeAlias = "npt.NDArray[np.int64]"  # [N]: numbers of classes
Indices: TypeAlias = "npt.NDArray[np.int64]"  # [N]: numbers of images or classes
Size: TypeAlias = "tuple[int, int]"  # height, width


def fits(height: int, width: int) -> bool:
    """Whether an image of that size, a file's or a model's, is within the limits."""
    return 0 < min(height, width) <= max(height, width) <= MAX_SIDE and height * width <= MAX_PIXELS


def energy_of(values: npt.NDArray[np.floating[Any]]) -> float:
    """The sum of squares, added up in float64."""
    import numpy as np

    return float(np.square(values, dtype=np.float64).sum())


def sqnr_db(signal: float, noise: float) -> float | None:
    """The signal-to-quantization-noise ratio in dB: of a reference's energy to that of the difference from it.

    None where there is no difference, or where it is not finite.
    """
    return 10 * math.log10(max(signal, LEAST_ENERGY) / noise) if noise and math.isfinite(noise) else None
