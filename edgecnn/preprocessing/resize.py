"""The resize of the contract: antialiased bilinear in integers, fast in numpy and the same to the bit everywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels

    Integers = npt.NDArray[np.int64]
    Weights = npt.NDArray[np.float32]
    Block = tuple[slice, slice, Weights]

_BAND = 1 << 18  # values worked on at a time: as float32 they fit a core's cache, and memory stays bounded
_PRODUCT = 1 << 18  # multiplications of one matrix product: OpenBLAS computes as many on the caller's thread alone


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Antialiased bilinear in 15-bit fixed point: uint8 [H, W, C] to uint8 [height, width, C].

    First every row, then every column. For output pixel i of n_out, made from n_in:

        w_j = max(0, 2 * max(n_in, n_out) - |(2 j + 1) * n_out - (2 i + 1) * n_in|)    a triangle around its centre
        Q_k = (2 * (w_0 + ... + w_k) * 2**15 + W) // (2 * W)                           W the sum of all w_j
        q_j = Q_j - Q_(j-1)                                                            so they sum to 2**15 exactly
        out = (sum of p_j * q_j + 2**14) >> 15                                         0 to 255 again

    It is Pillow's BILINEAR but for roundings: within one level. Both sides may be 1 to `MAX_SIDE`; at the right
    size already, the pixels themselves are returned.
    """
    h, w, channels = pixels.shape
    if (h, w) == (height, width):
        return pixels
    rows = _resize_rows(pixels.reshape(h, w * channels), _blocks(w, width, channels), width * channels)
    columns = _resize_rows(rows.T, _blocks(h, height, 1), height)
    return columns.T.copy().reshape(height, width, channels)


def _resize_rows(rows: Pixels, blocks: tuple[Block, ...], size: int) -> Pixels:
    """One pass over uint8 [R, n_in * C], giving uint8 [R, size].

    The products are float32 matrix products, which are fast, and exact here: every partial sum, in whatever
    order, is an integer of at most 255 * 2**15 + 2**14, and float32 holds all integers below 2**24.
    """
    import numpy as np

    out = np.empty((len(rows), size), np.uint8)
    most = min(_BAND // rows.shape[1], _PRODUCT // max(weights.size for _, _, weights in blocks))
    step = min(len(rows), max(1, most))
    buffer = np.empty((step, rows.shape[1]), np.float32)
    results = np.empty((step, size), np.float32)
    for top in range(0, len(rows), step):
        band, sums = buffer[: len(rows) - top], results[: len(rows) - top]
        band[...] = rows[top : top + step]
        for outputs, inputs, weights in blocks:
            np.matmul(band[:, inputs], weights, out=sums[:, outputs])
        sums += 2**14
        sums *= 2**-15
        out[top : top + step] = sums  # the cast cuts off the fraction, as >> does
    return out


@lru_cache(maxsize=8)
def _blocks(n_in: int, n_out: int, channels: int) -> tuple[Block, ...]:
    """The weights of a pass over interleaved channels, a few neighbouring output pixels a block.

    A block says: the output values of this slice are the input values of that slice times this matrix. Zeros
    outside a block's inputs are never multiplied, and channels need not be taken apart.
    """
    import numpy as np

    size = 4 if n_in > 4 * n_out else 8  # large blocks multiply more zeros, small ones are more calls
    first = np.arange(0, n_out, size)
    last = np.minimum(first + size, n_out)
    # No weight lies more than max(n_in, n_out) / n_out input pixels from an output pixel's centre.
    reach = -(-max(n_in, n_out) // n_out) + 1
    low = np.maximum(0, (2 * first + 1) * n_in // (2 * n_out) - reach)
    high = np.minimum(n_in, (2 * last - 1) * n_in // (2 * n_out) + reach + 1)
    width = int((high - low).max())
    low = np.minimum(low, n_in - width)
    q = _weights(first[:, None] + np.arange(size), low[:, None] + np.arange(width), n_in, n_out)
    matrices = np.zeros((len(first), width, channels, size, channels), np.float32)
    for channel in range(channels):
        matrices[:, :, channel, :, channel] = q
    return tuple(
        (
            slice(start * channels, end * channels),
            slice(inputs * channels, (inputs + width) * channels),
            matrix.reshape(width * channels, size * channels)[:, : (end - start) * channels],
        )
        for start, end, inputs, matrix in zip(first.tolist(), last.tolist(), low.tolist(), matrices, strict=True)
    )


def _weights(i: npt.NDArray[np.int64], j: npt.NDArray[np.int64], n_in: int, n_out: int) -> npt.NDArray[np.float32]:
    """The q_j of :func:`resize`: for output pixels i [B, size] and input pixels j [B, width], outside of which they
    are 0, float32 [B, width, size]."""
    import numpy as np

    distance = np.abs((2 * j[:, :, None] + 1) * n_out - (2 * i[:, None, :] + 1) * n_in)
    running = np.cumsum(np.maximum(0, 2 * max(n_in, n_out) - distance), axis=1)
    total = np.maximum(running[:, -1:], 1)  # 0 for output pixels past the last, which are dropped
    q: npt.NDArray[np.float32] = np.diff((2 * running * 2**15 + total) // (2 * total), axis=1, prepend=0).astype(
        np.float32
    )
    return q
