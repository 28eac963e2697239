"""Charts: axes span what they show, labels keep off points and each other."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from edgecnn.pretrained import PLACES
from edgecnn.records import Report
from edgecnn.report.charts.axis import linear_axis, log_axis
from edgecnn.report.charts.curves import sweep, training_curves
from edgecnn.report.charts.labels import CHARACTER, HALF_LINE, Point, overlap, place
from edgecnn.report.charts.scatter import scatter
from edgecnn.report.view import lines
from edgecnn.run_directory import REPORT, Run

TOUCHING = 10.0  # square pixels that two labels may share: their boxes are larger than the letters
RUN = Run(PLACES[1] / "cifar10-cnn")


@pytest.fixture(scope="module")
def record() -> Report:
    return RUN.load(REPORT, Report, "report")


@pytest.mark.parametrize(
    ("fastest", "slowest", "ends", "ticks"),
    [
        (0.0188, 2.8, (0.01, 5), (0.01, 0.1, 1)),
        (0.7, 0.9, (0.5, 2), (0.5, 1, 2)),
        (12.0, 80.0, (5, 100), (5, 10, 20, 50, 100)),
    ],
)
def test_a_logarithmic_axis_spans_what_was_measured(
    fastest: float, slowest: float, ends: tuple[float, float], ticks: tuple[float, ...]
) -> None:
    axis = log_axis((fastest, slowest))
    assert (axis.low, axis.high) == pytest.approx(ends)
    assert axis.ticks == pytest.approx(ticks)
    assert axis.at(axis.low) == 0 and axis.at(axis.high) == pytest.approx(1)
    assert axis.at(2 * fastest) - axis.at(fastest) == pytest.approx(axis.at(4) - axis.at(2))


def test_a_linear_axis_has_few_round_ticks_around_all_values() -> None:
    generator = random.Random(1)
    for _ in range(200):
        values = [generator.uniform(-1, 1) * 10 ** generator.uniform(-3, 4) for _ in range(5)]
        axis = linear_axis(values)
        assert axis.low <= min(values) and max(values) <= axis.high and 2 <= len(axis.ticks) <= 8
        steps = {round(b - a, 9) for a, b in itertools.pairwise(axis.ticks)}
        assert max(steps) - min(steps) < 1e-6 * max(steps) + 1e-9
    assert linear_axis([3.0]).at(3.0) >= 0


def _box(label: object) -> tuple[float, float, float, float]:
    x, y, text, anchor = (getattr(label, name) for name in ("x", "y", "text", "anchor"))
    width = CHARACTER * len(text)
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left, y - HALF_LINE, left + width, y + HALF_LINE


def test_labels_of_close_points_do_not_overlap_and_stay_inside() -> None:
    points = [Point(200 + 4 * i, 150 + 3 * (i % 2), f"tflite_{i}") for i in range(8)]
    covered = [(p.x - 5, p.y - 5, p.x + 5, p.y + 5) for p in points]
    found = place(points, covered, (0, 0, 400, 300))
    boxes = [_box(label) for label in found]
    assert [label.text for label in found] == [point.text for point in points]
    assert all(overlap(a, b) < TOUCHING for a, b in itertools.combinations(boxes, 2))
    assert all(overlap(box, other) == 0 for box in boxes for other in covered)
    assert all(min(box) >= 0 and box[2] <= 400 and box[3] <= 300 for box in boxes)
    assert any(label.leader for label in found), "not all have room beside their point"


def test_the_scatter_shows_what_the_records_say(record: Report) -> None:
    rows = lines(RUN, record)
    wide, narrow = scatter(record.parity, rows, {"tflite_int8"})
    shown = [row for row in rows if row.one_thread]
    assert wide.width > 900 and narrow.width < 400
    for chart in (wide, narrow):
        assert len(chart.marks) == len(chart.labels) == len(shown)
        assert [label.text for label in chart.labels if label.strong] == ["tflite_int8"]
        by_name = {label.text: mark for label, mark in zip(chart.labels, chart.marks, strict=True)}
        assert by_name["tflite_int8"].x < by_name["onnx_float32"].x < by_name["saved_model"].x, "fast is left"
        assert by_name["onnx_int8"].y > by_name["tflite_int8"].y, "accurate is up"
        assert all(m.top <= m.y <= m.bottom and m.left <= m.x <= m.right for m in chart.marks)
        left, top, right, bottom = chart.box
        assert all(left <= m.left and m.right <= right and top <= m.top and m.bottom <= bottom for m in chart.marks)
        boxes = [_box(label) for label in chart.labels]
        assert all(overlap(a, b) < TOUCHING for a, b in itertools.combinations(boxes, 2)), "labels can be read"


def test_there_is_no_scatter_of_what_was_not_measured(record: Report) -> None:
    assert record.parity is not None
    assert scatter(None, lines(RUN, record), set()) == ()
    assert scatter(record.parity, lines(RUN, replace(record, latency=None)), set()) == ()
    unlabelled = replace(record.parity, reference_accuracy=None)
    assert scatter(unlabelled, lines(RUN, record), set()) == ()


def test_curves_have_a_line_for_each_split_that_was_measured(record: Report) -> None:
    blind = record.training
    epochs = tuple(replace(epoch, val_accuracy=0.5, val_loss=1.0) for epoch in blind.history)
    for training, names in ((blind, ["training"]), (replace(blind, history=epochs), ["training", "test"])):
        accuracy, loss = training_curves(training)
        assert [label.text for label in accuracy.labels] == [label.text for label in loss.labels] == names
        assert len(accuracy.lines[0].points.split()) == len(blind.history)
    assert training_curves(replace(blind, history=())) == ()


def test_a_sweep_is_drawn_where_a_table_says_less(record: Report) -> None:
    assert record.latency is not None
    rows = record.latency.rows
    assert sweep(rows) == (), "two numbers of threads"
    more = [replace(row, batch=batch, p50_ms=row.p50_ms * batch) for row in rows for batch in (1, 8, 32)]
    (chart,) = sweep(more)
    assert [tick.text for tick in chart.x_ticks] == ["1", "8", "32"]
    assert len(chart.lines) == len({row.format for row in rows})
