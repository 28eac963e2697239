"""What a data set is: one module in edgecnn/data/datasets with one constant, `PLUGIN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgecnn.errors import InputError
from edgecnn.records import DataSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels, Size


@dataclass(frozen=True)
class LabelledImages:
    """A data set in memory: uint8 [N, height, width, channels] images, int64 [N] labels, for both splits."""

    source: DataSource
    train_images: Pixels
    train_labels: npt.NDArray[np.int64]
    test_images: Pixels
    test_labels: npt.NDArray[np.int64]


def labelled_images(
    *,
    name: str,
    spec: str,
    labels: tuple[str, ...] | None,
    train: tuple[Pixels, npt.NDArray[np.int64]],
    test: tuple[Pixels, npt.NDArray[np.int64]],
) -> LabelledImages:
    """Check a data set and hash it. Without `labels` the classes are called by their numbers.

    Raises InputError unless both splits have images, there are two classes at least, and labels are 0 to n-1
    with training images for each.
    """
    import hashlib

    import numpy as np

    for split, (images, _) in (("training", train), ("test", test)):
        if not len(images):
            raise InputError(f"The data set {spec} has no {split} images; both a training and a test split are needed.")
    present = np.unique(train[1])
    names = labels or tuple(str(number) for number in range(len(present)))
    if len(names) < 2 or len(present) < 2:
        raise InputError(f"The data set {spec} has a single class; a classifier needs two at least.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"The data set {spec} has two classes called '{twice}'; give each a name of its own.")
    outside = [int(label) for label in np.union1d(present, test[1]) if not 0 <= label < len(names)]
    if outside:
        raise InputError(
            f"The data set {spec} has the label {outside[0]}, out of range for its {len(names)} classes "
            f"(0 to {len(names) - 1})."
        )
    if len(present) < len(names):
        empty = next(name for number, name in enumerate(names) if number not in present)
        raise InputError(f"The data set {spec} has no training image of the class '{empty}'.")
    digest = hashlib.sha256(repr(names).encode())
    for array in (*train, *test):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    source = DataSource(
        name=name,
        spec=spec,
        sha256=digest.hexdigest(),
        labels=names,
        train_count=len(train[0]),
        test_count=len(test[0]),
    )
    return LabelledImages(source, *train, *test)


@dataclass(frozen=True)
class Dataset:
    """A source of labelled images.

    `accepts` says whether a path is of this kind and `load` reads it; `load_by_name` is what `--data NAME` gives
    without a path; `find` says where a copy of that lies on this machine, None where there is none, without a download.
    Both loaders are told the size the images are wanted in, for sets whose images have sizes of their own;
    any other set gives its images as they are. They raise InputError for data that cannot be used and
    DataUnavailable where the set is unavailable on this machine.
    """

    PACKAGE: ClassVar[str] = "edgecnn.data.datasets"  # where its plug-ins lie

    name: str
    summary: str
    accepts: Callable[[Path], bool] = lambda path: False
    load: Callable[[Path, Size], LabelledImages] | None = None
    load_by_name: Callable[[Size], LabelledImages] | None = None
    find: Callable[[], Path | None] | None = None  # None where it is made, not found
