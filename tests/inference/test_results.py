"""Scores to labels and probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.inference.results import Prediction

LABELS = ("a", "b", "c")


def test_top_is_best_first_and_the_earlier_label_among_equals() -> None:
    prediction = Prediction(np.array([0.25, 0.5, 0.25], np.float32), LABELS, "probabilities")
    assert prediction.top(2) == [("b", 0.5), ("a", 0.25)]
    assert prediction.top(9) == [("b", 0.5), ("a", 0.25), ("c", 0.25)]
    assert (prediction.label, prediction.probability) == ("b", 0.5)


def test_the_label_is_the_highest_score_where_probabilities_are_rounded_to_the_same() -> None:
    scores = np.array([1e-9, 2e-9, 0], np.float32)
    prediction = Prediction(scores, LABELS, "logits")
    assert prediction.probabilities[0] == prediction.probabilities[1]
    assert prediction.label == prediction.top(1)[0][0] == "b"


def test_probabilities_are_computed_when_they_are_asked_for() -> None:
    prediction = Prediction(np.array([1, 3, 2], np.float32), LABELS, "logits")
    assert prediction.label == "b" and "probabilities" not in vars(prediction)
    assert prediction.probabilities is prediction.probabilities
    assert prediction.probabilities.sum() == pytest.approx(1)
