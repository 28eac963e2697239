"""What an architecture is: one module in edgecnn/training/architectures with one constant, `PLUGIN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.training.recipes import Recipe


@dataclass(frozen=True)
class Architecture:
    """A Keras model to train: `build(shape, classes)` returns it uncompiled, float32 [0, 1] in, logits out."""

    PACKAGE: ClassVar[str] = "edgecnn.training.architectures"  # where its plug-ins lie

    name: str
    summary: str
    image_shape: tuple[int, int, int]  # height, width, channels
    build: Callable[[tuple[int, int, int], int], object]
    recipes: tuple[Recipe, ...] = ()  # in addition to `tutorial`, which all have
