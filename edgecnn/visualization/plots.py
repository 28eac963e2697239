"""The pictures of a training, and of flips."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.data.output_labels import prediction_name
from edgecnn.files import staged
from edgecnn.run_directory import Run
from edgecnn.visualization.fonts import drawable, families

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgecnn.data.evaluation import Evaluation
    from edgecnn.records import Epoch, Flip, ParityRow, Training

CURVES, CLASS_ACCURACY, CONFUSION = "curves.png", "class_accuracy.png", "confusion.png"
FLIPS = "flips.png"
INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
FIRST, SECOND = "#2f6f9f", "#b3560b"
DPI = 144
NOTE_SIZE = 7
MOST_INCHES = 60
MOST_FLIPS, FLIPS_A_LINE = 24, 6
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
def figure(
    path: Path,
    size: tuple[float, float],
    columns: int = 1,
    rows: int = 1,
    *,
    layout: Literal["constrained"] | None = "constrained",
    names: Sequence[str] = (),
) -> Iterator[Any]:
    """Yield one or more axes, and save the figure at `path` afterwards; its fonts have the letters of `names`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED, "xtick.color": INK,
        "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False,
        "grid.color": GRID, "axes.axisbelow": True, "axes.titlesize": 10, "axes.titlelocation": "left",
        "text.parse_math": False, "font.family": families(names),
    }  # fmt: skip
    with rc_context(style):
        figure = Figure(figsize=size, dpi=DPI, layout=layout)
        yield figure.subplots(rows, columns)
        with staged(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def draw_curves(run: Run, history: tuple[Epoch, ...], split: str) -> None:
    """Accuracy and loss after each epoch; those of the split validated on where it was."""
    epochs = range(1, len(history) + 1)
    with figure(run.path(CURVES), (7.6, 2.9), columns=2) as (left, right):
        for axes, name, title in ((left, "accuracy", "Accuracy"), (right, "loss", "Cross-entropy")):
            for prefix, label, color in (("", "training", FIRST), ("val_", split, SECOND)):
                values = [getattr(epoch, prefix + name) for epoch in history]
                if None not in values:
                    axes.plot(epochs, values, color=color, marker="o", markersize=3, label=label)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y")
        left.yaxis.set_major_formatter("{x:.0%}")
        left.legend(frameon=False)


def _draw_class_accuracy(run: Run, training: Training) -> None:
    names, note = drawable(training.data.labels)
    by_class = [
        (label, row[i] / sum(row))
        for i, (label, row) in enumerate(zip(names, training.confusion_matrix, strict=True))
        if sum(row)
    ]
    by_class.reverse()  # the first class on top
    with figure(run.path(CLASS_ACCURACY), (4.4, min(0.9 + 0.26 * len(by_class), MOST_INCHES)), names=names) as axes:
        if note:
            axes.figure.supxlabel(note, fontsize=NOTE_SIZE)
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

    counts = np.asarray(training.confusion_matrix, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels, note = drawable(training.data.labels)
    few = len(labels) <= MOST_LABELS
    side = 1.8 + 0.34 * min(len(labels), MOST_LABELS)
    with figure(run.path(CONFUSION), (side, side), names=labels) as axes:
        if note and few:
            axes.figure.supxlabel(note, fontsize=NOTE_SIZE)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i in range(len(labels)) if few else ():
            for j in range(len(labels)):
                color = "white" if shares[i, j] > 0.5 else INK if counts[i, j] else MUTED
                axes.text(j, i, f"{int(counts[i, j])}", ha="center", va="center", fontsize=7, color=color)
        if few:
            axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
            axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("prediction")
        axes.set_ylabel("label")
        axes.set_title(f"{training.accuracy.split.capitalize()} images by label and prediction")
        axes.spines[:].set_visible(False)
        axes.tick_params(left=False, bottom=False)


def draw_flips(run: Run, rows: Sequence[ParityRow], evaluation: Evaluation, labels: Sequence[str]) -> bool:
    """Write the picture of the flips, images of most exports first; returns whether there are any."""
    import numpy as np

    seen: dict[int, list[Flip]] = {}
    for flip in (flip for row in rows for flip in row.flips):
        seen.setdefault(flip.image, []).append(flip)
    chosen = sorted(seen, key=lambda image: (-len(seen[image]), image))[:MOST_FLIPS]
    if not chosen:
        run.path(FLIPS).unlink(missing_ok=True)
        return False
    lines = -(-len(chosen) // FLIPS_A_LINE)
    labels, note = drawable(labels)
    size = (1.7 * FLIPS_A_LINE, 2.15 * lines)
    with figure(run.path(FLIPS), size, columns=FLIPS_A_LINE, rows=lines, layout=None, names=labels) as grid:
        grid = np.atleast_2d(grid)
        grid[0, 0].figure.text(0.01, 0.03 / lines, note, fontsize=NOTE_SIZE)
        grid[0, 0].figure.subplots_adjust(0.01, 0.02, 0.99, 1 - 0.55 / (2.15 * lines), 0.1, 0.42)
        for axes in grid.ravel():
            axes.axis("off")
        for axes, image in zip(grid.ravel(), chosen, strict=False):
            pixels = evaluation.images[image]
            axes.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
            flips = seen[image]
            predictions = ", ".join(dict.fromkeys(prediction_name(flip.prediction, labels) for flip in flips))
            label = "" if flips[0].label is None else f" ({labels[flips[0].label]})"
            axes.set_title(
                f"#{image}{label}\n{prediction_name(flips[0].reference_prediction, labels)} → {predictions}\n"
                f"in {len(flips)} of {len(rows)} exports",
                fontsize=7,
                loc="center",
            )
    return True
