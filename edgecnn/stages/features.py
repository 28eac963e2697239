"""Feature maps as pictures, drawn with Pillow alone: what every channel of a layer makes of an image."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from edgecnn import run as files
from edgecnn.console import say
from edgecnn.contract import prepare
from edgecnn.errors import InputError, UsageError
from edgecnn.images import drawn, samples_of
from edgecnn.predictor import Predictor
from edgecnn.records import SCHEMA, Features
from edgecnn.run import staged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    from edgecnn.run import Run

    Floats = npt.NDArray[np.float32]
    Colours = npt.NDArray[np.uint8]  # [..., 3]

# Viridis, https://bids.github.io/colormap (CC0), at the places of its table where straight lines fit it best.
VIRIDIS = {
    0: "440154", 17: "481a6c", 34: "472f7d", 50: "414287", 73: "365c8d", 114: "25838e", 139: "1e9b8a", 149: "20a486",
    161: "29af7f", 174: "3bbb75", 188: "56c667", 203: "77d153", 227: "b5de2b", 237: "d0e11c", 243: "dfe318",
    249: "efe51c", 255: "fde725",
}  # fmt: skip

FOLDER = "features"  # of a run
INPUT = "input"

# Sizes in pixels of the picture.
MARGIN = 28
GAP = 8  # between channels
CAPTION = 17  # above a channel, for its number
HEADING = 58
BAR_WIDTH = 16
BAR_HEIGHT = 280  # at most
BAR_SPACE = 104  # right of the maps: the scale bar and its figures
CHANNEL_SIDE = 104  # a channel in a grid is enlarged to about this, unless the grid then is narrower
NARROWEST_GRID, WIDEST_GRID = 640, 1600  # than the first or wider than the second
LARGE_SIDE = 480  # a single map
VALUE_SIDE = 64  # of a single value, at most

INK, FAINT_INK = "#1f2328", "#6b7280"


@dataclass(frozen=True)
class Scale:
    """The values that the ends of the colour map stand for."""

    low: float
    high: float

    def colours(self, values: Floats) -> Colours:
        """float32 [H, W] to uint8 [H, W, 3]; NaN, where there is no value, becomes white."""
        import numpy as np

        shares = (values - self.low) / ((self.high - self.low) or 1.0)
        indices = np.rint(np.nan_to_num(shares) * 255).astype(np.uint8)
        colours: Colours = np.where(np.isnan(values)[..., None], np.uint8(255), viridis()[indices])
        return colours


@cache
def viridis() -> Colours:
    """The viridis colour map, dark blue to yellow: uint8 [256, 3], within 2 levels of matplotlib's."""
    import numpy as np

    anchors = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.values()])
    channels = [np.interp(np.arange(256), list(VIRIDIS), anchors[:, channel]) for channel in range(3)]
    table: Colours = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return table


def features(
    model: str | Path,
    image: Path | npt.NDArray[np.uint8] | None,
    out: Path,
    *,
    layers: Sequence[str] | None,
    channel: int | None,
) -> dict[str, Path]:
    """Draw what layers of a model make of an image; returns layer -> picture, in order.

    Writes `<out>/input.png`, the image as the model sees it, and `<out>/<layer>.png`, or with `channel` that
    channel alone as `<out>/<layer>-channel<N>.png`. `model` and `layers` are as in :class:`Predictor` and its
    `features`, `image` as in its `predict`, None for a drawn one; of the layers drawn by default, those without
    channels are left out when a `channel` is asked for. Nothing is written unless everything could be drawn.
    """
    predictor = Predictor(model)
    if image is None:
        image = drawn(1, predictor.contract)[0]
    pictures = {INPUT: _picture_of_input(prepare(image, predictor.contract))}
    paths: dict[str, Path] = {}
    for layer, values in predictor.features(image, layers).items():
        if channel is not None and layers is None and values.ndim == 1:
            continue
        name = _file_name(layer if channel is None else f"{layer}-channel{channel}", pictures)
        pictures[name] = draw_layer(values, channel=channel, title=layer)
        paths[layer] = out / f"{name}.png"
    for name, picture in pictures.items():
        with staged(out / f"{name}.png") as draft:
            picture.save(draft)
    return paths


def inputs(run: Run) -> dict[str, str]:
    """What decides the pictures of a run: its ONNX file and its samples."""
    hashes = {name: run.hash_of(name) for name in (files.CONTRACT, files.ARTIFACTS, files.SAMPLES)}
    return {**hashes, "edgecnn": files.installed_versions().get("edgecnn", "missing")}


def is_current(run: Run) -> bool:
    """Whether the run already holds these pictures."""
    return run.is_current(files.FEATURES, Features, inputs(run))


def draw_run(run: Run) -> Features:
    """Draw the first six layers for the first of the run's samples into `features/`, and write features.json.

    A run without samples gets a drawn image.
    """
    contract = run.contract()
    for artifact in run.artifacts().artifacts:
        run.artifact_path(artifact)
    samples = samples_of(run, contract)
    say(f"Feature maps of one of the {samples.words()}")
    pictures = features(run.root, samples.images[0], run.path(FOLDER), layers=None, channel=None)
    shown = {layer: f"{FOLDER}/{path.name}" for layer, path in pictures.items()}
    picture_of_input = f"{FOLDER}/{INPUT}.png"
    record = Features(
        schema=SCHEMA,
        origin=run.origin("features", inputs(run), [picture_of_input, *shown.values()]),
        data=contract.data,
        image=f"one of the {samples.words()}",
        input=picture_of_input,
        pictures=shown,
    )
    run.save(files.FEATURES, record)
    return record


