"""The best setting for each goal: latency, throughput, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.benchmark.latency_stats import UNSTABLE
from edgecnn.report.words import ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import LatencyRow

CLOSE_MEMORY = 1.02  # times the least: not shown to be more


@dataclass(frozen=True)
class Goal:
    """What one may want, and the row that is best at it."""

    name: str
    row: LatencyRow
    figure: str
    close: int  # how many other rows are not shown to be worse


def goals(rows: Sequence[LatencyRow]) -> list[Goal]:
    """The best settings; unstable rows only where there are no others."""
    rows = [row for row in rows if not (row.ratio and row.ratio.state == UNSTABLE)] or rows
    found = []
    single = [row for row in rows if row.batch == 1]
    if single:
        best = min(single, key=lambda row: row.p50_ms)
        close = sum(1 for row in single if row is not best and _overlap(row, best))
        found.append(Goal("latency of one image", best, f"p50 {ms(best.p50_ms)}", close))
    if rows:
        best = max(rows, key=lambda row: row.images_per_s)
        found.append(Goal("throughput", best, f"{best.images_per_s:,.0f} images/s", 0))
        best = min(rows, key=lambda row: row.peak_memory_bytes)
        close = sum(row.peak_memory_bytes < CLOSE_MEMORY * best.peak_memory_bytes for row in rows) - 1
        found.append(Goal("memory", best, f"{best.peak_memory_bytes / 2**20:.0f} MiB at most", close))
    return found


def _overlap(row: LatencyRow, best: LatencyRow) -> bool:
    """Whether the intervals of two medians do."""
    return row.p50_interval_ms.low <= best.p50_interval_ms.high
