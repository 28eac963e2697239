"""Did a target become slower from one run to another? From the blocks that both kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.benchmark.latency_stats import change, shares_of
from edgecnn.benchmark.session import blocks_of
from edgecnn.errors import UsageError
from edgecnn.records import Latency, LatencyComparison
from edgecnn.records.common import setting_name

if TYPE_CHECKING:
    from edgecnn.records import LatencyRow
    from edgecnn.run_directory import Run

Key = tuple[str, str, str, int, int, str]


def latencies(old: Run, new: Run, *, across_machines: bool) -> tuple[tuple[LatencyComparison, ...], tuple[str, ...]]:
    """Every target that bench measured in both runs, and on which machines.

    Ratios to the baseline are compared where both runs measured the very same baseline file; otherwise latencies in
    units of the fixed loop. Raises InputError where a run was not measured, UsageError for different machines unless
    `across_machines`.
    """
    records = [run.load(run_directory.LATENCY, Latency, "bench") for run in (old, new)]
    machines = tuple(dict.fromkeys((record.machine or record.origin.machine).words for record in records))
    if len(machines) > 1 and not across_machines:
        raise UsageError(
            f"The latencies are of different machines ({machines[0]}; {machines[1]}); measure both on one, or compare "
            "them all the same with --across-machines."
        )
    rows = [{_key(row): row for row in record.rows} for record in records]
    figures = [_figures(record, _same_baseline(records)) for record in records]
    found = tuple(
        LatencyComparison(
            name=f"{row.name}, {setting_name(row.threads, row.batch)}",
            old_ms=row.p50_ms,
            new_ms=rows[1][key].p50_ms,
            change=change(figures[0][key], figures[1][key]),
        )
        for key, row in rows[0].items()
        if key in rows[1]
    )
    return found, machines


def _key(row: LatencyRow) -> Key:
    return row.format, row.runtime, row.provider, row.threads, row.batch, row.timed_region


def _baseline(record: Latency) -> LatencyRow | None:
    return next((row for row in record.rows if row.ratio is None), None)


def _same_baseline(records: list[Latency]) -> bool:
    first, second = (_baseline(record) for record in records)
    if first is None or second is None:
        return False
    return (_key(first), first.artifact_sha256) == (_key(second), second.artifact_sha256)


def _figures(record: Latency, same_baseline: bool) -> dict[Key, list[float]]:
    """For each block of each row what is compared; of the baseline itself always the time in units of the loop."""
    from statistics import median

    spin = median(record.noise.noise_probe_ns)
    baseline = _baseline(record)
    found = {}
    for row in record.rows:
        blocks = blocks_of(row)
        if same_baseline and baseline is not None and row is not baseline:
            found[_key(row)] = shares_of(blocks, row.batch, blocks_of(baseline), baseline.batch)
        else:
            found[_key(row)] = [block.typical_ns / spin for block in blocks]
    return found
