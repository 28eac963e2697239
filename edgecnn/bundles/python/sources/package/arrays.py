"""Names of arrays, and the limits of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SIDE = 65_535
MAX_PIXELS = 100_000_000

Pixels: TypeAlias = "npt.NDArray[np.uint8]"  # images [N, H, W, C], or one [H, W, C]
Floats: TypeAlias = "npt.NDArray[np.float32]"


def fits(height: int, width: int) -> bool:
    """Whether an image of that size is small enough to be decoded."""
    return height * width <= MAX_PIXELS and max(height, width) <= MAX_SIDE
