"""Intervals: what they cover, and what they do where little is seen."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.stats import binom

from edgecnn.parity import intervals
from edgecnn.parity.intervals import accuracy, macro_accuracy, mid_p_limits

paired = functools.cache(intervals.paired)  # the same counts turn up under many assumptions


def _coverage(expected: float, share_repaired: float, images: int) -> float:
    """How often the interval holds the truth, from all outcomes that are likelier than a billionth."""
    up, down = expected * share_repaired / images, expected * (1 - share_repaired) / images
    covered = 0.0
    for broken in range(int(binom.ppf(1e-7, images, down)), int(binom.ppf(1 - 1e-7, images, down)) + 1):
        rest, share = images - broken, up / (1 - down)
        repaired = np.arange(int(binom.ppf(1e-7, rest, share)), int(binom.ppf(1 - 1e-7, rest, share)) + 1)
        weights = binom.pmf(repaired, rest, share) * binom.pmf(broken, images, down)
        for count, weight in zip(repaired.tolist(), weights.tolist(), strict=True):
            if weight > 1e-8:
                found = paired(broken, count, images)
                covered += weight * (found.low_points - 1e-9 <= 100 * (up - down) <= found.high_points + 1e-9)
    return covered


@pytest.mark.slow
@pytest.mark.parametrize("share_repaired", [0.0, 0.2, 0.5, 0.67])
@pytest.mark.parametrize("images", [2_000, 10_000])
def test_the_interval_covers_what_it_says(share_repaired: float, images: int) -> None:
    for expected in (0.0, 0.1, 1.0, 2.5, 3.02, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 35.0, 60.0):
        covered = _coverage(expected, share_repaired, images)
        assert covered >= 0.94, expected
        assert covered <= 0.97 or expected < 20, expected


@pytest.mark.slow
def test_the_interval_covers_what_it_says_of_many_discordant_pairs() -> None:
    random = np.random.default_rng(1)
    for expected in (150, 500):
        up, down = 0.4 * expected / 10_000, 0.6 * expected / 10_000
        drawn = random.multinomial(10_000, [up, down, 1 - up - down], 4_000)
        found = [paired(int(broken), int(repaired), 10_000) for repaired, broken, _ in drawn]
        covered = np.mean([i.low_points <= 100 * (up - down) <= i.high_points for i in found])
        assert 0.94 <= covered <= 0.965


def test_macro_accuracy_takes_images_for_what_is_independent() -> None:
    found = macro_accuracy(9_500, 1_000, 10, "test")
    whole = accuracy(950, 1_000, "test")
    assert (found.share, found.low, found.high) == (0.95, whole.low, whole.high)
    assert macro_accuracy(9_501, 1_000, 10, "test").high > whole.high >= macro_accuracy(9_499, 1_000, 10, "test").high


def test_nothing_discordant_has_a_width() -> None:
    found = paired(0, 0, 10_000)
    assert (found.points, found.p_value) == (0, 1)
    assert found.low_points == -found.high_points
    assert found.low_points == pytest.approx(-0.03, abs=1e-4)


def test_the_ends_are_symmetric_and_inside_the_possible() -> None:
    assert paired(3, 8, 50).low_points == pytest.approx(-paired(8, 3, 50).high_points)
    assert paired(50, 0, 50).low_points == -100
    assert paired(1, 0, 1).high_points <= 100


def test_mcnemar_is_exact() -> None:
    assert paired(1, 8, 100).p_value == pytest.approx(0.0390625)


def test_mid_p_limits_hold_half_of_what_was_seen() -> None:
    low, high = mid_p_limits(7, 40)
    assert binom.cdf(6, 40, high) + binom.pmf(7, 40, high) / 2 == pytest.approx(0.025)
    assert binom.sf(7, 40, low) + binom.pmf(7, 40, low) / 2 == pytest.approx(0.025)
    assert mid_p_limits(0, 5)[0] == 0
    assert mid_p_limits(5, 5)[1] == 1
