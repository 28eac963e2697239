"""Which export to take: the best setting for each goal, and the pictures to choose by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from edgecnn.execution.targets import KERAS, trained
from edgecnn.run_directory import MODEL
from edgecnn.visualization.plots import COLORS, MUTED, figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from edgecnn.records import Artifact, LatencyRow, Parity, Report
    from edgecnn.run_directory import Run

SWEEP, CHOICE = "latency.png", "choice.png"
LARGEST_AREA = 1_400.0  # of a circle, in square points


@dataclass(frozen=True)
class Goal:
    """What one may want, and the row that is best at it."""

    name: str
    row: LatencyRow
    figure: str
    close: int  # how many other rows are not shown to be worse


def goals(rows: Sequence[LatencyRow]) -> list[Goal]:
    """The best settings for latency, throughput and memory."""
    found = []
    single = [row for row in rows if row.batch == 1]
    if single:
        best = min(single, key=lambda row: row.p50_ms)
        close = sum(1 for row in single if row is not best and _overlap(row, best))
        found.append(Goal("latency of one image", best, f"p50 {best.p50_ms:.3f} ms", close))
    if rows:
        best = max(rows, key=lambda row: row.images_per_s)
        found.append(Goal("throughput", best, f"{best.images_per_s:,.0f} images/s", 0))
        best = min(rows, key=lambda row: row.peak_memory_bytes)
        close = sum(row.peak_memory_bytes < 1.02 * best.peak_memory_bytes for row in rows) - 1
        found.append(Goal("memory", best, f"{best.peak_memory_bytes / 2**20:.0f} MiB at most", close))
    return found


def _overlap(row: LatencyRow, best: LatencyRow) -> bool:
    """Whether the intervals of two medians do."""
    return row.p50_interval_ms.low <= best.p50_interval_ms.high


def shown(run: Run, record: Report) -> tuple[Artifact, ...]:
    """The exports, and before them the trained model where it was measured."""
    timed = {row.artifact_sha256 for row in (record.latency.rows if record.latency else ())}
    measured = record.contract.model_sha256 in timed and run.hash_of(MODEL) == record.contract.model_sha256
    return (*((trained(run, record.contract),) if measured else ()), *record.artifacts.artifacts)


def draw(run: Run, record: Report) -> None:
    """Draw what the record has figures for, and remove pictures of what it has none for."""
    rows = record.latency.rows if record.latency else ()
    sizes = {artifact.sha256: artifact.size_bytes for artifact in shown(run, record)}
    rows = tuple(row for row in rows if row.artifact_sha256 in sizes)
    done = {SWEEP: _draw_sweep(run, rows), CHOICE: _draw_choice(run, record.parity, rows, sizes)}
    for name, drawn in done.items():
        if not drawn:
            run.path(name).unlink(missing_ok=True)


def _draw_sweep(run: Run, rows: Sequence[LatencyRow]) -> bool:
    """Time for an image against the batch and against threads, both logarithmic."""
    panels: list[tuple[str, Callable[[LatencyRow], int], list[LatencyRow]]] = [
        ("threads", lambda row: row.threads, [row for row in rows if row.batch == 1]),
        ("images a call, one thread", lambda row: row.batch, [row for row in rows if row.threads == 1]),
    ]
    panels = [panel for panel in panels if len({panel[1](row) for row in panel[2]}) > 1]
    if not panels:
        return False
    names = sorted({row.name for row in rows})
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}
    with figure(run, SWEEP, (4.6 * len(panels) + 2.4, 3.6), columns=len(panels)) as axes:
        for place, (title, key, chosen) in zip([axes] if len(panels) == 1 else axes, panels, strict=True):
            _draw_lines(place, key, chosen, colors)
            place.set_xlabel(title)
            place.set_ylabel("ms an image, p50")
        last = axes if len(panels) == 1 else axes[-1]
        last.legend(names, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return True


def _draw_lines(axes: Any, key: Callable[[LatencyRow], int], rows: list[LatencyRow], colors: dict[str, str]) -> None:
    for name, color in colors.items():
        mine = sorted((row for row in rows if row.name == name), key=key)
        values = [row.p50_ms / row.batch for row in mine]
        axes.plot([key(row) for row in mine], values, color=color, marker="o", markersize=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    _label(axes.yaxis, [row.p50_ms / row.batch for row in rows])
    ticks = sorted({key(row) for row in rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.grid(axis="y")


def _draw_choice(run: Run, parity: Parity | None, rows: Sequence[LatencyRow], sizes: Mapping[str, int]) -> bool:
    """Accuracy against the latency of one image on one thread, sizes as areas: the upper left is best."""
    native = [row for row in (parity.rows if parity else ()) if not row.cpu]
    judged = {(row.artifact_sha256, row.runtime, row.provider): row.accuracy for row in native}
    reference = parity.reference_accuracy if parity else None
    points = []
    for row in rows:
        accuracy = reference if row.format == KERAS else judged.get((row.artifact_sha256, row.runtime, row.provider))
        if accuracy and (row.threads, row.batch) == (1, 1):
            points.append((row, accuracy))
    if len(points) < 2:
        return False
    largest = max(sizes[row.artifact_sha256] for row, _ in points)
    with figure(run, CHOICE, (9.2, 4.2)) as axes:
        for (row, accuracy), color in zip(points, cycle(COLORS), strict=False):
            share, size = 100 * accuracy.share, sizes[row.artifact_sha256]
            axes.scatter(row.p50_ms, share, s=LARGEST_AREA * size / largest, color=color, alpha=0.4)
            name = f"{row.name}, {size / 1024:,.0f} KiB"
            axes.plot([row.p50_ms], [share], "o", color=color, markersize=3, label=name)
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
        if reference:
            axes.axhline(100 * reference.share, color=MUTED, linewidth=0.8, linestyle="--")
        axes.set_xscale("log")
        axes.margins(0.15, 0.25)
        _label(axes.xaxis, [row.p50_ms for row, _ in points])
        axes.set_xlabel("p50 of one image on one thread, ms")
        axes.set_ylabel("accuracy, %")
        axes.grid(axis="both")
    return True


def _label(axis: Any, values: Sequence[float]) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5, in plain numbers."""
    low, high = min(values) / 1.5, max(values) * 1.5
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    axis.set_ticks(inside, [f"{tick:g}" for tick in inside])
    axis.set_ticks([], minor=True)
