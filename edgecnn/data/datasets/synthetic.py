"""Synthetic data: 32x32 color scenes of ten classes, generated without a network or files.

The same seed gives the same bytes on every machine. So that it does, this file keeps to arithmetic that
IEEE 754 rounds exactly (+, -, *, /, sqrt, comparisons) on uniform random numbers: sin, exp and float sums
differ in the last bit from one CPU to the next, so rotations use the rational points of the circle instead.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from edgecnn.data.dataset import Dataset, labelled_images

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.data.dataset import LabelledImages

    Field = npt.NDArray[np.float64]

TRAIN_COUNT = 12_000
TEST_COUNT = 10_000
SEED = 1  # of the set that `--data synthetic` stands for
SIDE = 32  # pixels
CHUNK = 50  # images drawn at once; part of what a seed means, so changing it changes every picture
SPLITS = {"train": 0, "test": 1}

THING_SIZE = (8.0, 13.0)  # half the width of a thing, in pixels
THING_TILT = 0.2  # tangent of half the largest tilt: 23 degrees either way
THING_SPREAD = 4.0  # how far from the middle a thing may stand, in pixels
CLUTTER_SIZE = (2.0, 5.0)
OCCLUDER_SIZE = (1.5, 4.5)
PALETTE_JITTER = 0.05
TEXTURE_CELL = 8  # pixels between the knots of the background's blotches
TEXTURE_DEPTH = 0.2
SHADE = (0.6, 1.05)  # overall brightness
SLOPE = 0.35  # how much the light may change from the middle to an edge
NOISE = (0.02, 0.12)

GROUND, BODY, TRIM = range(3)  # the colors of a scene

Polygon = tuple[tuple[float, float], ...]  # convex; corners clockwise on the screen (y grows downwards)


class Ellipse(NamedTuple):
    """An upright ellipse: its centre and its radii."""

    x: float
    y: float
    rx: float
    ry: float


class Place(NamedTuple):
    """Where something stands in N pictures: pixels' x, y [N, 32, 32] in its own frame; its size [N, 1, 1]."""

    x: Field
    y: Field
    size: Field


def _box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


CAP = ((-0.45, -0.75), (0.0, -0.88), (0.45, -0.75), (0.85, -0.35), (1.0, 0.1), (-1.0, 0.1), (-0.85, -0.35))

# What each kind is made of, back to front, in a frame that runs from -1 to 1 both ways.
THINGS: dict[str, tuple[tuple[int, Ellipse | Polygon], ...]] = {
    "balloon": (
        (BODY, Ellipse(0.0, -0.3, 0.7, 0.7)),
        (BODY, ((-0.62, 0.0), (0.62, 0.0), (0.18, 0.6), (-0.18, 0.6))),
        (TRIM, Ellipse(0.0, -0.25, 0.22, 0.75)),
        (TRIM, _box(-0.2, 0.66, 0.2, 1.0)),
    ),
    "boat": (
        (TRIM, _box(-0.06, -1.0, 0.06, 0.5)),
        (BODY, ((0.12, -0.95), (0.85, 0.25), (0.12, 0.25))),
        (BODY, ((-0.12, -0.6), (-0.12, 0.25), (-0.65, 0.25))),
        (TRIM, ((-1.0, 0.38), (1.0, 0.38), (0.6, 0.9), (-0.6, 0.9))),
    ),
    "butterfly": (
        (BODY, Ellipse(-0.5, -0.4, 0.5, 0.48)),
        (BODY, Ellipse(0.5, -0.4, 0.5, 0.48)),
        (BODY, Ellipse(-0.4, 0.45, 0.38, 0.42)),
        (BODY, Ellipse(0.4, 0.45, 0.38, 0.42)),
        (TRIM, Ellipse(-0.55, -0.42, 0.2, 0.2)),
        (TRIM, Ellipse(0.55, -0.42, 0.2, 0.2)),
        (TRIM, Ellipse(0.0, 0.0, 0.12, 0.85)),
    ),
    "car": (
        (BODY, ((-0.4, -0.55), (0.3, -0.55), (0.65, 0.0), (-0.65, 0.0))),
        (TRIM, ((-0.3, -0.4), (0.22, -0.4), (0.42, -0.02), (-0.48, -0.02))),
        (BODY, _box(-1.0, -0.05, 1.0, 0.4)),
        (TRIM, Ellipse(-0.52, 0.42, 0.26, 0.26)),
        (TRIM, Ellipse(0.52, 0.42, 0.26, 0.26)),
    ),
    "fish": (
        (TRIM, ((0.35, 0.0), (1.0, -0.55), (1.0, 0.55))),
        (TRIM, ((-0.3, -0.35), (0.1, -0.75), (0.25, -0.3))),
        (BODY, Ellipse(-0.22, 0.0, 0.78, 0.48)),
        (TRIM, Ellipse(-0.6, -0.1, 0.12, 0.12)),
    ),
    "flower": (
        (TRIM, _box(-0.06, 0.0, 0.06, 1.0)),
        (TRIM, Ellipse(0.28, 0.72, 0.28, 0.12)),
        (BODY, Ellipse(0.0, -0.72, 0.27, 0.28)),
        (BODY, Ellipse(0.42, -0.42, 0.28, 0.27)),
        (BODY, Ellipse(0.26, 0.06, 0.27, 0.28)),
        (BODY, Ellipse(-0.26, 0.06, 0.27, 0.28)),
        (BODY, Ellipse(-0.42, -0.42, 0.28, 0.27)),
        (TRIM, Ellipse(0.0, -0.3, 0.24, 0.24)),
    ),
    "house": (
        (TRIM, _box(0.38, -0.95, 0.6, -0.3)),
        (BODY, _box(-0.75, -0.15, 0.75, 0.9)),
        (TRIM, ((0.0, -0.95), (1.0, -0.1), (-1.0, -0.1))),
        (TRIM, _box(-0.48, 0.3, -0.12, 0.9)),
        (TRIM, _box(0.15, 0.25, 0.5, 0.55)),
    ),
    "mushroom": (
        (TRIM, ((-0.2, 0.0), (0.2, 0.0), (0.3, 0.95), (-0.3, 0.95))),
        (BODY, CAP),
        (TRIM, Ellipse(-0.45, -0.22, 0.17, 0.15)),
        (TRIM, Ellipse(0.08, -0.55, 0.17, 0.15)),
        (TRIM, Ellipse(0.5, -0.15, 0.17, 0.15)),
    ),
    "rocket": (
        (TRIM, ((0.0, 0.1), (0.7, 0.95), (-0.7, 0.95))),
        (BODY, Ellipse(0.0, -0.1, 0.36, 0.9)),
        (TRIM, ((0.0, -1.0), (0.26, -0.62), (-0.26, -0.62))),
        (TRIM, Ellipse(0.0, -0.2, 0.17, 0.17)),
    ),
    "tree": (
        (TRIM, _box(-0.15, 0.5, 0.15, 1.0)),
        (BODY, ((0.0, -0.4), (0.85, 0.6), (-0.85, 0.6))),
        (BODY, ((0.0, -0.7), (0.68, 0.15), (-0.68, 0.15))),
        (BODY, ((0.0, -1.0), (0.48, -0.35), (-0.48, -0.35))),
    ),
}
LABELS: tuple[str, ...] = tuple(THINGS)

