"""Bias correction: quantization shifts the mean of a layer's output channels, and the bias can take the shift back.

Empirical bias correction after Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", appendix D: layer by layer from the input on, the bias of each output channel is moved by the difference of
the channel's mean over calibration images, float minus quantized. A shift moves what comes after it, and where a mean
is taken after an activation it moves by less than the bias, so the layers are gone through several times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    import numpy as np
    import numpy.typing as npt

    Means = npt.NDArray[np.float64]
    Node = TypeVar("Node", int, str)

IMAGES = 64  # a mean over all pixels of a channel needs few
SWEEPS = 3


def corrected(
    model: bytes,
    wanted: Mapping[Node, Means],
    means_of: Callable[[bytes, Node], Means],
    shifted: Callable[[bytes, Node, Means], bytes],
) -> bytes:
    """The quantized file with corrected biases.

    `wanted` has the float file's mean of each output channel, float64 [channels], for each node whose bias can be
    moved, in graph order; `means_of` gives the quantized file's, `shifted` the file with a node's biases moved by so
    much, in the output's units.
    """
    for _ in range(SWEEPS):
        for node, mean in wanted.items():
            model = shifted(model, node, mean - means_of(model, node))
    return model


def moved(bias: npt.NDArray[np.int32], scale: npt.NDArray[np.float32], by: Means) -> npt.NDArray[np.int32]:
    """Quantized biases [channels] of that scale (one, or one a channel), moved by real numbers [channels]."""
    import numpy as np

    limits = np.iinfo(np.int32)
    sums = bias + np.rint(by / scale.astype(np.float64))
    return np.clip(sums, limits.min, limits.max).astype(np.int32)
