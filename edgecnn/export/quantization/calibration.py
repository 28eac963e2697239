"""The images that quantizers measure ranges on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.export.format import ExportSource


def representatives(source: ExportSource, white: float = 1.0) -> Iterator[dict[str, Any]]:
    """A black and a white image, so that the input's range is exactly [0, white], then the calibration images.

    Each {input name: float32 [1, H, W, C] in [0, white]}, as quantizers want them.
    """
    import numpy as np

    name = source.contract.input.name
    images = source.calibration_images
    ends = [np.zeros_like(images[0]), np.full_like(images[0], 255)]
    for image in [*ends, *images]:
        yield {name: image[np.newaxis].astype(np.float32) / np.float32(255 / white)}
