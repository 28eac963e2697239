"""Results of the predictor: one image's labels and probabilities or scores, and the results of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
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
    labels: tuple[str, ...]
    meaning: str  # of the scores: "logits", "probabilities" or "scores"

    @cached_property
    def best(self) -> int:
        """Where the highest score stands, among equals the first."""
        return int(self.scores.argmax())

    @cached_property
    def probabilities(self) -> Floats:
        """float32 [classes] in [0, 1], their sum 1 unless `independent`; of logits the softmax."""
        if self.meaning != LOGITS:
            return self.scores
        import numpy as np

        shares: Floats = np.exp(self.scores - self.scores[self.best])  # at most 1, so nothing overflows
        shares /= np.add.reduce(shares)
        return shares

    @property
    def independent(self) -> bool:
        """Whether each score is of its own label: then any number of labels may hold."""
        return self.meaning == SCORES

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
