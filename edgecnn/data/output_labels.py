"""What outputs say about an image: the best label, or of independent scores the labels decided for.

Logits and probabilities are of labels that exclude each other, and the answer is the label with the largest. Scores
(of a model that ends in a sigmoid) are in [0, 1], each of its own label: a label holds above THRESHOLD, so an image may
have none or several. The project's data sets give each image one label; there an image is classified correctly
when every label is decided correctly: its own applies, no other does.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Floats

    Classes = npt.NDArray[np.int64]

LOGITS, PROBABILITIES, SCORES = "logits", "probabilities", "scores"  # what an output may mean
THRESHOLD = 0.5
MAX_PREDICTION = 2**31 - 1


def predicted_classes(outputs: Floats, meaning: str) -> Classes:
    """The predictions int64 [N] of outputs float32 [N, labels]: a label's number where it alone is predicted.

    Of scores it is the number of labels where none holds, and where several do a larger number below 2**31 which is
    the same for the same labels (their CRC-32; two different sets share one by a chance of one in two thousand
    million).
    """
    import numpy as np

    if meaning != SCORES:
        return np.asarray(outputs.argmax(axis=1), np.int64)
    held = outputs > THRESHOLD
    count, labels = held.sum(axis=1), outputs.shape[1]
    found: Classes = np.where(count == 1, held.argmax(axis=1), labels)
    for i in np.flatnonzero(count > 1):
        found[i] = labels + 1 + zlib.crc32(np.packbits(held[i]).tobytes()) % (MAX_PREDICTION - labels - 1)
    return found


def prediction_name(prediction: int, labels: Sequence[str]) -> str:
    """A prediction in words."""
    if prediction < len(labels):
        return labels[prediction]
    return "no label" if prediction == len(labels) else "several labels"


def equal_share(first: Floats, second: Floats, meaning: str) -> float:
    """The share of equal predictions of outputs [N, labels]; of scores, of equal decisions over images and labels."""
    if meaning == SCORES:
        return float(((first > THRESHOLD) == (second > THRESHOLD)).mean())
    return float((first.argmax(axis=1) == second.argmax(axis=1)).mean())
