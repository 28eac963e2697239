"""Accuracy against latency, a point for each export that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.parity.verdict import FAIL, PASS
from edgecnn.report.charts import labels
from edgecnn.report.charts.axis import linear_axis, log_axis
from edgecnn.report.charts.chart import NARROW, WIDE, Chart, Frame, Line, Mark, chart
from edgecnn.report.words import three_digits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgecnn.records import LatencyRow, Parity
    from edgecnn.report.view import Line as Row

ROOM = 9.0  # around a point that no other's label comes into, in pixels


@dataclass(frozen=True)
class _Point:
    """A row of both tables: its latency, and its accuracy in percent with the interval of the change."""

    name: str
    latency: LatencyRow
    accuracy: float
    low: float
    high: float
    state: str


def scatter(parity: Parity | None, rows: Sequence[Row], recommended: Collection[str]) -> tuple[Chart, ...]:
    """The chart in both widths, none with fewer than two points; names of `recommended` rows stand out.

    Every accuracy is the trained model's and the change that the gate judged, so that all are of the same images.
    """
    if parity is None or parity.reference_accuracy is None:
        return ()
    base = 100 * parity.reference_accuracy.share
    points = [point for row in rows if (point := _point(row, base, _names(rows)))]
    if len(points) < 2:
        return ()
    return tuple(_drawn(points, base, recommended, size) for size in (WIDE, NARROW))


def _names(rows: Sequence[Row]) -> list[str]:
    return [row.artifact.format for row in rows if row.one_thread]


def _point(row: Row, base: float, formats: Sequence[str]) -> _Point | None:
    latency, parity = row.one_thread, row.parity
    if latency is None or not (row.is_reference or (parity and parity.gate_difference)):
        return None
    name = row.artifact.format if formats.count(row.artifact.format) == 1 else row.name
    if parity is None or parity.gate_difference is None:
        return _Point(name, latency, base, base, base, "reference")
    change = parity.gate_difference
    state = {PASS: "passed", FAIL: "failed"}.get(parity.verdict, "unproven")
    return _Point(name, latency, base + change.points, base + change.low_points, base + change.high_points, state)


def _drawn(points: Sequence[_Point], base: float, recommended: Collection[str], size: tuple[int, int]) -> Chart:
    frame = Frame(
        log_axis((point.latency.p50_ms for point in points), room=1.1),
        linear_axis([value for point in points for value in (point.low, point.high)], most=6),
        *size,
    )
    marks = [_mark(point, frame) for point in points]
    left, top, right, bottom = frame.box
    level = frame.py(base)
    covered = [(m.x - ROOM, m.y - ROOM, m.x + ROOM, m.y + ROOM) for m in marks]
    covered += [(m.x - 2, m.top, m.x + 2, m.bottom) for m in marks]
    covered += [(m.left, m.y - 2, m.right, m.y + 2) for m in marks]
    covered += [(left, level - 2, right, level + 2)]
    named = [
        labels.Point(mark.x, mark.y, point.name, point.name in recommended)
        for point, mark in zip(points, marks, strict=True)
    ]
    return chart(
        frame,
        "Accuracy against latency: " + "; ".join(map(_words, points)) + ".",
        ("p50 of one image on one thread, ms (log)", "accuracy, %"),
        ("{:g}".format, "{:g}".format),
        lines=[Line(f"{left},{level} {right},{level}", 0, dashed=True)],
        marks=marks,
        labels=labels.place(named, covered, (left + 2, top, right, bottom)),
    )


def _words(point: _Point) -> str:
    return f"{point.name} {point.accuracy:.2f}% in {three_digits(point.latency.p50_ms)} ms"


def _mark(point: _Point, frame: Frame) -> Mark:
    around = point.latency.p50_interval_ms
    return Mark(
        x=frame.px(point.latency.p50_ms),
        y=frame.py(point.accuracy),
        left=frame.px(around.low),
        right=frame.px(around.high),
        top=frame.py(point.high),
        bottom=frame.py(point.low),
        state=point.state,
    )
