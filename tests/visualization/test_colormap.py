"""The color map and the scale that values are laid on."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.visualization.colormap import Scale, viridis


def test_viridis_is_matplotlibs() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    table = np.array(matplotlib.colormaps["viridis"].colors) * 255
    assert viridis().shape == (256, 3) and viridis().dtype == np.uint8
    assert np.abs(viridis() - table).max() <= 3


def test_colors_span_the_scale() -> None:
    values = np.array([[-1, 0, 3, np.nan]], np.float32)
    colors = Scale(-1, 3).colors(values)[0]
    np.testing.assert_array_equal(colors, [viridis()[0], viridis()[64], viridis()[255], [255, 255, 255]])
    np.testing.assert_array_equal(Scale(2, 2).colors(np.full((1, 1), 2, np.float32))[0, 0], viridis()[0])
