"""How far the output of a step may lie over its own input: in place, as rows of the input are read for the last time.

Kernels make their outputs pixel by pixel in rows, upwards in memory. What a pixel reads may be read until the pixel is
written as a whole, but nothing below what it and the later pixels read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.graph import Add, Convolution, Pad, Rescale, Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.graph import Step, Tensor

    Offsets = npt.NDArray[np.int64]


def least_distance(step: Step, source: Tensor, output: Tensor) -> int:
    """Bytes by which the input has to lie above the output at least where they share memory; the output's size where
    they cannot."""
    if isinstance(step, Add | Rescale):
        return 0  # each value is read before it is written
    if not isinstance(step, Window | Pad):
        return output.size_bytes
    written, unread = _traces(step, source, output)
    return max(0, int((written - unread).max()))


def _traces(step: Window | Pad, source: Tensor, output: Tensor) -> tuple[Offsets, Offsets]:
    """For each pixel of the output: where it ends, and the first byte of the input that it or a later one reads."""
    import numpy as np

    (height, width, channels), (_, seen_width, seen_channels) = output.shape, source.shape
    rows = _first_read(step, 0, height)[:, None]
    columns = _first_read(step, 1, width)[None, :]
    first = ((np.maximum(rows, 0) * seen_width + np.maximum(columns, 0)) * seen_channels).ravel()
    written = np.arange(1, height * width + 1, dtype=np.int64) * channels
    return written, np.minimum.accumulate(first[::-1])[::-1]


def _first_read(step: Window | Pad, side: int, count: int) -> Offsets:
    """The first row, or column, of the input that each row of the output reads; it may lie in the padding."""
    import numpy as np

    stride = 1
    if isinstance(step, Window):
        stride = step.stride[side] * (step.pool[1][side] if isinstance(step, Convolution) else 1)
    return np.arange(count, dtype=np.int64) * stride - step.padding[side]
