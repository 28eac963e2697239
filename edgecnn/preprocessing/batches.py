"""Many images made ready for a model, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.preprocessing.decode import Source, fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgecnn.arrays import Pixels

    Shape = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True, eq=False)
class Batch:
    """A few images in the order they were given."""

    pixels: Pixels  # uint8 [n, height, width, channels]: those that could be read
    refused: dict[int, InputError]  # place among all of the batch -> why that image could not

    def __len__(self) -> int:
        return len(self.pixels) + len(self.refused)


def prepared(images: Iterable[Source], shape: Shape, size: int) -> Iterator[Batch]:
    """The images, `size` a batch, each read when its batch is needed."""
    rest = iter(images)
    while sources := list(islice(rest, size)):
        yield prepare_batch(sources, shape)


def prepare_batch(sources: list[Source], shape: Shape) -> Batch:
    """These images, read one after the other."""
    import numpy as np

    pixels: list[Pixels] = []
    refused: dict[int, InputError] = {}
    for place, source in enumerate(sources):
        try:
            pixels.append(fitted(source, *shape))
        except InputError as error:
            refused[place] = error
    return Batch(np.array(pixels, np.uint8).reshape(-1, *shape), refused)
