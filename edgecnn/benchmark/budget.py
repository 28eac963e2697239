"""How a time budget is spent: a minimum of blocks for every target, then more where intervals are widest.

Who gets more is decided by the widths of intervals alone, never by where they lie: that a ratio was seen to be above
or below 1 changes nothing. Blocks stay interleaved with the baseline's whoever takes part in a round.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecnn.benchmark.latency_stats import around_median, median_ns, modes_of, shares_of
from edgecnn.benchmark.session import measure_round
from edgecnn.errors import MachineError
from edgecnn.records import TimeBudget, Unsettled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgecnn.benchmark.session import Measurement

SEED = 0
STARTS = 3  # of a process at most: memory comes to lie elsewhere with each
MIN_ROUNDS = 12  # after each start, of all targets: the interval of a median at 99 % takes 8 blocks
ROUNDS_AT_ONCE = 3  # between two looks at the widths
SETTLED = 0.02  # relative width of an interval below which more blocks are of no use: two starts differ by as much
STARTS_SHARE = 2 / 3  # of what is left after the minimum, for further starts and their minimum
FINISH_SHARE = 0.05  # of the budget, for what comes after the last round


@dataclass
class Budget:
    """Seconds that a benchmark may take, counted from when this was made."""

    seconds: float
    begun: float = field(default_factory=time.perf_counter)

    @property
    def used(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        """Seconds that are left for measuring; negative where the budget is overdrawn."""
        return self.seconds * (1 - FINISH_SHARE) - self.used


@dataclass
class Session:
    """Targets that were started, which of them is the baseline, and what they may take.

    `restart` starts some of them anew and gives those that failed.
    """

    started: Sequence[Measurement]
    baseline: int
    budget: Budget
    cores: int
    restart: Callable[[Sequence[Measurement]], dict[int, MachineError]]
    advance: Callable[[], None] = lambda: None
    spins: list[int] = field(default_factory=list)  # times of a fixed loop before each round, in ns
    _random: random.Random = field(default_factory=lambda: random.Random(SEED))

    def spend(self) -> None:
        """Measure until all is settled or the budget is used; the minimum of each target is measured in any case."""
        begun = self.budget.used
        self._rounds(range(len(self.started)), MIN_ROUNDS)
        minimum = self.budget.used - begun
        again = affordable(self._costs(), self.baseline, minimum, self.budget.left)
        cost = sum(self._costs()[i] for i in again) + minimum
        starts = STARTS if again else 1
        for start in range(1, starts):
            further = starts - start
            self._settle(until=self.budget.used + (self.budget.left - further * cost) / (further + 1))
            self._restart([self.started[i] for i in again])
            self._rounds(range(len(self.started)), MIN_ROUNDS)
        self._settle(until=self.budget.used + self.budget.left)
        for one in self.started:
            one.note_memory()

    def outcome(self) -> TimeBudget:
        """What was used so far, and the targets that it did not suffice for, the widest interval first."""
        found = [
            Unsettled(target=self.started[number].target.name, width=width)
            for number, width in widths(self.started, self.baseline).items()
            if width > SETTLED
        ]
        return TimeBudget(
            seconds=self.budget.seconds,
            used_seconds=self.budget.used,
            unsettled=tuple(sorted(found, key=lambda one: -one.width)),
        )

    def _restart(self, members: Sequence[Measurement]) -> None:
        for one in members:
            one.note_memory()
        for error in self.restart(members).values():
            raise error

    def _costs(self) -> list[float]:
        """Seconds that another start of each target takes."""
        parallel = min(self.cores, len(self.started))
        return [one.open_seconds / parallel + one.start_seconds for one in self.started]

    def _settle(self, until: float) -> None:
        """Rounds of the targets whose intervals are widest, until the budget has been used so far or all is settled."""
        while self.budget.used < until and (chosen := widest(widths(self.started, self.baseline))):
            self._rounds(chosen, ROUNDS_AT_ONCE)

    def _rounds(self, chosen: Iterable[int], count: int) -> None:
        members = list(chosen)
        for _ in range(count):
            self.spins.append(measure_round(self.started, members, self.baseline, self._random))
            self.advance()


def affordable(costs: Sequence[float], baseline: int, minimum: float, left: float) -> list[int]:
    """Which targets are started again, STARTS times in all: the baseline, then the cheapest, while STARTS_SHARE of the
    seconds that are left pays for it and for the minimum that follows each start; none where that is too little."""
    pays = left * STARTS_SHARE / (STARTS - 1) - minimum
    found: list[int] = []
    for number in sorted(range(len(costs)), key=lambda i: (i != baseline, costs[i])):
        pays -= costs[number]
        if pays < 0:
            break
        found.append(number)
    return found


def widths(started: Sequence[Measurement], baseline: int) -> dict[int, float]:
    """The relative width of each target's interval: of its ratio to the baseline, or of its time where it is alone.

    A target with two modes has none: its interval does not become narrower.
    """
    base = started[baseline]
    if len(started) == 1:
        return {0: _relative_width([block.typical_ns for block in base.blocks])}
    found = {}
    for number, one in enumerate(started):
        if number == baseline:
            continue
        both = (one.blocks, one.target.batch, base.blocks, base.target.batch)
        shares = shares_of(*both)
        if modes_of(shares, shares_of(*both, median_ns)) is None:
            found[number] = _relative_width(shares)
    return found


def _relative_width(values: Sequence[float]) -> float:
    low, high = around_median(values)
    return high / low - 1


def widest(found: dict[int, float]) -> list[int]:
    """The targets that are not settled and at least half as wide as the widest."""
    most = max(found.values(), default=0.0)
    return [number for number, width in found.items() if width > SETTLED and width >= most / 2]
