"""Names of arrays, and the limit of an image's sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SIDE = 65_535

Pixels: TypeAlias = "npt.NDArray[np.uint8]"  # images [N, H, W, C], or one [H, W, C]
Floats: TypeAlias = "npt.NDArray[np.float32]"
