"""What `edgecnn compare` prints."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import Accuracy, Difference
from edgecnn.records.latency import Ratio


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One target in two runs."""

    name: str
    old_accuracy: Accuracy | None
    new_accuracy: Accuracy | None
    change: Difference | None  # of the accuracy
    paired: bool  # whether image by image, both runs having seen the same
    old_verdict: str  # of parity; empty for the reference
    new_verdict: str
    old_bytes: int | None  # of the exported file
    new_bytes: int | None
    state: str  # "better", "worse", "no difference shown" or "not comparable"


@dataclass(frozen=True, kw_only=True)
class ComparedLatency:
    """One target's latency in two runs."""

    name: str
    old_ms: float  # p50
    new_ms: float
    change: Ratio  # new to old


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `edgecnn compare` prints of two runs."""

    schema: int
    old: str
    new: str
    same_images: bool
    rows: tuple[ComparedRow, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    worse: tuple[str, ...]  # names of the targets that lost
    latencies: tuple[ComparedLatency, ...] = ()
    machines: tuple[str, ...] = ()  # where the latencies were measured, in words; two where they differ
