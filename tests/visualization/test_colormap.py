"""The color map and the scale that values are laid on."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.visualization.colormap import Scale, diverging, viridis


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


def test_signed_values_are_gray_at_zero_and_as_dark_on_either_side() -> None:
    values = np.array([[-2, -1, 0, 1, 2, np.nan]], np.float32)
    low, below, zero, above, high, none = Scale(-2, 2, diverging=True).colors(values)[0].astype(int)
    assert len(set(zero)) == 1 and zero[0] < 240, "zero is a gray that is told from the page"
    assert below[2] > below[0] and low[2] > low[0] and above[0] > above[2] and high[0] > high[2]
    lightness = diverging() @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness[:128]) >= 0).all() and (np.diff(lightness[128:]) <= 0).all()
    assert np.abs(lightness - lightness[::-1]).max() < 16
    assert (none == 255).all()
    nothing = Scale(0, 0, diverging=True).colors(np.zeros((1, 1), np.float32))[0, 0]
    np.testing.assert_array_equal(nothing, zero)
