"""Results of the predictor: one image's labels and probabilities or scores, and the results of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import LOGITS, SCORES
from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from collections.abc import Generator

    from edgecnn.arrays import Floats


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one image."""

    scores: Floats  # as the file gives them: float32 [classes], in the order of `labels`
    probabilities: Floats  # float32 [classes] in [0, 1], their sum 1 unless `independent`
    labels: tuple[str, ...]
    best: int  # where the highest score stands, among equals the first
    independent: bool = False  # whether each score is of its own label: then any number of labels may hold

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[self.best]

    @property
    def probability(self) -> float:
        """The probability of `label`, or its score where those are independent, in [0, 1]."""
        return float(self.probabilities[self.best])

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n most probable labels with their probabilities, best first; among equals the earlier label."""
        best = (-self.scores).argsort(kind="stable")[:n].tolist()
        return [(self.labels[i], float(self.probabilities[i])) for i in best]


def prediction_of(scores: Floats, labels: tuple[str, ...], meaning: str) -> Prediction:
    """The prediction for one image's outputs, float32 [classes]; of logits the probabilities are the softmax."""
    best = scores.argmax()
    probabilities = scores
    if meaning == LOGITS:
        import numpy as np

        probabilities = np.exp(scores - scores[best])  # at most 1, so nothing overflows
        probabilities /= np.add.reduce(probabilities)
    return Prediction(scores, probabilities, labels, int(best), meaning == SCORES)


def predictions_of(scores: Floats, labels: tuple[str, ...], meaning: str) -> Iterator[Prediction]:
    """The same for each row of float32 [N, classes], equal to the bit."""
    best = scores.argmax(axis=1)
    probabilities = scores
    if meaning == LOGITS:
        import numpy as np

        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities /= np.add.reduce(probabilities, axis=1, keepdims=True)
    for row, shares, place in zip(scores, probabilities, best.tolist(), strict=True):
        yield Prediction(row, shares, labels, place, meaning == SCORES)


class Predictions(Iterator[Prediction]):
    """The results of many images, in their order.

    Where an image cannot be used `next` raises its error, and the next `next` goes on with the image after it.
    """

    def __init__(self, predictions: Generator[Prediction | EdgecnnError, None, None]) -> None:
        self._predictions = predictions

    def __next__(self) -> Prediction:
        prediction = next(self._predictions)
        if isinstance(prediction, EdgecnnError):
            raise prediction
        return prediction

    def close(self) -> None:
        """End the processes that read images, where there are some; done by itself once all is read."""
        self._predictions.close()
