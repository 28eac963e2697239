"""The pictures of a training (curves, accuracy of each class, confusion matrix) and of a search for precision."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgecnn.run import Run, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.records import Epoch, Precision, Training

CURVES, CLASS_ACCURACY, CONFUSION = "curves.png", "class_accuracy.png", "confusion.png"
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
FIRST, SECOND = "#2f6f9f", "#d9822b"
DPI = 144
MOST_INCHES = 60
MOST_LABELS = 30  # with more classes single numbers and names could not be read


def draw_training(run: Run, training: Training) -> tuple[str, ...]:
    """Write the pictures into the run and return their names."""
    if training.history:
        draw_curves(run, training.history, training.accuracy.split)
    _draw_class_accuracy(run, training)
    _draw_confusion(run, training)
    return pictures_of(training)


def pictures_of(training: Training) -> tuple[str, ...]:
    """The pictures a training has: a model trained elsewhere has no curves."""
    return (CURVES, CLASS_ACCURACY, CONFUSION) if training.history else (CLASS_ACCURACY, CONFUSION)


@contextmanager
def _figure(run: Run, name: str, size: tuple[float, float], columns: int = 1) -> Iterator[Any]:
    """Yield one or more axes, and save the figure under `name` afterwards."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED, "xtick.color": INK,
        "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False,
        "grid.color": GRID, "axes.axisbelow": True, "axes.titlesize": 10, "axes.titlelocation": "left",
        "text.parse_math": False,
    }  # fmt: skip
    with rc_context(style):
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        yield figure.subplots(1, columns)
        with staged(run.path(name)) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def draw_curves(run: Run, history: tuple[Epoch, ...], split: str) -> None:
    """Accuracy and loss after each epoch; those of the split validated on where it was."""
    epochs = range(1, len(history) + 1)
    with _figure(run, CURVES, (7.6, 2.9), columns=2) as (left, right):
        for axes, name, title in ((left, "accuracy", "Accuracy"), (right, "loss", "Cross-entropy")):
            for prefix, label, colour in (("", "training", FIRST), ("val_", split, SECOND)):
                values = [getattr(epoch, prefix + name) for epoch in history]
                if None not in values:
                    axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y")
        left.yaxis.set_major_formatter("{x:.0%}")
        left.legend(frameon=False)


def _draw_class_accuracy(run: Run, training: Training) -> None:
    by_class = [
        (label, row[i] / sum(row))
        for i, (label, row) in enumerate(zip(training.data.labels, training.confusion, strict=True))
        if sum(row)
    ]
    by_class.reverse()  # the first class on top
    with _figure(run, CLASS_ACCURACY, (4.4, min(0.9 + 0.26 * len(by_class), MOST_INCHES))) as axes:
        shares = [share for _, share in by_class]
        bars = axes.barh([label for label, _ in by_class], shares, color=FIRST, height=0.72)
        for bar, share in zip(bars, shares, strict=True):  # in a column, where the line does not run through them
            axes.text(1.03, bar.get_y() + bar.get_height() / 2, f"{share:.1%}", va="center")
        axes.axvline(training.accuracy.share, color=SECOND, linewidth=1.2)
        axes.set_title(f"{training.accuracy.split.capitalize()} accuracy by class (all: {training.accuracy.share:.1%})")
        axes.set_xlim(0, 1.16)
        axes.xaxis.set_visible(False)
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.tick_params(left=False)


def _draw_confusion(run: Run, training: Training) -> None:
    import numpy as np

    counts = np.asarray(training.confusion, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = training.data.labels
    few = len(labels) <= MOST_LABELS
    side = 1.8 + 0.34 * min(len(labels), MOST_LABELS)
    with _figure(run, CONFUSION, (side, side)) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i in range(len(labels)) if few else ():
            for j in range(len(labels)):
                colour = "white" if shares[i, j] > 0.5 else INK if counts[i, j] else GRID
                axes.text(j, i, f"{int(counts[i, j])}", ha="center", va="center", fontsize=7, color=colour)
        if few:
            axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
            axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("answer")
        axes.set_ylabel("label")
        axes.set_title(f"{training.accuracy.split.capitalize()} images by label and answer")
        axes.spines[:].set_visible(False)
        axes.tick_params(left=False, bottom=False)


def precision_picture(format: str) -> str:
    """The name of the picture of how a format's float layers were found."""
    return f"precision-{format}.png"


def draw_precision(run: Run, format: str, found: Precision) -> str:
    """Write the picture of a search for the layers to keep in float32, and return its name.

    Left: what quantizing each layer alone does to the output. Right: what is lost with more and more layers kept.
    """
    name = precision_picture(format)
    ranked = sorted(found.sensitivity.items(), key=lambda item: item[1])[:MOST_LABELS][::-1]
    with _figure(run, name, (7.6, 1.4 + 0.2 * max(7, len(ranked))), columns=2) as (left, right):
        colours = [SECOND if layer in found.kept_float else FIRST for layer, _ in ranked]
        left.barh([layer for layer, _ in ranked], [ratio for _, ratio in ranked], color=colours, height=0.72)
        left.set_title("Each layer quantized alone: SQNR of the output")
        left.set_xlabel("dB, kept in float32: orange")
        left.tick_params(left=False)
        counts = [len(step.kept_float) for step in found.steps]
        right.plot(counts, [step.drop_points for step in found.steps], "o", color=FIRST, markersize=5)
        best = [min(s.drop_points for s in found.steps if len(s.kept_float) == n) for n in sorted(set(counts))]
        right.plot(sorted(set(counts)), best, color=FIRST, linewidth=1)
        right.axhline(found.max_drop_points, color=SECOND, linewidth=1.2)
        right.set_title("Accuracy lost on training images")
        right.set_xlabel("layers kept in float32; the line is the budget")
        right.set_ylabel("points")
        right.xaxis.get_major_locator().set_params(integer=True)
        right.grid(axis="y")
    return name
