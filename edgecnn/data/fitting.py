"""Images in the shape that a model takes: all at once, or each as it is taken, so that they are never held at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.preprocessing.decode import luma
from edgecnn.preprocessing.resize import resize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgecnn.arrays import Pixels
    from edgecnn.data.dataset import LabelledImages

MOST_NAMES = 5  # of classes, in a sentence

WRITTEN_BYTES = 48 << 20  # of pixels at a time


def fit(images: Pixels, shape: tuple[int, ...]) -> Pixels:
    """uint8 [N, H, W, C] images in the `shape` (height, width, channels), by the contract's resize and luma."""
    import numpy as np

    if images.shape[1:] == shape:
        return images
    height, width, channels = shape
    if (images.shape[-1], channels) not in ((1, 1), (3, 1), (3, 3)):
        raise InputError(f"The images have {images.shape[-1]} channels where the model takes {channels}.")
    fitted = np.empty((len(images), *shape), np.uint8)
    for i, image in enumerate(images):
        resized = resize(image, height, width)
        fitted[i] = luma(resized) if resized.shape[-1] > channels else resized
    return fitted


class Fitted:
    """uint8 images [N, H, W, C] in another shape: each is fitted when it is taken, so that they are never held at once.

    It is indexed as an array is, by a number, a slice, or an array of numbers.
    """

    def __init__(self, images: Pixels, shape: tuple[int, int, int]) -> None:
        fit(images[:1], shape)  # raises InputError where channels do not fit
        self._images, self._shape = images, shape

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[N, H, W, C] as fitted."""
        return (len(self._images), *self._shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, chosen: Any) -> Pixels:
        if isinstance(chosen, slice) or (hasattr(chosen, "shape") and chosen.shape):
            return fit(self._images[chosen], self._shape)
        found: Pixels = fit(self._images[chosen][None], self._shape)[0]
        return found

    def __iter__(self) -> Iterator[Pixels]:
        return (self[i] for i in range(len(self)))


def fitted_data(data: LabelledImages, shape: tuple[int, int, int]) -> LabelledImages:
    """The data with its images in the model's shape, fitted as they are taken."""
    views: list[Any] = [
        images if images.shape[1:] == shape else Fitted(images, shape)
        for images in (data.train_images, data.test_images)
    ]
    return replace(data, train_images=views[0], test_images=views[1])


def save_images(path: Path, images: Pixels) -> None:
    """Write a .npy file of uint8 images [N, H, W, C], a part at a time."""
    import numpy as np

    step = max(1, WRITTEN_BYTES // max(1, images[0].nbytes))
    with path.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": tuple(images.shape)}
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(images), step):
            stream.write(np.ascontiguousarray(images[start : start + step]).data)


def align(data: LabelledImages, labels: tuple[str, ...]) -> LabelledImages:
    """The data with its classes numbered as in `labels`.

    Raises InputError unless it has the very same classes, in whatever order, or as many without names.
    """
    import numpy as np

    own = data.source.labels
    if own == labels:
        return data
    source = replace(data.source, labels=labels)
    if len(own) == len(labels) and set(own) == set(labels):
        number = np.array([labels.index(name) for name in own], np.int64)
        return replace(
            data, source=source, train_labels=number[data.train_labels], test_labels=number[data.test_labels]
        )
    if own == tuple(str(number) for number in range(len(labels))):
        return replace(data, source=source)
    differences = [
        f"{what} {', '.join(names[:MOST_NAMES])}{' ...' if len(names) > MOST_NAMES else ''}"
        for what, names in (
            ("it lacks", [name for name in labels if name not in own]),
            ("it has besides", [name for name in own if name not in labels]),
        )
        if names
    ]
    raise InputError(
        f"The data set {data.source.spec} has {len(own)} classes where the model has {len(labels)} "
        f"({'; '.join(differences)}); give one with the model's classes."
    )
