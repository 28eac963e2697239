"""How much memory a model's layers hold for an image, and how many images are therefore run at once.

Inputs say little: MobileNetV2 takes 120 KB for an image of 200 x 200 pixels and holds 3.9 MB in its widest layer.
"""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOAT_BYTES = 4
# Of the widest layer over a batch. TensorFlow and ONNX Runtime hold four to six times as much at once (outputs,
# workspace, what a skip connection waits for), so a batch stays below half a gigabyte.
MAX_BATCH_BYTES = 64 << 20


@dataclass(frozen=True)
class Activations:
    """Bytes of float32 for one image."""

    widest_bytes: int  # what the widest layer takes in or gives
    total_bytes: int  # the same of all layers that have weights, together


def activations(config: Any) -> Activations:
    """From a Keras model's serialized configuration, which has the shapes its layers were built with; 0 without."""
    sizes = [_layer_bytes(layer) for layer in _built_layers(config)]
    return Activations(widest_bytes=max(sizes, default=0), total_bytes=sum(sizes))


def activations_in(path: Path) -> Activations:
    """Of the model in a .keras file, read without Keras."""
    with zipfile.ZipFile(path) as archive:
        return activations(json.loads(archive.read("config.json")))


def images_per_batch(bytes_per_image: int, most: int, limit_bytes: int = MAX_BATCH_BYTES) -> int:
    """As many images as hold `limit_bytes` together, 1 to `most`."""
    return max(1, min(most, limit_bytes // max(1, bytes_per_image)))


def _built_layers(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialized layer with the shapes it was built with, those of nested models too."""
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if isinstance(part.get("build_config"), dict):
                yield part
            pending += part.values()
        elif isinstance(part, (list, tuple)):
            pending += part


def _layer_bytes(layer: dict[str, Any]) -> int:
    """What a layer takes in, or where that is more, gives: its shape is not recorded, but follows for a convolution."""
    shapes, config = list(_shapes(layer["build_config"])), layer.get("config", {})
    values = sum(math.prod(shape) for shape in shapes)
    heads, filters = config.get("num_heads"), config.get("filters")
    if isinstance(heads, int) and shapes:  # of attention: a score of each step for each, in every head
        values += heads * shapes[0][0] * shapes[-1][0]
    if isinstance(filters, int) and shapes:
        positions = math.prod(shapes[0][:-1])
        strides = math.prod(config["strides"]) if isinstance(config.get("strides"), (list, tuple)) else 1
        outputs = positions * strides if "Transpose" in layer["class_name"] else -(-positions // strides)
        values = max(values, outputs * filters)
    return FLOAT_BYTES * values


def _shapes(part: Any) -> Iterator[list[int]]:
    """The shapes in a build configuration, without batch and sides that vary."""
    if isinstance(part, dict):
        for value in part.values():
            yield from _shapes(value)
    elif isinstance(part, (list, tuple)) and part:
        if all(side is None or isinstance(side, int) for side in part):
            yield [side for side in part[1:] if side is not None] or [1]
        else:
            for value in part:
                yield from _shapes(value)
