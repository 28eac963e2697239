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
    accuracy_change: Difference | None  # of the accuracy
    paired: bool  # whether image by image, both runs having seen the same
    old_verdict: str  # of parity; empty for the reference
    new_verdict: str
    old_size_bytes: int | None  # of the exported file
    new_size_bytes: int | None
    state: str  # "better", "worse", "no difference shown" or "not comparable"


@dataclass(frozen=True, kw_only=True)
class LatencyComparison:
    """One target's latency in two runs."""

    name: str
    old_ms: float  # p50
    new_ms: float
    change: Ratio  # new to old


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """What `edgecnn compare` prints of two runs."""

    schema: int
    old: str
    new: str
    same_images: bool
    rows: tuple[TargetComparison, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    regressions: tuple[str, ...]  # names of the targets that lost
    latencies: tuple[LatencyComparison, ...] = ()
    machines: tuple[str, ...] = ()  # where the latencies were measured, in words; two where they differ