def _file_name(layer: str, taken: dict[str, PIL.Image.Image]) -> str:
    """A file name for a layer: slashes of nested models and the like replaced, and not one that is taken."""
    name = re.sub(r"[^\w.-]", "_", layer)
    while name in taken:
        name += "_"
    return name


def _picture_of_input(pixels: npt.NDArray[np.uint8]) -> PIL.Image.Image:
    """uint8 [H, W, 1 or 3], enlarged so that the single pixels show."""
    from PIL import Image

    return _enlarged(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), LARGE_SIDE)


def draw_layer(activations: Floats, *, channel: int | None, title: str) -> PIL.Image.Image:
    """A layer's output for one image as a picture with a heading and a scale; one colour scale for the whole layer.

    float32 [H, W, C] is drawn as a grid of its channels, or as the one `channel`; [N] as rows of values.
    Raises UsageError for a channel that is not there, :class:`InputError` for values that are not finite.
    """
    import numpy as np

    if not np.isfinite(activations).all():
        raise InputError(f"Layer {title} gives values that are not finite; the model is broken, train or export anew.")
    channels = activations.shape[2] if activations.ndim == 3 else 0
    if channel is not None and not 0 <= channel < channels:
        there = f"has channels 0 to {channels - 1}" if channels else "has no channels"
        raise UsageError(f"Layer {title} {there}, so there is no channel {channel} to draw.")
    scale = Scale(float(activations.min()), float(activations.max()))
    shape = " x ".join(str(side) for side in activations.shape)
    if activations.ndim == 1:
        return _page(_strip(activations, scale), title, f"{shape} values", scale)
    if channel is not None:
        return _page(_single(activations[:, :, channel], scale), f"{title}, channel {channel}", shape, scale)
    return _page(_grid(activations, scale), title, f"{shape} channels", scale)


def _grid(activations: Floats, scale: Scale) -> PIL.Image.Image:
    """float32 [H, W, C]: all channels with their numbers, in a grid that is near to a square."""
    from PIL import Image, ImageDraw

    height, width, channels = activations.shape
    columns = _columns(channels, math.sqrt(channels * height / width))
    side = sorted((NARROWEST_GRID // columns, CHANNEL_SIDE, WIDEST_GRID // columns))[1]
    maps = [_enlarged(Image.fromarray(scale.colours(activations[:, :, c])), side) for c in range(channels)]
    across, down = maps[0].width + GAP, maps[0].height + CAPTION + GAP
    picture = _canvas(columns * across - GAP, math.ceil(channels / columns) * down - GAP)
    draw = ImageDraw.Draw(picture)
    for number, channel_map in enumerate(maps):
        left, top = number % columns * across, number // columns * down
        draw.text((left, top + CAPTION - 4), str(number), FAINT_INK, _font(12), anchor="ls")
        picture.paste(channel_map, (left, top + CAPTION))
    return picture


def _single(values: Floats, scale: Scale) -> PIL.Image.Image:
    """float32 [H, W]: one map, large."""
    from PIL import Image

    return _enlarged(Image.fromarray(scale.colours(values)), min(LARGE_SIDE, VALUE_SIDE * max(values.shape)))


def _columns(count: int, ideal: float) -> int:
    """Columns for a table of `count` cells: about `ideal`, and where it can be so that the last row is full."""
    least = min(count, math.ceil(ideal))
    return next((columns for columns in range(least, int(1.6 * ideal) + 1) if count % columns == 0), least)


def _strip(values: Floats, scale: Scale) -> PIL.Image.Image:
    """float32 [N]: rows of values that form a near-square, each row with the number of its first value."""
    import numpy as np
    from PIL import ImageDraw

    columns = _columns(len(values), math.sqrt(len(values)))
    rows = math.ceil(len(values) / columns)
    table = np.full((rows, columns), np.nan, np.float32)
    table.ravel()[: len(values)] = values
    drawn = _single(table, scale)
    indent = 18 + int(_font(12).getlength(str(len(values))))
    picture = _canvas(drawn.width + indent, drawn.height)
    picture.paste(drawn, (indent, 0))
    cell = drawn.height // rows
    draw = ImageDraw.Draw(picture)
    for row in range(0, rows, math.ceil(16 / cell)):
        draw.text((indent - 8, row * cell + cell // 2), str(row * columns), FAINT_INK, _font(12), anchor="rm")
    return picture


def _page(content: PIL.Image.Image, title: str, shape: str, scale: Scale) -> PIL.Image.Image:
    """The finished picture: heading above, content below, scale bar on its right."""
    from PIL import ImageDraw

    details = f"{shape}   ·   {scale.low:.4g} to {scale.high:.4g}"
    body = max(content.width + BAR_SPACE, int(_font(24).getlength(title)), int(_font(15).getlength(details)))
    page = _canvas(body + 2 * MARGIN, content.height + HEADING + 2 * MARGIN)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN - 6), title, INK, _font(24))
    draw.text((MARGIN, MARGIN + 25), details, FAINT_INK, _font(15))
    page.paste(content, (MARGIN, MARGIN + HEADING))
    _draw_bar(page, scale, MARGIN + content.width + 28, MARGIN + HEADING, min(content.height, BAR_HEIGHT))
    return page


def _draw_bar(page: PIL.Image.Image, scale: Scale, left: int, top: int, height: int) -> None:
    """The colour scale, its maximum on top."""
    import numpy as np
    from PIL import Image, ImageDraw

    ramp = viridis()[np.linspace(255, 0, height).round().astype(int)][:, None]
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
