"""Scores to labels and probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.inference.results import prediction_of, predictions_of

LABELS = ("a", "b", "c")


def test_top_is_best_first_and_the_earlier_label_among_equals() -> None:
    prediction = prediction_of(np.array([0.25, 0.5, 0.25], np.float32), LABELS, "probabilities")
    assert prediction.top(2) == [("b", 0.5), ("a", 0.25)]
    assert prediction.top(9) == [("b", 0.5), ("a", 0.25), ("c", 0.25)]
    assert (prediction.label, prediction.probability) == ("b", 0.5)


def test_the_label_is_the_highest_score_where_probabilities_are_rounded_to_the_same() -> None:
    scores = np.array([1e-9, 2e-9, 0], np.float32)
    prediction = prediction_of(scores, LABELS, "logits")
    assert prediction.probabilities[0] == prediction.probabilities[1]
    assert prediction.label == prediction.top(1)[0][0] == "b"


@pytest.mark.parametrize("meaning", ["logits", "probabilities", "scores"])
@pytest.mark.parametrize("classes", [2, 3, 7, 8, 9, 10, 17, 64, 129, 1000])
def test_many_are_as_each_alone_to_the_bit(classes: int, meaning: str) -> None:
    scores = np.random.default_rng(classes).normal(0, 8, (70, classes)).astype(np.float32)
    labels = tuple(str(i) for i in range(classes))
    for row, answer in zip(scores, predictions_of(scores, labels, meaning), strict=True):
        alone = prediction_of(row, labels, meaning)
        assert alone.probabilities.tobytes() == answer.probabilities.tobytes()
        assert alone.best == answer.best == row.argmax()
