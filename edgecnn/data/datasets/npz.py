"""A NumPy archive with x_train, y_train, x_test, y_test and, if it likes, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.arrays import MAX_SIDE, fits
from edgecnn.data.dataset import Dataset, labelled_images
from edgecnn.errors import InputError, reason_of
from edgecnn.files import load_arrays

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.data.dataset import LabelledImages

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load(path: Path) -> LabelledImages:
    """Images are uint8 [N, H, W, 3], [N, H, W, 1] or [N, H, W]; labels whole numbers [N] or [N, 1].

    An array `labels` of strings names the classes; without it they are called by their numbers.
    """
    arrays = _read(path)
    names = arrays.get("labels")
    if names is not None and names.dtype.kind != "U":
        raise InputError(f"{path}: labels is {names.dtype}; class names must be an array of strings.")
    splits = {}
    for split in ("train", "test"):
        images = _images(arrays[f"x_{split}"], f"{path}: x_{split}")
        splits[split] = (images, _labels(arrays[f"y_{split}"], len(images), f"{path}: y_{split}"))
    return labelled_images(
        name="npz",
        spec=str(path),
        labels=None if names is None else tuple(str(name) for name in names.ravel()),
        train=splits["train"],
        test=splits["test"],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        arrays = load_arrays(path)
    except InputError:
        raise
    except Exception as error:  # zip, zlib and numpy's own parser each fail in their own ways
        raise InputError(f"{path} is damaged or not an .npz file ({reason_of(error)}).") from None
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise InputError(f"{path} has no {' and no '.join(missing)}; it needs {', '.join(ARRAYS)}.")
    return arrays


def _images(array: Any, what: str) -> npt.NDArray[np.uint8]:
    import numpy as np

    if array.dtype != np.uint8:
        raise InputError(f"{what} is {array.dtype}; images must be uint8, 0 to 255.")
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise InputError(f"{what} has the shape {list(array.shape)}; images must be [N, height, width, 1 or 3].")
    if not fits(*array.shape[1:3]):
        raise InputError(f"{what} has the shape {list(array.shape)}; sides must be 1 to {MAX_SIDE:,} pixels.")
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _labels(array: Any, count: int, what: str) -> npt.NDArray[np.int64]:
    import numpy as np

    if array.dtype.kind not in "iu" or array.size != count:
        raise InputError(f"{what} must hold one whole number for each of the {count} images.")
    labels: npt.NDArray[np.int64] = array.reshape(-1).astype(np.int64)
    return labels


PLUGIN = Dataset(
    name="npz",
    summary="an .npz file with uint8 x_train, x_test and whole-number y_train, y_test",
    accepts=lambda path: path.is_file() and path.suffix == ".npz",
    load=lambda path, size: load(path),
)
