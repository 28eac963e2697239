"""Lines: a training epoch by epoch, and latency against threads or batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.report.charts import labels
from edgecnn.report.charts.axis import Axis, linear_axis, log_axis
from edgecnn.report.charts.chart import Chart, Frame, Line, chart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgecnn.records import LatencyRow, Training

    Points = Sequence[tuple[float, float]]

SIZE = (430, 300)
SERIES = 6  # colors
MIN_SETTINGS = 3  # of threads or batch: a table says as much of two


def training_curves(training: Training) -> tuple[Chart, ...]:
    """Accuracy and loss after each epoch, those of the split validated on too; none of a model trained elsewhere."""
    history = training.history
    if not history:
        return ()
    found = []
    for name, title in (("accuracy", "Accuracy, %"), ("loss", "Cross-entropy")):
        scale = 100 if name == "accuracy" else 1
        lines = {
            label: [
                (i, scale * value) for i, epoch in enumerate(history, 1) if (value := getattr(epoch, key)) is not None
            ]
            for label, key in (("training", name), (training.accuracy.split, f"val_{name}"))
        }
        x = linear_axis((1, max(2, len(history))), most=6)
        axis = Axis(x.low, x.high, tuple(tick for tick in x.ticks if tick == int(tick)))
        found.append(_lines(title, "epoch", axis, linear_axis, {k: v for k, v in lines.items() if v}))
    return tuple(found)


def sweep(rows: Sequence[LatencyRow]) -> tuple[Chart, ...]:
    """Time for an image against threads and against batch, where enough of them were measured."""
    panels: list[tuple[str, Callable[[LatencyRow], int], list[LatencyRow]]] = [
        ("threads", lambda row: row.threads, [row for row in rows if row.batch == 1]),
        ("images per call, one thread", lambda row: row.batch, [row for row in rows if row.threads == 1]),
    ]
    found = []
    for name, key, chosen in panels:
        ticks = sorted({key(row) for row in chosen})
        if len(ticks) < MIN_SETTINGS:
            continue
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in sorted(chosen, key=key):
            lines.setdefault(f"{row.format}, {row.provider}", []).append((key(row), row.p50_ms / row.batch))
        axis = Axis(ticks[0], ticks[-1], tuple(map(float, ticks)), log=True)
        found.append(_lines("p50 per image, ms (log)", f"{name} (log)", axis, log_axis, lines))
    return tuple(found)


def _lines(
    y_name: str, x_name: str, x: Axis, y_axis: Callable[[list[float]], Axis], lines: Mapping[str, Points]
) -> Chart:
    """A chart of lines, each with its name at its end."""
    room = round(labels.CHARACTER * max(map(len, lines))) + 24
    frame = Frame(x, y_axis([y for points in lines.values() for _, y in points]), *SIZE, right=room)
    drawn, ends = [], []
    for number, (name, points) in enumerate(lines.items()):
        series = number % SERIES + 1
        drawn.append(Line(" ".join(f"{frame.px(a)},{frame.py(b)}" for a, b in points), series))
        ends.append(labels.Point(frame.px(points[-1][0]), frame.py(points[-1][1]), name, series=series))
    left, top, right, bottom = frame.box
    covered = [(left, top, right + 2, bottom)]
    return chart(
        frame,
        f"{y_name} by {x_name}: " + "; ".join(f"{name} ends at {points[-1][1]:.4g}" for name, points in lines.items()),
        (x_name, y_name),
        ("{:g}".format, "{:g}".format),
        lines=drawn,
        labels=labels.place(ends, covered, (left, top, frame.width - 2, bottom)),
    )
