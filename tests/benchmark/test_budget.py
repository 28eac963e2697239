"""How a time budget is spent, and that intervals hold what they say however it was."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.benchmark.budget import MIN_ROUNDS, ROUNDS_AT_ONCE, SETTLED, STARTS, affordable, widest
from edgecnn.benchmark.latency_stats import around_median


def test_the_widest_get_more_and_the_settled_nothing() -> None:
    assert widest({0: 0.30, 1: 0.16, 2: 0.14, 4: SETTLED}) == [0, 1]
    assert widest({0: 0.03, 1: SETTLED / 2}) == [0]
    assert widest({0: SETTLED}) == [] == widest({})


@pytest.mark.parametrize(
    ("left", "found"), [(100.0, [2, 0, 3, 1]), (30.0, [2, 0, 3]), (22.0, [2, 0]), (8.9, []), (-5.0, [])]
)
def test_the_baseline_and_what_starts_soonest_are_started_again(left: float, found: list[int]) -> None:
    """A minimum of 1 s, two further starts, and a third of what is left kept for where intervals are widest."""
    assert affordable([1.0, 9.0, 2.0, 4.0], 2, 1.0, left) == found


@pytest.mark.parametrize("kind", ["normal", "skewed", "heavy tails"])
def test_intervals_contain_the_median_though_their_widths_decided_how_many_blocks_there_are(kind: str) -> None:
    """99 % intervals of ten targets, the noisiest 16 times as noisy as the quietest, with blocks for some of them."""
    generator = np.random.default_rng(5)
    draw = {
        "normal": generator.standard_normal,
        "skewed": lambda count: generator.exponential(1, count) - np.log(2),
        "heavy tails": lambda count: generator.standard_t(3, count),
    }[kind]
    spreads, contained = np.geomspace(0.005, 0.08, 10), []
    for _ in range(100):
        blocks = [list(np.exp(spread * draw(STARTS * MIN_ROUNDS))) for spread in spreads]
        for _ in range(25):
            found = {number: high / low - 1 for number, (low, high) in enumerate(map(around_median, blocks))}
            for number in widest(found):
                blocks[number] += list(np.exp(spreads[number] * draw(ROUNDS_AT_ONCE)))
        assert len(blocks[-1]) > len(blocks[0]) == STARTS * MIN_ROUNDS
        contained += [low <= 1 <= high for low, high in map(around_median, blocks)]
    assert np.mean(contained) >= 0.985
