"""Frames of a camera: their colors, and random ones as Android lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgecnn.arrays import Pixels


def rgb_of_yuv(y: Pixels, u: Pixels, v: Pixels) -> Pixels:
    """uint8 [height, width, 3] by BT.601 of full range, with factors in 16 bits after the point."""
    y, u, v = (values.astype(np.int64) for values in (y, u, v))  # type: ignore[assignment]
    red = y + ((91881 * (v - 128) + 32768) >> 16)
    green = y - ((22554 * (u - 128) + 46802 * (v - 128) + 32768) >> 16)
    blue = y + ((116130 * (u - 128) + 32768) >> 16)
    return np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)


def android_frame(height: int, width: int, pixel_stride: int, gap: int, seed: int) -> tuple[bytes, Pixels]:
    """A file as the test of the Android bundle reads it, and its colors: height, width, and of each plane its bytes and
    the strides of rows and pixels, as 32 bits; then the planes of Y, U and V.

    Rows are `gap` bytes longer than they need to be; planes end with their last pixel, as a camera's do.
    """
    random = np.random.default_rng(seed)
    facts, planes, values = [height, width], [], []
    for h, w, step in ((height, width, 1), *2 * (((height + 1) // 2, (width + 1) // 2, pixel_stride),)):
        stride = w * step + gap
        plane = random.integers(0, 256, (h, stride), np.uint8)
        values.append(plane[:, : w * step : step])
        content = plane.tobytes()[: (h - 1) * stride + (w - 1) * step + 1]
        facts += [len(content), stride, step]
        planes.append(content)
    u, v = (plane.repeat(2, 0).repeat(2, 1)[:height, :width] for plane in values[1:])
    return np.array(facts, ">i4").tobytes() + b"".join(planes), rgb_of_yuv(values[0], u, v)
