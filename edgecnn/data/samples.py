"""The few images that are kept with a run, or synthetic ones in their place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from edgecnn.data.fitting import fit
from edgecnn.data.stratified import balanced, members, without
from edgecnn.errors import InputError, reason_of
from edgecnn.files import load_arrays, staged
from edgecnn.records.contract import image_shape
from edgecnn.run_directory import SAMPLES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.data.dataset import LabelledImages
    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

DRAWN_SEED = 20_260_101  # synthetic images are the same everywhere
SYNTHETIC_COUNT = 1_000
CALIBRATION_PER_CLASS = 50
SELECTION_COUNT = 2_000
MOST_BYTES = 48 << 20  # of pixels kept for one purpose, however large the images are
KEPT_TEST_IMAGES = 64
SAMPLING_STREAM = 1  # keeps the draw of the samples apart from the order of the epochs


@dataclass(frozen=True)
class Samples:
    """A few images of a run: training images for calibration and to select layers by, test images to show and time.

    `test_digests` tell whether an image is one of the test split, see :func:`digests`.
    """

    calibration: Pixels
    selection: Pixels  # with `selection_labels`; none of them where images are synthetic
    selection_labels: npt.NDArray[np.int64]
    images: Pixels
    test_digests: npt.NDArray[np.uint64]
    is_synthetic: bool  # whether synthetic images replace the data set's own

    def words(self) -> str:
        """Which images these are, for a reader."""
        return "synthetic images" if self.is_synthetic else "test images kept with the run"


def synthetic_images(count: int, contract: Contract) -> Pixels:
    """The same `count` synthetic images everywhere, at the model's size."""
    from edgecnn.data.datasets.synthetic import draw

    images, _ = draw(count, seed=DRAWN_SEED, split="test")
    return fit(images, image_shape(contract))


def digests(images: Pixels) -> npt.NDArray[np.uint64]:
    """uint64 [N]: the first 8 bytes of the SHA-256 of each image's pixels, little-endian."""
    import numpy as np

    found = [hashlib.sha256(np.ascontiguousarray(image).data).digest()[:8] for image in images]
    return np.frombuffer(b"".join(found), "<u8").astype(np.uint64)


def save_samples(run: Run, data: LabelledImages, seed: int) -> str:
    """Write training images for calibration and selection, as many of each class, and the first test images.

    A training image that is a test image too is passed over unless its class has no other. Returns the SHA-256 over
    the calibration pixels.
    """
    import numpy as np

    generator = np.random.default_rng([seed, SAMPLING_STREAM, len(data.train_labels)])
    test_digests = digests(data.test_images)
    classes = len(data.source.labels)
    groups = members(data.train_labels, classes, np.isin(digests(data.train_images), test_digests))
    most = max(1, MOST_BYTES // data.train_images[0].nbytes)
    chosen = balanced(generator, groups, min(CALIBRATION_PER_CLASS * classes, most))
    selected = balanced(generator, without(groups, chosen), min(SELECTION_COUNT, most))
    calibration = data.train_images[chosen]
    with staged(run.path(SAMPLES)) as draft:
        np.savez_compressed(
            draft,
            calibration=calibration,
            selection=data.train_images[selected],
            selection_labels=data.train_labels[selected],
            images=data.test_images[:KEPT_TEST_IMAGES],
            test_digests=test_digests,
        )
    return hashlib.sha256(calibration.tobytes()).hexdigest()


def samples_of(run: Run, contract: Contract) -> Samples:
    """The images kept with the run, or synthetic ones where it has none (a pretrained run carries no data)."""
    import numpy as np

    path = run.path(SAMPLES)
    if not path.is_file():
        images = synthetic_images(SYNTHETIC_COUNT, contract)
        return Samples(
            calibration=images,
            selection=images[:0],
            selection_labels=np.zeros(0, np.int64),
            images=images[:KEPT_TEST_IMAGES],
            test_digests=np.zeros(0, np.uint64),
            is_synthetic=True,
        )
    try:
        arrays = load_arrays(path)
        names = [field.name for field in fields(Samples) if field.name != "is_synthetic"]
        samples = Samples(**{name: arrays[name] for name in names}, is_synthetic=False)
        _check(samples, contract)
        return samples
    except Exception as error:  # zip, zlib and numpy's parser each fail in their own ways
        raise InputError(f"{path} is damaged ({reason_of(error)}); {run.maker()} writes it again.") from None


def _check(samples: Samples, contract: Contract) -> None:
    """Raises ValueError unless the arrays fit each other and the model."""
    import numpy as np

    for array in (samples.calibration, samples.selection, samples.images):
        if array.dtype != np.uint8 or array.shape[1:] != image_shape(contract) or not len(array):
            raise ValueError(f"{array.dtype} {list(array.shape)} is not a uint8 array of images that fit the model")
    labels = samples.selection_labels
    if labels.dtype != np.int64 or labels.shape != samples.selection.shape[:1]:
        raise ValueError("there is not one label for each image")
    if not 0 <= labels.min() <= labels.max() < len(contract.labels):
        raise ValueError("a label is out of range")
    if samples.test_digests.dtype != np.uint64 or samples.test_digests.ndim != 1:
        raise ValueError(f"{samples.test_digests.dtype} is not an array of digests")
