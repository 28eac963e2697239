"""Figures of latency.json once more, from its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.benchmark.latency_stats import noise
from edgecnn.benchmark.session import blocks_of, figures_of
from edgecnn.records.common import setting_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.records import Latency, LatencyRow

    Figure = tuple[str, object, object]  # its name, as recorded, as computed again


def latency_figures(record: Latency) -> Iterator[Figure]:
    """Every figure that follows from the samples; raises LookupError where the baseline is no row."""
    rows = {_name(row): row for row in record.rows}
    baseline = rows[record.baseline]
    for name, row in rows.items():
        count = len(row.block_positions)
        yield f"{name}: samples_ns", len(row.samples_ns), count * row.calls_per_block
        yield f"{name}: blocks_per_start", sum(row.blocks_per_start) or count, count
        starts = row.blocks_per_start or [count // row.restarts] * row.restarts
        others = [] if row is baseline else blocks_of(baseline)
        for figure, value in figures_of(blocks_of(row), row.batch, starts, others, baseline.batch).items():
            yield f"{name}: {figure}", getattr(row, figure), value
    seen = record.noise
    yield "noise", seen, noise(seen.noise_probe_ns, (seen.load_before, seen.load_after))


def _name(row: LatencyRow) -> str:
    return f"{row.name}, {setting_name(row.threads, row.batch)}"
