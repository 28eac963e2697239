"""Feature maps as pictures, drawn with Pillow alone: what every channel of a layer makes of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from edgecnn.arrays import energy_of, sqnr_db
from edgecnn.errors import InputError, UsageError
from edgecnn.visualization.colormap import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import PIL.Image
    import PIL.ImageFont

    from edgecnn.arrays import Floats


# Sizes in pixels of the picture.
MARGIN = 28
GAP = 8  # between channels
CAPTION = 17  # above a channel, for its number
HEADING = 58
BAR_WIDTH = 16
BAR_HEIGHT = 280  # at most
BAR_SPACE = 104  # right of the maps: the scale bar and its figures
PANEL_GAP = 24
PANEL_CAPTION = 26
ROW_HEIGHTS = ((1, 200), (4, 96), (math.inf, 40))  # of bars: number of rows at most, and their height
MOST_WIDE_BARS = 4_096  # with more values each bar is one pixel wide

INK, FAINT_INK = "#1f2328", "#6b7280"


@dataclass(frozen=True)
class Sizes:
    """How large maps are drawn."""

    channel: int  # a channel in a grid is enlarged to about this, unless the grid then is narrower
    narrowest: int  # than this
    widest: int  # or wider than this
    single: int  # a map alone
    value: int  # of a single value, at most


ALONE = Sizes(channel=104, narrowest=640, widest=1600, single=480, value=64)
SIDE_BY_SIDE = Sizes(channel=64, narrowest=360, widest=720, single=360, value=40)


@dataclass(frozen=True)
class Panel:
    """Maps on a page."""

    picture: PIL.Image.Image
    scale: Scale
    caption: str = ""
    with_bar: bool = True


def draw_input(pixels: npt.NDArray[np.uint8]) -> PIL.Image.Image:
    """uint8 [H, W, 1 or 3], enlarged so that the single pixels show."""
    from PIL import Image

    return _enlarged(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), ALONE.single)


def draw_layer(activations: Floats, *, channel: int | None, title: str) -> PIL.Image.Image:
    """A layer's output for one image as a picture with a heading and a scale; one color scale for the whole layer.

    float32 [H, W, C] is drawn as a grid of its channels, or as the one `channel`; a sequence [T, C] as one map, T down
    and C across; [N] as bars; of more dimensions those before [H, W, C] are counted as channels.
    Raises UsageError for a channel that is not there, :class:`InputError` for values that are not finite.
    """
    activations = _drawable(activations)
    _check(activations, channel, title)
    scale = Scale(float(activations.min()), float(activations.max()))
    details = f"{_shape(activations, channel)}   ·   {scale.low:.4g} to {scale.high:.4g}"
    return _page(_title(title, channel), details, [Panel(_maps(activations, channel, scale, ALONE), scale)])


def draw_comparison(
    first: Floats, second: Floats, names: tuple[str, str], *, channel: int | None, title: str
) -> PIL.Image.Image:
    """A layer's output in two files side by side, on one scale, and the second less the first on its own.

    Raises as :func:`draw_layer` does, and UsageError for maps of different shapes.
    """
    import numpy as np

    if first.shape != second.shape:
        raise UsageError(
            f"Layer {title} has the shape {list(first.shape)} in {names[0]} and {list(second.shape)} in {names[1]}."
        )
    first, second = _drawable(first), _drawable(second)
    for activations in (first, second):
        _check(activations, channel, title)
    difference = second - first
    scale = Scale(float(min(first.min(), second.min())), float(max(first.max(), second.max())))
    most = float(np.abs(difference).max())
    apart = Scale(-most, most, diverging=True)
    panels = [
        Panel(_maps(first, channel, scale, SIDE_BY_SIDE), scale, names[0], with_bar=False),
        Panel(_maps(second, channel, scale, SIDE_BY_SIDE), scale, names[1]),
        Panel(_maps(difference, channel, apart, SIDE_BY_SIDE), apart, f"{names[1]} less {names[0]}"),
    ]
    largest = float(np.abs(first).max())
    share = f", {most / largest:.2%} of the largest value" if largest else ""
    details = (
        f"{_shape(first, channel)}   ·   the layer differs by at most {most:.4g}{share}{_noise(first, difference)}"
    )
    return _page(_title(title, channel), details, panels)


def _drawable(activations: Floats) -> Floats:
    """As [N], [T, C] or [H, W, C]: a single value is one of [1], and what comes before [H, W, C] goes into channels."""
    if activations.ndim > 3:
        stacked = activations.reshape(-1, *activations.shape[-3:])
        return stacked.transpose(1, 2, 0, 3).reshape(*activations.shape[-3:-1], -1)
    return activations.reshape(1) if activations.ndim == 0 else activations


def _noise(signal: Floats, difference: Floats) -> str:
    """How far the difference lies below the signal, in words."""
    energy = energy_of(signal)
    ratio_db = sqnr_db(energy, energy_of(difference)) if energy else None
    return "" if ratio_db is None else f"   ·   {ratio_db:.1f} dB below the signal"


def _check(activations: Floats, channel: int | None, title: str) -> None:
    import numpy as np

    if not np.isfinite(activations).all():
        raise InputError(f"Layer {title} gives values that are not finite; the model is broken, train or export again.")
    channels = activations.shape[2] if activations.ndim == 3 else 0
    if channel is not None and not 0 <= channel < channels:
        there = f"has channels 0 to {channels - 1}" if channels else "has no channels"
        raise UsageError(f"Layer {title} {there}, so there is no channel {channel} to draw.")


def _title(layer: str, channel: int | None) -> str:
    return layer if channel is None else f"{layer}, channel {channel}"


def _shape(activations: Floats, channel: int | None) -> str:
    what = {1: " values", 2: " values, steps x channels", 3: " channels" if channel is None else ""}
    return " x ".join(str(side) for side in activations.shape) + what[activations.ndim]


def _maps(activations: Floats, channel: int | None, scale: Scale, sizes: Sizes) -> PIL.Image.Image:
    if activations.ndim == 1:
        return _bars(activations, scale, sizes)
    if activations.ndim == 2:
        return _single(activations, scale, sizes)
    if channel is not None:
        return _single(activations[:, :, channel], scale, sizes)
    return _grid(activations, scale, sizes)


def _grid(activations: Floats, scale: Scale, sizes: Sizes) -> PIL.Image.Image:
    """float32 [H, W, C]: all channels with their numbers, in a grid that is near to a square."""
    from PIL import Image, ImageDraw

    height, width, channels = activations.shape
    columns = _columns(channels, math.sqrt(channels * height / width))
    side = sorted((sizes.narrowest // columns, sizes.channel, sizes.widest // columns))[1]
    colors = scale.colors(activations.transpose(2, 0, 1).reshape(-1, width)).reshape(channels, height, width, 3)
    maps = [_enlarged(Image.fromarray(channel), side) for channel in colors]
    across, down = maps[0].width + GAP, maps[0].height + CAPTION + GAP
    picture = _canvas(columns * across - GAP, math.ceil(channels / columns) * down - GAP)
    draw = ImageDraw.Draw(picture)
    for number, channel_map in enumerate(maps):
        left, top = number % columns * across, number // columns * down
        draw.text((left, top + CAPTION - 4), str(number), FAINT_INK, _font(12), anchor="ls")
        picture.paste(channel_map, (left, top + CAPTION))
    return picture


def _single(values: Floats, scale: Scale, sizes: Sizes) -> PIL.Image.Image:
    """float32 [H, W]: one map, large."""
    from PIL import Image

    return _enlarged(Image.fromarray(scale.colors(values)), min(sizes.single, sizes.value * max(values.shape)))


def _columns(count: int, ideal: float) -> int:
    """Columns for a table of `count` cells: about `ideal`, and where it can be so that the last row is full."""
    least = min(count, math.ceil(ideal))
    return next((columns for columns in range(least, int(1.6 * ideal) + 1) if count % columns == 0), least)


def _bars(values: Floats, scale: Scale, sizes: Sizes) -> PIL.Image.Image:
    """float32 [N]: a bar for each value, up or down from zero, in rows; each row with the number of its first value."""
    import numpy as np
    from PIL import Image, ImageDraw

    many = len(values) > MOST_WIDE_BARS
    pitch = 1 if many else min(max(sizes.narrowest // len(values), 4), sizes.value)
    rows = math.ceil(len(values) * pitch / (sizes.widest if many else sizes.narrowest))
    columns, height = math.ceil(len(values) / rows), next(tall for most, tall in ROW_HEIGHTS if rows <= most)
    table = np.full((rows, columns), np.nan, np.float32)
    table.ravel()[: len(values)] = values
    low, high = min(0.0, scale.low), max(0.0, scale.high)
    levels = np.linspace(high, low, height, dtype=np.float32)[:, None]
    zero = levels[np.abs(levels).argmin()]  # drawn where a value is too small for a bar of its own
    indent = 18 + int(_font(12).getlength(str(len(values))))
    picture = _canvas(columns * pitch + indent, rows * (height + GAP) - GAP)
    draw = ImageDraw.Draw(picture)
    for row, some in enumerate(table):
        filled = (levels >= np.minimum(some, zero)) & (levels <= np.maximum(some, zero))
        bars = np.where(filled[..., None], scale.colors(some[None]), np.uint8(255)).repeat(pitch, axis=1)
        if pitch > 2:
            bars[:, pitch - 1 :: pitch] = 255
        picture.paste(Image.fromarray(bars), (indent, row * (height + GAP)))
        middle = row * (height + GAP) + height // 2
        draw.text((indent - 8, middle), str(row * columns), FAINT_INK, _font(12), anchor="rm")
    return picture


def _page(title: str, details: str, panels: Sequence[Panel]) -> PIL.Image.Image:
    """The finished picture: heading above, panels below from left to right, a scale bar on the right of each scale's
    last."""
    from PIL import ImageDraw

    captions = PANEL_CAPTION if any(panel.caption for panel in panels) else 0
    places, width = [], 0
    for panel in panels:
        places.append(width)
        wide = max(panel.picture.width, int(_font(15).getlength(panel.caption)))
        width += wide + (BAR_SPACE if panel.with_bar else 0) + (0 if panel is panels[-1] else PANEL_GAP)
    body = max(width, int(_font(24).getlength(title)), int(_font(15).getlength(details)))
    height = captions + max(panel.picture.height for panel in panels)
    page = _canvas(body + 2 * MARGIN, height + HEADING + 2 * MARGIN)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN - 6), title, INK, _font(24))
    draw.text((MARGIN, MARGIN + 25), details, FAINT_INK, _font(15))
    for panel, place in zip(panels, places, strict=True):
        left, top = MARGIN + place, MARGIN + HEADING
        draw.text((left, top), panel.caption, INK, _font(15))
        page.paste(panel.picture, (left, top + captions))
        if panel.with_bar:
            bar = min(panel.picture.height, BAR_HEIGHT)
            _draw_bar(page, panel.scale, left + panel.picture.width + 28, top + captions, bar)
    return page


def _draw_bar(page: PIL.Image.Image, scale: Scale, left: int, top: int, height: int) -> None:
    """The color scale, its maximum on top."""
    import numpy as np
    from PIL import Image, ImageDraw

    ramp = scale.table[np.linspace(255, 0, height).round().astype(int)][:, None]
    page.paste(Image.fromarray(np.repeat(ramp, BAR_WIDTH, axis=1)), (left, top))
    draw = ImageDraw.Draw(page)
    right, bottom = left + BAR_WIDTH, top + height - 1
    for y, value, anchor in ((top, scale.high, "la"), (bottom, scale.low, "ls")):
        draw.line((right, y, right + 4, y), FAINT_INK)
        draw.text((right + 8, y + (-2 if anchor == "la" else 1)), f"{value:.4g}", INK, _font(13), anchor=anchor)


def _enlarged(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """Every pixel a square, so that the longer side comes close to `side`; never made smaller."""
    from PIL import Image

    factor = max(1, round(side / max(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _canvas(width: int, height: int) -> PIL.Image.Image:
    from PIL import Image

    return Image.new("RGB", (width, height), "white")


@cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
