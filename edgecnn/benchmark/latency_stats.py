"""Blocks of timed calls: in which order they are measured, and what can be said of them.

The machine is never quiet: other processes come and go, and clocks change. So what is compared was measured next to
each other, every interval is taken over blocks and not over calls (calls of a block share its luck), and a block is
represented by its fastest tenth, which an interruption does not move while what slows every call does.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from edgecnn.records import Interval, Noise, Ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    Samples = Sequence[int]
    Floats = npt.NDArray[np.float64]

QUANTILES = (50, 90, 99)
RESAMPLES = 1_000
RESAMPLING_SEED = 1
CONFIDENCE = 0.95
RATIO_CONFIDENCE = 0.99
RESTART_SHARE = 0.02  # by so much two starts of the same program may differ: where its memory comes to lie
TYPICAL = 0.1  # the quantile of a block that stands for it
BASELINE_EVERY = 3  # one block of the baseline per this many blocks of the others
NOISY_SHARE = 0.10  # of the spin loop's spread
SAME, FASTER, SLOWER, UNSTABLE = "no difference shown", "faster", "slower", "unstable"
# A latency has two modes where these hold; chosen so that quiet and merely broad ones have one.
MIN_MODE_BLOCKS = 20  # with fewer nothing is said
MIN_MODE_SHARE = 0.10  # of the values, in the smaller mode
MIN_MODE_RATIO = 1.10  # of the slower mode's median to the faster one's
MAX_VALLEY_SHARE = 1 / 30  # of the values, in the middle third between the two medians


@dataclass(frozen=True)
class Block:
    """Calls of one target, in nanoseconds, and when: the number of the block within the session."""

    at: int
    samples_ns: tuple[int, ...]

    @cached_property
    def typical_ns(self) -> float:
        """What stands for a block: the end of its fastest tenth."""
        ordered = sorted(self.samples_ns)
        return float(ordered[int(TYPICAL * (len(ordered) - 1))])


def order(targets: Iterable[int], baseline: int, generator: random.Random) -> list[int]:
    """A round: each of these targets once, in random order, with the baseline before, after, and among them."""
    others = [number for number in targets if number != baseline]
    generator.shuffle(others)
    found = [baseline]
    for number, target in enumerate(others, 1):
        found.append(target)
        if number % BASELINE_EVERY == 0 or number == len(others):
            found.append(baseline)
    return found


def calls_for(call_ns: float, seconds: float, least: int, most: int) -> int:
    """How many calls make a block of about that length."""
    return max(least, min(most, round(seconds * 1e9 / max(call_ns, 1))))


def quantiles_ms(blocks: Sequence[Block]) -> tuple[tuple[float, Interval], ...]:
    """p50, p90 and p99 of all calls in ms, each with its 95 % interval: percentiles of a bootstrap over whole blocks.

    Source: A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", 1997, 3.8 (clustered data).
    """
    import numpy as np

    values = np.percentile(np.concatenate([block.samples_ns for block in blocks]), QUANTILES) / 1e6
    generator = np.random.default_rng(RESAMPLING_SEED)
    arrays = [np.asarray(block.samples_ns) for block in blocks]
    drawn = np.empty((RESAMPLES, len(QUANTILES)))
    for row in drawn:
        chosen = generator.integers(0, len(arrays), len(arrays))
        row[:] = _quantiles(np.concatenate([arrays[i] for i in chosen]))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn / 1e6, (tail, 100 - tail), axis=0)
    return tuple(
        (float(value), Interval(low=min(float(a), float(value)), high=max(float(b), float(value))))
        for value, a, b in zip(values, low, high, strict=True)
    )


def _quantiles(samples: npt.NDArray[np.int64]) -> list[float]:
    """The same nearest-rank quantiles, without sorting everything."""
    import numpy as np

    ranks = [min(len(samples) - 1, math.ceil(len(samples) * q / 100) - 1) for q in QUANTILES]
    parted = np.partition(samples, ranks)
    return [float(parted[rank]) for rank in ranks]


def median_ns(block: Block) -> float:
    """The median of a block's calls."""
    from statistics import median

    return float(median(block.samples_ns))


def throughput(blocks: Sequence[Block], batch: int) -> float:
    """Images a second: the median over blocks of what a block got through."""
    from statistics import median

    return median(batch * len(block.samples_ns) * 1e9 / sum(block.samples_ns) for block in blocks)


def ratio(
    blocks: Sequence[Block],
    batch: int,
    baseline: Sequence[Block],
    baseline_batch: int,
    blocks_per_start: Sequence[int] = (),
) -> Ratio:
    """How the time for an image compares with the baseline's: the mean over starts of the processes of the median, over
    blocks, of a block's typical call against the mean of the baseline's blocks just before and just after it.

    The interval is that of a median by order statistics, at 99 % and without assumptions on the distribution (H. A.
    David and H. N. Nagaraja, "Order Statistics", 2003, 7.1), widened by what another start of the same program changes.

    Where blocks have two modes (see :func:`modes`), in their typical calls or between these and their medians, no
    single ratio describes them: the state is "unstable", and the interval goes from one mode's median to the other's.
    """
    from statistics import geometric_mean, median

    shares = shares_of(blocks, batch, baseline, baseline_batch)
    ends = accumulate(blocks_per_start or [len(shares)], initial=0)
    value = geometric_mean(median(shares[start:end]) for start, end in pairwise(ends))
    if both := modes_of(shares, shares_of(blocks, batch, baseline, baseline_batch, median_ns)):
        return Ratio(value=value, low=both[0], high=both[1], state=UNSTABLE)
    low, high = around_median(shares)
    return _judged(value, min(low, value), max(high, value))


