"""The images that parity is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.data.fitting import align, fitted_data
from edgecnn.data.loading import load_data
from edgecnn.data.samples import synthetic_images
from edgecnn.errors import DataUnavailable, NoSuchData
from edgecnn.records.contract import image_shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.records import Contract, DataSource

SYNTHETIC_EVALUATION = 5_000  # enough to show that a float export changes fewer than 1 top-1 class in 1,000


@dataclass(frozen=True)
class Evaluation:
    """The images parity is measured on; `labels` is None where none are known for this model's classes.

    The images are an array, or :class:`edgecnn.data.fitting.Fitted` where the data set's have another size.
    """

    images: Pixels
    labels: npt.NDArray[np.int64] | None
    words: str
    source: str  # SHA-256 of the data set they are of, or "synthetic images"


def evaluation_of(contract: Contract, trained_on: DataSource, spec: str | None) -> Evaluation:
    """The test split of `spec`, or of the model's training data where it is available, else synthetic images."""
    shape = image_shape(contract)
    try:
        data = load_data(spec or trained_on.spec, shape[:2])
    except (DataUnavailable, NoSuchData):
        if spec is not None:
            raise
        words = f"synthetic images, since {trained_on.name} is unavailable; accuracy is not measured"
        return Evaluation(synthetic_images(SYNTHETIC_EVALUATION, contract), None, words, "synthetic images")
    data = align(data, contract.labels)
    same = "" if data.source.sha256 == trained_on.sha256 else ", not the copy the model was trained on"
    words = f"all test images of {data.source.name}{same}"
    return Evaluation(fitted_data(data, shape).test_images, data.test_labels, words, data.source.sha256)
