"""Values as colors: viridis for values, a diverging color map for signed differences, and the scale of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Floats

    Colors = npt.NDArray[np.uint8]  # [..., 3]

# Viridis, https://bids.github.io/colormap (CC0), at the places of its table where straight lines fit it best.
VIRIDIS = {
    0: "440154", 17: "481a6c", 34: "472f7d", 50: "414287", 73: "365c8d", 114: "25838e", 139: "1e9b8a", 149: "20a486",
    161: "29af7f", 174: "3bbb75", 188: "56c667", 203: "77d153", 227: "b5de2b", 237: "d0e11c", 243: "dfe318",
    249: "efe51c", 255: "fde725",
}  # fmt: skip
# From blue over a neutral gray to orange, as light on one side as on the other, told apart with any color vision.
DIVERGING = {
    0: "16365c", 43: "2b6ca3", 85: "8db8d9", 127: "e4e4e4", 128: "e4e4e4", 170: "e0a97f", 212: "b5602f", 255: "63290f",
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """The values that the ends of the color map stand for."""

    low: float
    high: float
    diverging: bool = False  # of signed values, with low = -high: the middle of the map stands for zero

    @property
    def table(self) -> Colors:
        """The color map, uint8 [256, 3]."""
        return diverging() if self.diverging else viridis()

    def colors(self, values: Floats) -> Colors:
        """float32 [H, W] to uint8 [H, W, 3]; NaN, where there is no value, becomes white."""
        import numpy as np

        span = self.high - self.low
        shares = (values - self.low) / span if span else np.full_like(values, 0.5 if self.diverging else 0.0)
        indices = np.rint(np.nan_to_num(shares) * 255).astype(np.uint8)
        colors: Colors = np.where(np.isnan(values)[..., None], np.uint8(255), self.table[indices])
        return colors


@cache
def viridis() -> Colors:
    """The viridis color map, dark blue to yellow: uint8 [256, 3], within 2 levels of matplotlib's."""
    return _interpolated(VIRIDIS)


@cache
def diverging() -> Colors:
    """Blue (negative) over gray (zero) to orange (positive): uint8 [256, 3]."""
    return _interpolated(DIVERGING)


def _interpolated(anchors: Mapping[int, str]) -> Colors:
    import numpy as np

    colors = np.array([list(bytes.fromhex(color)) for color in anchors.values()])
    channels = [np.interp(np.arange(256), list(anchors), colors[:, channel]) for channel in range(3)]
    table: Colors = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return table