def around_median(values: Sequence[float]) -> tuple[float, float]:
    """The 99 % interval of the median of these values, by order statistics."""
    ordered, rank = sorted(values), median_rank(len(values), RATIO_CONFIDENCE)
    return ordered[rank], ordered[-1 - rank]


def modes_of(typical: Sequence[float], medians: Sequence[float]) -> tuple[float, float] | None:
    """Both modes of a target's blocks, in their typical calls or between these and their medians; None where there are
    no two modes, or too few blocks to tell."""
    return modes([*typical, *medians]) if len(typical) >= MIN_MODE_BLOCKS else None


def modes(values: Sequence[float]) -> tuple[float, float] | None:
    """The medians of both modes of positive values; None where there are no two modes.

    The values are split where the logarithms vary least within both parts. These are modes where both are large enough,
    lie far enough apart, and the values between them are few: see the constants.
    """
    import numpy as np

    ordered = np.sort(np.log(np.asarray(values, float)))
    least = max(1, math.ceil(MIN_MODE_SHARE * len(ordered)))
    splits = np.arange(least, len(ordered) - least + 1)
    if not len(splits):
        return None
    sums = np.concatenate([[0.0], np.cumsum(ordered - ordered.mean())])
    split = int(splits[np.argmax(sums[splits] ** 2 / (splits * (len(ordered) - splits)))])  # least variance within
    low, high = np.median(ordered[:split]), np.median(ordered[split:])
    third = (high - low) / 3
    between = np.mean((ordered > low + third) & (ordered < high - third))
    if high - low < math.log(MIN_MODE_RATIO) or between > MAX_VALLEY_SHARE:
        return None
    return float(np.exp(low)), float(np.exp(high))


def shares_of(
    blocks: Sequence[Block],
    batch: int,
    baseline: Sequence[Block],
    baseline_batch: int,
    figure: Callable[[Block], float] = attrgetter("typical_ns"),
) -> list[float]:
    """Of each block, the time for an image as a share of the baseline's in the blocks just before and after; `figure`
    is what stands for a block."""
    from bisect import bisect_left

    places = [block.at for block in baseline]
    typical = [figure(block) / baseline_batch for block in baseline]
    found = []
    for block in blocks:
        after = bisect_left(places, block.at)
        near = typical[max(0, after - 1) : after + 1]
        found.append(figure(block) / batch * len(near) / sum(near))
    return found


def _judged(value: float, low: float, high: float) -> Ratio:
    low, high = low / (1 + RESTART_SHARE), high * (1 + RESTART_SHARE)
    return Ratio(value=value, low=low, high=high, state=SLOWER if low > 1 else FASTER if high < 1 else SAME)


def median_rank(count: int, confidence: float) -> int:
    """The largest k for which the k-th smallest and the k-th largest value (from 0) hold the median between them with
    this confidence; 0 where there are too few values for it."""
    left, tail = (1 - confidence) / 2, 0.0
    for k in range(count // 2):
        tail += math.comb(count, k) / 2**count
        if tail > left:
            return max(0, k - 1)
    return max(0, count // 2 - 1)


def change(old: Sequence[float], new: Sequence[float]) -> Ratio:
    """How a latency changed between two sessions, from a figure for each block: its share of a baseline that is the
    same in both, or its typical call in units of the spin loop of the same session, so that a change of the machine's
    pace is none of the target's.

    The 99 % interval is that of a bootstrap over the blocks of both, widened as in :func:`ratio`.
    """
    import numpy as np

    generator = np.random.default_rng(RESAMPLING_SEED)
    before, now = np.asarray(old), np.asarray(new)
    drawn = [np.median(generator.choice(values, (RESAMPLES, len(values))), axis=1) for values in (before, now)]
    tail = 100 * (1 - RATIO_CONFIDENCE) / 2
    low, high = np.percentile(drawn[1] / drawn[0], (tail, 100 - tail))
    return _judged(float(np.median(now) / np.median(before)), float(low), float(high))


def noise(spins_ns: Sequence[int], load: tuple[float, float]) -> Noise:
    """How quiet the machine was, from the times of a fixed loop between rounds and the load before and after."""
    ordered = sorted(spins_ns)
    middle = ordered[len(ordered) // 2]
    low, high = ordered[len(ordered) // 10], ordered[len(ordered) - 1 - len(ordered) // 10]
    spread = (high - low) / middle
    return Noise(
        noise_probe_ns=tuple(spins_ns),
        spread=spread,
        load_before=load[0],
        load_after=load[1],
        noisy=spread > NOISY_SHARE,
    )
