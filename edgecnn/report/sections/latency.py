"""Latencies: every target, and the best setting for each goal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.benchmark.budget import SETTLED, STARTS
from edgecnn.benchmark.latency_stats import MIN_MODE_BLOCKS, UNSTABLE
from edgecnn.records.common import runtime_name
from edgecnn.report.charts.axis import log_axis
from edgecnn.report.table import Bar, Cell, Table, table
from edgecnn.report.words import counted, setting, three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Interval, Latency, LatencyRow, Ratio
    from edgecnn.report.charts.axis import Axis
    from edgecnn.report.recommendations import Goal
    from edgecnn.report.view import Line

COLUMNS = (
    "Target", "p50, line to p99 (log)", "p50, ms", "p90, ms", "p99, ms", "Images/s", "Ratio to baseline", "Verdict",
    "Load, ms", "First call, ms", "Peak, MiB",
)  # fmt: skip
NAMED = 3  # of the targets whose intervals stayed wide
OVERDRAWN = 1.1  # of a budget: what was used beyond is said
GOALS = ("Goal", "Best setting", "Figure", "Others")


def latency_table(lines: Sequence[Line]) -> Table | None:
    """Every target, with 95 % intervals of its quantiles and the 99 % interval of its ratio."""
    timed = [(line, row) for line in lines for row in line.latencies]
    if not timed:
        return None
    axis = log_axis([value for _, row in timed for value in (row.p50_ms, row.p99_ms)])
    with_device = several_devices(lines)
    rows = [_row(line, row, axis, with_device) for line, row in timed]
    return table("Latency of every target", COLUMNS, rows, numeric=(*COLUMNS[2:7], *COLUMNS[8:]))


def several_devices(lines: Sequence[Line]) -> bool:
    """Whether latencies are of more than one device, so that it has to be named."""
    return len({row.placement.device for line in lines for row in line.latencies}) > 1


def _row(line: Line, row: LatencyRow, axis: Axis, with_device: bool) -> tuple[Cell | str, ...]:
    start, end = 100 * axis.at(row.p50_ms), 100 * axis.at(max(row.p50_ms, row.p99_ms))
    timed = f", timed: {row.timed_region}" if row.timed_region else ""
    return (
        Cell(line.artifact.format, f"on {line.where},\n{setting(row, with_device)}{timed}"),
        Cell("", bar=Bar(start, end)),
        _quantile(row.p50_ms, row.p50_interval_ms),
        _quantile(row.p90_ms, row.p90_interval_ms),
        _quantile(row.p99_ms, row.p99_interval_ms),
        f"{row.images_per_s:,.0f}",
        _ratio(row.ratio) if row.ratio else "1",
        Cell(row.ratio.state if row.ratio else "baseline", "" if row.warm else "was still warming up"),
        f"{row.load_ms:.0f}",
        f"{row.first_call_ms:.1f}",
        f"{row.peak_memory_bytes / 2**20:.0f}",
    )


def _quantile(value: float, interval: Interval) -> Cell:
    return Cell(three_digits(value), f"{three_digits(interval.low)} to {three_digits(interval.high)}")


def _ratio(ratio: Ratio) -> Cell:
    """A ratio with its interval; an unstable one by its two modes, since no single value describes it."""
    low, high = three_digits(ratio.low), three_digits(ratio.high)
    if ratio.state == UNSTABLE:
        return Cell(f"{low} or {high}", "two modes")
    return Cell(three_digits(ratio.value), f"{low} to {high}")


def goals_table(goals: Sequence[Goal], with_device: bool) -> Table | None:
    """The best setting for each goal."""
    rows = [
        (
            goal.name,
            Cell(
                goal.row.format,
                f"on {runtime_name(goal.row.runtime, goal.row.provider)}, {setting(goal.row, with_device)}",
            ),
            goal.figure,
            f"of {counted(goal.close, 'other')} no difference is shown" if goal.close else "",
        )
        for goal in goals
    ]
    return table("Best setting for each goal", GOALS, rows)


def calls(rows: Sequence[LatencyRow]) -> str:
    """How many calls were timed per target, in words."""
    return _span([row.iterations for row in rows])


def warmup_calls(rows: Sequence[LatencyRow]) -> str:
    """How many calls came before, in words."""
    return _span([row.warmup_iterations for row in rows])


def budget_words(record: Latency) -> str:
    """How long was measured, and what the time budget did not suffice for; "" of a record without one."""
    budget = record.time_budget
    if budget is None:
        return ""
    words = f"Measured for {budget.used_seconds:.0f} s, the time budget was {budget.seconds:g} s"
    if budget.used_seconds > OVERDRAWN * budget.seconds:
        words += ": each target's minimum took longer"
    starts = [row.restarts for row in record.rows]
    if fewer := [row for row in record.rows if row.restarts < max(starts)]:
        words += (
            f". {', '.join(dict.fromkeys(row.name for row in fewer))}: started once, the others {max(starts)} times"
        )
    elif max(starts) < STARTS:
        words += ". Each process was started once"
    if few := [row for row in record.rows if len(row.block_positions) < MIN_MODE_BLOCKS]:
        words += f". Too few blocks to see two modes: {counted(len(few), 'target')}"
    if not budget.unsettled:
        return f"{words}. No more time would narrow the intervals."
    named = [f"{one.target} ({one.width:.0%})" for one in budget.unsettled[:NAMED]]
    others = counted(len(budget.unsettled) - len(named), "other")
    listed = f"{', '.join(named)}{f' and {others}' if len(budget.unsettled) > len(named) else ''}"
    return f"{words}. More time would narrow intervals that are wider than {SETTLED:.0%}: {listed}."


def _span(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
