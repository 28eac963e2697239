"""Folders of image files, one folder a class: train/<class>/* and test/<class>/*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.console import progress
from edgecnn.data.dataset import Dataset, labelled_images
from edgecnn.errors import InputError
from edgecnn.preprocessing.decode import decode_image
from edgecnn.preprocessing.resize import resize

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Size
    from edgecnn.data.dataset import LabelledImages


def load(path: Path, size: Size) -> LabelledImages:
    """Images of any size, brought to `size` by the contract's own resize rule.

    Classes are the folders' names in alphabetical order; hidden files are passed over.
    """
    if not (path / "test").is_dir():
        raise InputError(f"{path} has no test split: put images into {path / 'test'}/<class>/ too.")
    labels = tuple(_entries(path / "train", folders=True))
    unknown = sorted(set(_entries(path / "test", folders=True)) - set(labels))
    if unknown:
        raise InputError(f"{path / 'test' / unknown[0]} is a class without training images; its label is unknown.")
    return labelled_images(
        name="folder",
        spec=str(path),
        labels=labels,
        train=_split(path / "train", labels, size),
        test=_split(path / "test", labels, size),
    )


def _entries(folder: Path, *, folders: bool) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() == folders and not p.name.startswith("."))


def _split(folder: Path, labels: tuple[str, ...], size: Size) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    import numpy as np

    files = [
        (folder / label / name, number)
        for number, label in enumerate(labels)
        if (folder / label).is_dir()
        for name in _entries(folder / label, folders=False)
    ]
    images = np.empty((len(files), *size, 3), np.uint8)
    with progress(f"reading {folder.name} images", len(files)) as advance:
        for i, (file, _) in enumerate(files):
            images[i] = resize(decode_image(file), *size)
            advance(i + 1)
    return images, np.asarray([number for _, number in files], np.int64)


PLUGIN = Dataset(
    name="folder",
    summary="folders of image files: train/<class>/* and test/<class>/*",
    accepts=lambda path: (path / "train").is_dir(),
    load=load,
)
