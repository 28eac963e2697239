"""Pictures of feature maps: the right pixels in the right places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from edgecnn.errors import InputError, UsageError
from edgecnn.visualization.colormap import Scale, diverging, viridis
from edgecnn.visualization.feature_maps import FAINT_INK, INK, draw_comparison, draw_layer

RANDOM = np.random.default_rng(2)


def occurs(picture: Image.Image, block: np.ndarray[Any, Any]) -> bool:
    """Whether uint8 [h, w, 3] lies somewhere in the picture, pixel for pixel."""
    pixels, (height, width) = np.asarray(picture), block.shape[:2]
    content, first_row = pixels.tobytes(), block[0].tobytes()
    found = content.find(first_row)
    while found >= 0:
        y, x = divmod(found // 3, picture.width)
        if found % 3 == 0 and np.array_equal(pixels[y : y + height, x : x + width], block):
            return True
        found = content.find(first_row, found + 1)
    return False


def enlarged(activations: np.ndarray[Any, Any], scale: Scale, factor: int) -> np.ndarray[Any, Any]:
    return np.kron(scale.colors(activations), np.ones((factor, factor, 1), np.uint8))


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((30, 30, 32), 3), ((15, 15, 32), 7), ((13, 13, 64), 8), ((4, 4, 512), 12), ((5, 9, 1), 71), ((1, 1, 7), 104)],
)
def test_every_channel_is_in_the_grid_on_one_scale(shape: tuple[int, int, int], factor: int) -> None:
    activations = RANDOM.normal(size=shape).astype(np.float32)
    picture = draw_layer(activations, channel=None, title="conv2d")
    scale = Scale(float(activations.min()), float(activations.max()))
    for channel in range(shape[2]):
        assert occurs(picture, enlarged(activations[:, :, channel], scale, factor))


def test_one_channel_is_large_and_on_the_scale_of_the_layer() -> None:
    activations = RANDOM.normal(size=(15, 15, 4)).astype(np.float32)
    activations[0, 0, 0] = 50
    picture = draw_layer(activations, channel=3, title="conv2d")
    scale = Scale(float(activations.min()), 50)
    assert occurs(picture, enlarged(activations[:, :, 3], scale, 32))


def test_a_sequence_is_one_picture() -> None:
    activations = RANDOM.normal(size=(12, 16)).astype(np.float32)
    scale = Scale(float(activations.min()), float(activations.max()))
    assert occurs(draw_layer(activations, channel=None, title="attention"), enlarged(activations, scale, 30))
    other = activations + np.float32(0.5)
    both = Scale(scale.low, float(other.max()))
    compared = draw_comparison(activations, other, ("a", "b"), channel=None, title="attention")
    for values in (activations, other):
        assert occurs(compared, enlarged(values, both, 22))
    with pytest.raises(UsageError, match="no channels"):
        draw_layer(activations, channel=0, title="attention")


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4, 5), (2, 2, 3, 4, 5), (1, 1)])
def test_activations_of_any_rank_are_drawn(shape: tuple[int, ...]) -> None:
    activations = np.asarray(RANDOM.normal(size=shape), np.float32)
    picture = draw_layer(activations, channel=None, title="odd")
    if len(shape) > 3:
        scale = Scale(float(activations.min()), float(activations.max()))
        for volume in activations.reshape(-1, *shape[-3:]):
            for channel in range(shape[-1]):
                assert occurs(picture, enlarged(volume[:, :, channel], scale, 40 if len(shape) == 5 else 53))


def test_bars_go_up_and_down_from_zero() -> None:
    values = np.array([2, -1, 0, 1], np.float32)
    pixels = np.asarray(draw_layer(values, channel=None, title="dense"))
    heights = []
    for color in Scale(-1, 2).colors(values[None])[0]:
        columns = (pixels == color).all(axis=2)[:, : pixels.shape[1] - 104 - 28]  # without the bar of the scale
        heights.append(int(columns.sum(axis=0).max()))
    assert heights[0] == pytest.approx(133, abs=2) and heights[1] == heights[3] == pytest.approx(67, abs=2)
    assert heights[2] == 1, "a zero has a line"


@pytest.mark.parametrize("count", [1, 3, 10, 64, 101, 1024])
def test_values_are_drawn_as_bars(count: int) -> None:
    values = RANDOM.normal(size=count).astype(np.float32)
    values.sort()
    picture = draw_layer(values, channel=None, title="dense")
    colors = Scale(float(values[0]), float(values[-1])).colors(values[None])[0]
    seen = {tuple(color) for color in np.asarray(picture).reshape(-1, 3).tolist()}
    assert all(tuple(color) in seen for color in colors.tolist())
    assert max(picture.size) < 900


def test_the_page_is_white_with_a_heading_and_a_scale() -> None:
    activations = RANDOM.random((8, 8, 4)).astype(np.float32)
    picture = draw_layer(activations, channel=None, title="conv2d")
    pixels = np.asarray(picture)
    wide = np.asarray(draw_layer(activations, channel=None, title="a long layer name " * 12))
    for page in (pixels, wide):
        for border in (page[:12], page[-12:], page[:, :12], page[:, -12:]):
            assert (border == 255).all()
    bar = viridis()[np.linspace(255, 0, 280).round().astype(int)][:, None]
    assert occurs(picture, np.repeat(bar, 16, axis=1))
    other = np.asarray(draw_layer(activations, channel=None, title="conv2d_1"))
    assert (other[:60] != pixels[:60]).any() and (other[60:] == pixels[60:]).all()


def test_the_heading_and_the_scale_say_the_range() -> None:
    values = np.array([-1.25, 3.5, 0], np.float32)
    picture = draw_layer(values, channel=None, title="dense")
    for text, size, ink in (("3 values   ·   -1.25 to 3.5", 15, FAINT_INK), ("3.5", 13, INK), ("-1.25", 13, INK)):
        label = Image.new("RGB", (300, 30), "white")
        ImageDraw.Draw(label).text((5, 5), text, ink, ImageFont.load_default(size))
        dark = np.argwhere((np.asarray(label) != 255).any(axis=2))
        (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
        assert occurs(picture, np.asarray(label)[top:bottom, left:right]), text


def test_channels_that_are_not_there_are_refused() -> None:
    maps, values = np.zeros((4, 4, 3), np.float32), np.zeros(5, np.float32)
    for channel in (-1, 3):
        with pytest.raises(UsageError, match="channels 0 to 2"):
            draw_layer(maps, channel=channel, title="conv2d")
    with pytest.raises(UsageError, match="no channels"):
        draw_layer(values, channel=0, title="dense")
    with pytest.raises(InputError, match="not finite"):
        draw_layer(np.full((2, 2, 1), np.nan, np.float32), channel=None, title="conv2d")


def test_a_comparison_shows_both_on_one_scale_and_the_difference_on_its_own() -> None:
    first = RANDOM.normal(size=(15, 15, 4)).astype(np.float32)
    second = first + RANDOM.normal(0, 0.01, first.shape).astype(np.float32)
    picture = draw_comparison(first, second, ("float", "int8"), channel=2, title="conv2d")
    scale = Scale(float(min(first.min(), second.min())), float(max(first.max(), second.max())))
    most = float(np.abs(second - first).max())
    for values, used in ((first, scale), (second, scale), (second - first, Scale(-most, most, diverging=True))):
        assert occurs(picture, enlarged(values[:, :, 2], used, 24))
    grid = draw_comparison(first, second, ("float", "int8"), channel=None, title="conv2d")
    for channel in range(4):
        assert occurs(grid, enlarged((second - first)[:, :, channel], Scale(-most, most, diverging=True), 12))
    assert grid.width < 2000


def test_where_two_files_agree_the_difference_is_gray() -> None:
    values = RANDOM.normal(size=(6, 6, 2)).astype(np.float32)
    other = values.copy()
    other[0, 0], other[5, 5] = values[0, 0] - 1, values[5, 5] + 1
    gray, blue, orange = (np.full((10, 10, 3), diverging()[index], np.uint8) for index in (128, 0, 255))
    for color in (gray, blue, orange):
        assert occurs(draw_comparison(values, other, ("a", "b"), channel=0, title="conv2d"), color)
    assert occurs(draw_comparison(values, values, ("a", "b"), channel=0, title="conv2d"), gray)


def test_a_comparison_of_equals_and_of_values() -> None:
    values = RANDOM.normal(size=10).astype(np.float32)
    assert draw_comparison(values, values, ("a", "b"), channel=None, title="dense").width > 300
    nothing = np.zeros((4, 4, 2), np.float32)
    assert draw_comparison(nothing, nothing, ("a", "b"), channel=0, title="conv2d").width > 300
    with pytest.raises(UsageError, match="shape"):
        draw_comparison(values, nothing, ("a", "b"), channel=None, title="dense")
    with pytest.raises(UsageError, match="channels 0 to 1"):
        draw_comparison(nothing, nothing, ("a", "b"), channel=2, title="conv2d")
