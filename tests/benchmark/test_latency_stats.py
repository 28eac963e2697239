"""Blocks of timed calls: what is found in them, and what is not."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edgecnn.benchmark.latency_stats import (
    FASTER,
    SAME,
    SLOWER,
    UNSTABLE,
    Block,
    change,
    median_rank,
    modes,
    noise,
    order,
    quantiles_ms,
    ratio,
)

ROUNDS, CALLS = 40, 60


def session(generator: np.random.Generator, slowdown: float) -> tuple[list[Block], list[Block]]:
    """Blocks of a baseline and of a target on a machine that drifts, is interrupted, and halves its clock at times."""
    baseline: list[Block] = []
    target: list[Block] = []
    for round_ in range(ROUNDS):
        pace = 50_000 * (1 + 0.2 * np.sin(round_ / 5)) * (2 if generator.random() < 0.1 else 1)
        for place, (blocks, factor) in enumerate(((baseline, 1.0), (target, 1 + slowdown), (baseline, 1.0))):
            samples = pace * factor * generator.normal(1, 0.01, CALLS)
            samples[generator.random(CALLS) < 0.05] *= 10
            blocks.append(Block(3 * round_ + place, tuple(samples.astype(int).tolist())))
    return baseline, target


def test_a_slowdown_of_5_percent_is_found_and_none_is_not() -> None:
    generator = np.random.default_rng(5)
    found = {share: [] for share in (0.0, 0.05, -0.05)}
    for share, states in found.items():
        for _ in range(20):
            baseline, target = session(generator, share)
            states.append(ratio(target, 1, baseline, 1).state)
    assert found == {0.0: [SAME] * 20, 0.05: [SLOWER] * 20, -0.05: [FASTER] * 20}


@pytest.mark.parametrize("within", [True, False])
def test_two_modes_are_unstable_whether_blocks_or_calls_have_them(within: bool) -> None:
    """Fast are a fifth of the calls of every block, or all calls of every third block; p50 is the baseline's."""
    generator = np.random.default_rng(8)
    baseline, target = session(generator, 0.0)
    changed = []
    for number, block in enumerate(target):
        fast = np.arange(CALLS) < CALLS // 5 if within else np.full(CALLS, number % 3 == 0)
        changed.append(Block(block.at, tuple(int(ns) for ns in np.where(fast, 2 / 3, 1) * block.samples_ns)))
    found = ratio(changed, 1, baseline, 1)
    assert found.state == UNSTABLE
    assert (found.low, found.high) == pytest.approx((2 / 3, 1), rel=0.03)


@pytest.mark.parametrize("blocks", [20, 81])
def test_broad_and_skewed_latencies_have_one_mode(blocks: int) -> None:
    generator = np.random.default_rng(4)
    kinds = (
        lambda: generator.normal(1, 0.15, 2 * blocks),
        lambda: 1 + generator.exponential(0.3, 2 * blocks),
        lambda: generator.uniform(1, 1.5, 2 * blocks),
    )
    assert sum(modes(np.clip(kind(), 0.2, None)) is not None for kind in kinds for _ in range(100)) <= 3
    mixed = np.where(np.arange(2 * blocks) % 4, 1.3, 1.0) * generator.normal(1, 0.02, 2 * blocks)
    assert modes(mixed) == pytest.approx((1.0, 1.3), rel=0.02)
    assert modes([]) is None


def test_a_batch_is_held_against_single_images() -> None:
    baseline = [Block(2 * i, (100,) * 5) for i in range(20)]
    batches = [Block(2 * i + 1, (400,) * 5) for i in range(20)]
    assert ratio(batches, 8, baseline, 1).value == 0.5


def test_each_start_counts_alike_however_many_blocks_it_has() -> None:
    baseline = [Block(2 * i, (100,) * 5) for i in range(31)]
    blocks = [Block(2 * i + 1, (100 if i < 20 else 121,) * 5) for i in range(30)]
    assert ratio(blocks, 1, baseline, 1, (20, 10)).value == pytest.approx(1.1)
    assert ratio(blocks, 1, baseline, 1).value == 1


def test_every_target_comes_once_a_round_beside_the_baseline() -> None:
    generator = random.Random(1)
    for _ in range(50):
        found = order(range(8), 2, generator)
        assert sorted(t for t in found if t != 2) == [0, 1, 3, 4, 5, 6, 7]
        places = [i for i, target in enumerate(found) if target == 2]
        assert places[0] == 0 and places[-1] == len(found) - 1
        assert max(np.diff(places)) <= 4
    assert order([0], 0, generator) == [0]
    assert order([5], 2, generator) == [2, 5, 2]


@pytest.mark.parametrize(("count", "rank"), [(10, 0), (40, 11), (100, 36)])
def test_the_ranks_around_a_median(count: int, rank: int) -> None:
    """Table A.3 of Conover, "Practical Nonparametric Statistics": B(n, 1/2) below the rank holds half a percent."""
    assert median_rank(count, 0.99) == rank


def test_the_interval_of_a_median_covers_it() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        values = np.sort(generator.lognormal(0, 1, 40))
        rank = median_rank(40, 0.99)
        covered += values[rank] <= 1 <= values[-1 - rank]
    assert covered >= 980


def test_quantiles_have_intervals_over_blocks() -> None:
    generator = np.random.default_rng(2)
    blocks = [Block(i, tuple((1e6 * pace * generator.normal(1, 0.01, 30)).astype(int).tolist()))
              for i, pace in enumerate(generator.normal(1, 0.1, 30))]  # fmt: skip
    (p50, around), (p90, _), (p99, _) = quantiles_ms(blocks)
    assert p50 < p90 < p99
    assert around.low < p50 < around.high
    assert around.high - around.low > 0.03  # blocks differ, however many calls each has


def test_a_change_between_two_sessions_is_told() -> None:
    generator = np.random.default_rng(2)
    old, _ = session(generator, 0)
    new, _ = session(generator, 0)
    before, now = ([block.typical_ns / 400 for block in blocks] for blocks in (old, new))
    assert change(before, now).state == SAME
    assert change(before, [1.3 * value for value in now]).state == SLOWER
    assert change([1.3 * value for value in before], now).state == FASTER


def test_a_noisy_machine_is_told_from_a_quiet_one() -> None:
    quiet = noise([400, 401, 399, 402, 400, 400, 401, 400, 399, 401], (0.1, 0.2))
    assert not quiet.noisy
    assert noise([400, 800, 399, 402, 640, 400, 401, 800, 399, 401], (2.0, 2.1)).noisy
