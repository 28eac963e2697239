"""Figures in words, the same on both pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.records.common import setting_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgecnn.records import Accuracy, Difference, LatencyRow

NONE = "–"  # where there is no figure
TIMES = "\N{MULTIPLICATION SIGN}"


def percent(share: float) -> str:
    """A share in [0, 1]."""
    return f"{share:.2%}"


def count(number: int) -> str:
    """A whole number."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def kib(size_bytes: int) -> str:
    """Bytes in KiB."""
    return f"{size_bytes / 1024:,.1f}" if size_bytes < 10240 else f"{size_bytes / 1024:,.0f}"


def signed(points: float) -> str:
    """Percentage points with their sign."""
    return f"{points:+.2f}".replace("-", "\N{MINUS SIGN}")


def three_digits(value: float) -> str:
    """A positive number with three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def ms(value: float) -> str:
    """A latency in ms."""
    return f"{three_digits(value)} ms"


def accuracy_interval(accuracy: Accuracy) -> str:
    """The 95 % interval of an accuracy."""
    return f"{percent(accuracy.low)} to {percent(accuracy.high)}"


def points_interval(change: Difference) -> str:
    """The 95 % interval of a change in accuracy."""
    return f"{signed(change.low_points)} to {signed(change.high_points)}"


def ms_interval(row: LatencyRow) -> str:
    """The 95 % interval of a median in ms."""
    return f"{three_digits(row.p50_interval_ms.low)} to {three_digits(row.p50_interval_ms.high)}"


def setting(row: LatencyRow, with_device: bool = False) -> str:
    """How a row was measured."""
    words = setting_name(row.threads, row.batch)
    return f"{words}, {row.placement.device}" if with_device else words


def nodes(counts: Mapping[str, int]) -> str:
    """Execution providers with the number of nodes that each executes."""
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "none"


def duration(seconds: float) -> str:
    """Seconds in words, with two units at most."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s" if seconds >= 10 else f"{seconds:.1f} s"


def sentence(clauses: list[str]) -> str:
    """Clauses as one sentence."""
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
