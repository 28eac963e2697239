"""Values as colors: the viridis color map and the scale it is laid on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


@dataclass(frozen=True)
class Scale:
    """The values that the ends of the color map stand for."""

    low: float
    high: float

    def colors(self, values: Floats) -> Colors:
        """float32 [H, W] to uint8 [H, W, 3]; NaN, where there is no value, becomes white."""
        import numpy as np

        shares = (values - self.low) / ((self.high - self.low) or 1.0)
        indices = np.rint(np.nan_to_num(shares) * 255).astype(np.uint8)
        colors: Colors = np.where(np.isnan(values)[..., None], np.uint8(255), viridis()[indices])
        return colors


@cache
def viridis() -> Colors:
    """The viridis color map, dark blue to yellow: uint8 [256, 3], within 2 levels of matplotlib's."""
    import numpy as np

    anchors = np.array([list(bytes.fromhex(color)) for color in VIRIDIS.values()])
    channels = [np.interp(np.arange(256), list(VIRIDIS), anchors[:, channel]) for channel in range(3)]
    table: Colors = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return table
