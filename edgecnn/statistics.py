"""Intervals of measured shares."""

from __future__ import annotations

from edgecnn.records import Accuracy

CONFIDENCE = 0.95


def accuracy(correct: int, total: int, split: str) -> Accuracy:
    """`correct` answers of `total` images with Wilson's score interval at 95 %.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return Accuracy(correct=correct, total=total, split=split, low=float(interval.low), high=float(interval.high))