DISC = Ellipse(0.0, 0.0, 1.0, 0.8)
WEDGE = ((0.0, -1.0), (0.9, 0.7), (-0.9, 0.7))
BLOCK = _box(-1.0, -0.7, 1.0, 0.7)
TWIG = _box(-6.0, -0.3, 6.0, 0.3)
CLUTTER = (DISC, WEDGE, BLOCK, DISC, WEDGE)  # behind the thing
OCCLUDERS = (DISC, TWIG)  # before it


def draw(count: int, *, seed: int, split: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The first `count` pictures of a seed's "train" or "test" stream, with their labels.

    Returns uint8 images [count, 32, 32, 3], 0 to 255, and int64 labels [count], each an index into LABELS.
    A longer draw begins with the shorter one.
    """
    import numpy as np

    images, labels = np.empty((count, SIDE, SIDE, 3), np.uint8), np.empty(count, np.int64)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        chunk_images, chunk_labels = _draw_chunk(np.random.default_rng([seed, SPLITS[split], start // CHUNK]))
        images[start:stop], labels[start:stop] = chunk_images[: stop - start], chunk_labels[: stop - start]
    return images, labels


def _draw_chunk(rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """One chunk, back to front, painted as [N, 3, 32, 32], where a color is one long run."""
    import numpy as np

    labels = (rng.random(CHUNK) * len(LABELS)).astype(np.int64)
    palette = _palette(rng)
    canvas = _background(rng, palette[:, GROUND])
    for shape in CLUTTER:
        _paint(canvas, shape, _place(rng, CLUTTER_SIZE, tilt=1.0, spread=SIDE / 2), rng.random((CHUNK, 3)))
    place = _place(rng, THING_SIZE, tilt=THING_TILT, spread=THING_SPREAD)
    for label, parts in enumerate(THINGS.values()):
        rows = np.flatnonzero(labels == label)
        scenes, here = canvas[rows], Place(place.x[rows], place.y[rows], place.size[rows])
        for role, shape in parts:
            _paint(scenes, shape, here, palette[rows, role])
        canvas[rows] = scenes
    for shape in OCCLUDERS:
        _paint(canvas, shape, _place(rng, OCCLUDER_SIZE, tilt=1.0, spread=SIDE / 2), rng.random((CHUNK, 3)))
    images = (np.clip(_light(rng, canvas), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return images.transpose(0, 2, 3, 1), labels


def _between(rng: np.random.Generator, low: float, high: float, *shape: int) -> Field:
    """Uniform numbers. (The multiply and add inside rng.uniform may be fused, and so round otherwise.)"""
    return low + (high - low) * rng.random(shape)


def _palette(rng: np.random.Generator) -> Field:
    """Colors [N, 3 roles, 3] that differ in every channel: thirds of a turn apart, in either order."""
    import numpy as np

    step = np.where(rng.random((CHUNK, 1, 3)) < 0.5, 1.0 / 3.0, 2.0 / 3.0)
    turns: Field = rng.random((CHUNK, 1, 3)) + step * np.arange(3.0)[:, np.newaxis]
    turns += _between(rng, -PALETTE_JITTER, PALETTE_JITTER, CHUNK, 3, 3) + 1.0  # + 1 keeps it above zero
    turns -= np.floor(turns)
    return turns


def _background(rng: np.random.Generator, color: Field) -> Field:
    """Soft blotches [N, 3, 32, 32] around a color [N, 3]: random knots, blended linearly between."""
    import numpy as np

    knots = SIDE // TEXTURE_CELL + 1
    grid = _between(rng, -TEXTURE_DEPTH, TEXTURE_DEPTH, CHUNK, 3, knots, knots)
    cell, step = np.divmod(np.arange(SIDE), TEXTURE_CELL)
    part = step / TEXTURE_CELL
    lines = grid[:, :, cell] + part[:, np.newaxis] * (grid[:, :, cell + 1] - grid[:, :, cell])
    blotches = lines[..., cell] + part * (lines[..., cell + 1] - lines[..., cell])
    return np.clip(color[..., np.newaxis, np.newaxis] + blotches, 0.0, 1.0)


def _axes() -> tuple[Field, Field]:
    """Pixel centres counted from the middle of the picture: x [32] and y [32, 1]."""
    import numpy as np

    line: Field = np.arange(SIDE, dtype=np.float64) + (0.5 - SIDE / 2)
    return line, line[:, np.newaxis]


def _place(rng: np.random.Generator, sizes: tuple[float, float], *, tilt: float, spread: float) -> Place:
    """A random spot, size, tilt and handedness for each picture.

    `sizes` and `spread` are in pixels; `tilt` is the tangent of half the largest angle.
    """
    import numpy as np

    across, down = _axes()
    size = _between(rng, *sizes, CHUNK, 1, 1)
    x = across - _between(rng, -spread, spread, CHUNK, 1, 1)
    y = down - _between(rng, -spread, spread, CHUNK, 1, 1)
    t = _between(rng, -tilt, tilt, CHUNK, 1, 1)
    cos, sin = (1.0 - t * t) / (1.0 + t * t) / size, 2.0 * t / (1.0 + t * t) / size
    mirror = np.where(rng.random((CHUNK, 1, 1)) < 0.5, -1.0, 1.0)
    return Place((x * cos + y * sin) * mirror, y * cos - x * sin, size)


def _distance(shape: Ellipse | Polygon, x: Field, y: Field) -> Field:
    """How far each point lies outside the shape; negative inside, near enough at the edge to smooth it."""
    import numpy as np

    if isinstance(shape, Ellipse):
        u, v = (x - shape.x) / shape.rx, (y - shape.y) / shape.ry
        return (np.sqrt(u * u + v * v) - 1.0) * min(shape.rx, shape.ry)
    distance = np.full_like(x, -np.inf)
    for (x0, y0), (x1, y1) in zip(shape, (*shape[1:], shape[0]), strict=True):
        length = math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))
        a, b = (y1 - y0) / length, (x0 - x1) / length
        np.maximum(distance, a * x + b * y - (a * x0 + b * y0), out=distance)
    return distance


def _paint(canvas: Field, shape: Ellipse | Polygon, place: Place, color: Field) -> None:
    """Lay a shape of a color [N, 3] over the pictures [N, 3, 32, 32], its edge one pixel soft."""
    import numpy as np

    cover = np.clip(0.5 - _distance(shape, place.x, place.y) * place.size, 0.0, 1.0)
    for channel in range(3):  # one at a time: with larger temporaries this took twenty times as long
        plane = canvas[:, channel]
        plane += cover * (color[:, channel, np.newaxis, np.newaxis] - plane)


def _light(rng: np.random.Generator, canvas: Field) -> Field:
    """Sloping light, then a sensor's noise (two uniforms make a triangle, near enough to a bell)."""
    import numpy as np

    x, y = _axes()
    slopes = _between(rng, -SLOPE, SLOPE, 2, CHUNK, 1, 1) / (SIDE / 2)
    light = _between(rng, *SHADE, CHUNK, 1, 1) + slopes[0] * x + slopes[1] * y
    noise: Field = rng.random(canvas.shape) + rng.random(canvas.shape) - 1.0
    noise *= _between(rng, *NOISE, CHUNK, 1, 1, 1)
    noise += canvas * light[:, np.newaxis]
    return noise


@cache  # several stages of one process need it, and generating takes seconds
def load() -> LabelledImages:
    """The set of `SEED`, always the same."""
    return labelled_images(
        name="synthetic",
        spec="synthetic",
        labels=LABELS,
        train=draw(TRAIN_COUNT, seed=SEED, split="train"),
        test=draw(TEST_COUNT, seed=SEED, split="test"),
    )


PLUGIN = Dataset(
    name="synthetic",
    summary=f"built in: {TRAIN_COUNT + TEST_COUNT:,} synthetic 32x32 scenes of ten classes",
    load_by_name=lambda size: load(),
)
