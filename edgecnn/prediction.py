"""What the predictor answers: one image's labels and probabilities, and the answers to many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one image."""

    scores: Floats  # as the file gives them, logits or probabilities: float32 [classes], in the order of `labels`
    probabilities: Floats  # float32 [classes], their sum 1
    labels: tuple[str, ...]
    best: int  # where the highest score stands, among equals the first

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[self.best]

    @property
    def probability(self) -> float:
        """The probability of `label`, in [0, 1]."""
        return float(self.probabilities[self.best])

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n most probable labels with their probabilities, best first; among equals the earlier label."""
        best = (-self.scores).argsort(kind="stable")[:n].tolist()
        return [(self.labels[i], float(self.probabilities[i])) for i in best]


def prediction_of(scores: Floats, labels: tuple[str, ...], *, are_logits: bool) -> Prediction:
    """The prediction for one image's scores, float32 [classes]; of logits the probabilities are the softmax."""
    best = scores.argmax()
    probabilities = scores
    if are_logits:
        import numpy as np

        probabilities = np.exp(scores - scores[best])  # at most 1, so nothing overflows
        probabilities /= np.add.reduce(probabilities)
    return Prediction(scores, probabilities, labels, int(best))


def predictions_of(scores: Floats, labels: tuple[str, ...], *, are_logits: bool) -> Iterator[Prediction]:
    """The same for each row of float32 [N, classes], equal to the bit."""
    best = scores.argmax(axis=1)
    probabilities = scores
    if are_logits:
        import numpy as np

        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities /= np.add.reduce(probabilities, axis=1, keepdims=True)
    for row, shares, place in zip(scores, probabilities, best.tolist(), strict=True):
        yield Prediction(row, shares, labels, place)


class Predictions(Iterator[Prediction]):
    """The answers to many images, in their order.

    Where an image cannot be used `next` raises its error, and the next `next` goes on with the image after it.
    """

    def __init__(self, answers: Generator[Prediction | EdgecnnError, None, None]) -> None:
        self._answers = answers

    def __next__(self) -> Prediction:
        answer = next(self._answers)
        if isinstance(answer, EdgecnnError):
            raise answer
        return answer

    def close(self) -> None:
        """End the processes that read images, where there are some; done by itself once all is read."""
        self._answers.close()
