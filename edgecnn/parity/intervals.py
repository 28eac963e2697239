"""Intervals of measured shares, and of the difference of two on the same images."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from edgecnn.records import Accuracy, Difference, PairedDifference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
MAX_IMAGES = 10**9  # that are reckoned with when asking how many would be needed


def accuracy(correct: int, total: int, split: str) -> Accuracy:
    """`correct` answers of `total` images with Wilson's score interval at 95 %.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return Accuracy(correct=correct, total=total, split=split, low=float(interval.low), high=float(interval.high))


def macro_accuracy(right: int, images: int, labels: int, split: str) -> Accuracy:
    """The mean over labels of the share of images on which a label is decided correctly: `right` of `images * labels`.

    Decisions about one image depend on each other, so the images are what is independent. An image's share of right
    decisions lies in [0, 1] and varies no more than a yes or no of the same mean does, so Wilson's interval of that
    share of `images` (its ends from the next whole numbers outwards) is on the safe side.
    """
    low = accuracy(right // labels, images, split).low
    high = accuracy(-(-right // labels), images, split).high
    return Accuracy(correct=right, total=images * labels, split=split, low=low, high=high)


def paired(negative: int, positive: int, images: int) -> PairedDifference:
    """The change of accuracy between two classifiers on the same `images`, of which the second has `negative` (right
    before, wrong now) and `positive` the reverse; with its 95 % interval and the exact p of McNemar's test."""
    from scipy.stats import binomtest

    change = paired_interval(negative, positive, images)
    discordant = negative + positive
    return PairedDifference(
        negative_flips=negative,
        positive_flips=positive,
        images=images,
        points=change.points,
        low_points=change.low_points,
        high_points=change.high_points,
        p_value=float(binomtest(negative, discordant).pvalue) if discordant else 1.0,
    )


def paired_interval(negative: int, positive: int, images: int) -> Difference:
    """The change of :func:`paired` with its 95 % interval.

    The interval is the square-and-add one for a difference of two shares of one multinomial, `positive / images -
    negative / images`, made of their mid-p binomial limits and their correlation. Its coverage, enumerated for 0 to 500
    expected discordant images however they split, is 94.5 % at least and 95 to 97 % from 20 on, and it has a width
    where nothing is discordant (Wald's has none).

    Sources: R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", 1998; G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", 2008;
    H. O. Lancaster, "Significance tests in discrete distributions", 1961 (mid-p); Q. McNemar, 1947.
    """
    up, down = positive / images, negative / images
    (up_low, up_high), (down_low, down_high) = mid_p_limits(positive, images), mid_p_limits(negative, images)
    correlation = -math.sqrt(up * down / ((1 - up) * (1 - down))) if up < 1 and down < 1 else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(a * a + b * b - 2 * correlation * a * b)

    difference = up - down
    return Difference(
        points=100 * difference,
        low_points=100 * max(-1.0, difference - reach(up - up_low, down_high - down)),
        high_points=100 * min(1.0, difference + reach(up_high - up, down - down_low)),
    )


def combined(steps: Sequence[Difference], open_share: float = 0.0) -> Difference | None:
    """The change over all steps, one or two; None for none.

    `open_share` is a share of images of which nothing is known: the interval is wider by it on both sides.
    """
    if not steps:
        return None
    change = chained(*steps) if len(steps) == 2 else steps[0]
    return Difference(
        points=change.points,
        low_points=change.low_points - 100 * open_share,
        high_points=change.high_points + 100 * open_share,
    )


def images_needed(suffices: Callable[[int], bool], images: int) -> int | None:
    """The least number of images that suffices, from `images` on, rounded up to two digits; None where none does."""
    low, high = images, images
    while not suffices(high):
        low, high = high, 2 * high
        if high > MAX_IMAGES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    step: int = 10 ** max(0, len(str(high)) - 2)
    return -(-high // step) * step


def chained(first: Difference, second: Difference) -> Difference:
    """Of a change measured in two steps, each on images of its own number: their sum, its interval by square-and-add.

    So a slow runtime is judged: what its artifact changes was measured elsewhere on all images, and what the runtime
    changes of that on a few.
    """
    return Difference(
        points=first.points + second.points,
        low_points=first.points
        + second.points
        - math.hypot(first.points - first.low_points, second.points - second.low_points),
        high_points=first.points
        + second.points
        + math.hypot(first.high_points - first.points, second.high_points - second.points),
    )


@lru_cache(maxsize=4096)
def mid_p_limits(count: int, total: int) -> tuple[float, float]:
    """The 95 % mid-p limits of a binomial share in [0, 1]: half the probability of what was seen counts as beyond."""
    from scipy.optimize import brentq
    from scipy.stats import binom

    def upper(k: int) -> float:
        if k == total:
            return 1.0
        return float(brentq(lambda p: binom.cdf(k - 1, total, p) + binom.pmf(k, total, p) / 2 - TAIL, k / total, 1.0))

    return 1 - upper(total - count), upper(count)


def independent(old: Accuracy, new: Accuracy) -> Difference:
    """The change between accuracies on different images, its interval by square-and-add of Wilson's limits.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions", 1998, method 10.
    """
    change = new.share - old.share
    return Difference(
        points=100 * change,
        low_points=100 * (change - math.hypot(new.share - new.low, old.high - old.share)),
        high_points=100 * (change + math.hypot(new.high - new.share, old.share - old.low)),
    )
