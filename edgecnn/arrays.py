"""The arrays that many modules speak of, each with its dtype, and the limit of an image's sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SIDE = 65_535  # JPEG's own limit; keeps the sums behind the weights far inside 64 bits

Pixels: TypeAlias = "npt.NDArray[np.uint8]"  # images [N, H, W, C], or one [H, W, C]
Floats: TypeAlias = "npt.NDArray[np.float32]"  # of any shape
Logits: TypeAlias = "npt.NDArray[np.float32]"  # [N, classes]: outputs of a model
Labels: TypeAlias = "npt.NDArray[np.int64]"  # [N]: numbers of classes
Indices: TypeAlias = "npt.NDArray[np.int64]"  # [N]: numbers of images or classes
Size: TypeAlias = "tuple[int, int]"  # height, width
