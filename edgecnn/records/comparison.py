"""What `edgecnn compare` prints."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import Accuracy, Difference
from edgecnn.records.latency import Ratio


@dataclass(frozen=True, kw_only=True)
class TargetComparison:
    """One target in two runs."""

    name: str
    old_accuracy: Accuracy | None
    new_accuracy: Accuracy | None
    accuracy_change: Difference | None
    paired: bool  # whether image by image, both runs having seen the same
    old_verdict: str  # of parity; empty for the reference
    new_verdict: str
    state: str  # "better", "worse", "no difference shown" or "not comparable"


@dataclass(frozen=True, kw_only=True)
class LatencyComparison:
    """One target's latency in two runs."""

    name: str
    old_ms: float  # p50
    new_ms: float
    change: Ratio  # new to old


@dataclass(frozen=True, kw_only=True)
class SizeComparison:
    """One format's export in two runs."""

    format: str
    old_bytes: int
    new_bytes: int
    state: str  # "smaller", "larger" or "the same"

    @property
    def growth_percent(self) -> float:
        """By how many percent the file grew; negative where it shrank."""
        return 100 * (self.new_bytes / self.old_bytes - 1)


@dataclass(frozen=True, kw_only=True)
class Regression:
    """What makes the new run worse."""

    kind: str  # "accuracy", "latency" or "size"
    name: str  # of the target, or the format
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """What `edgecnn compare` prints of two runs."""

    schema: int
    old: str  # path, or name of a pretrained run
    new: str
    same_images: bool
    rows: tuple[TargetComparison, ...]
    latencies: tuple[LatencyComparison, ...]
    sizes: tuple[SizeComparison, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    fail_on: tuple[str, ...]  # the kinds of regression that were looked for
    max_slowdown_percent: float
    max_growth_percent: float
    regressions: tuple[Regression, ...]
    machines: tuple[str, ...] = ()  # where the latencies were measured, in words; two where they differ
    latencies_skipped: str = ""  # why latencies were not compared
