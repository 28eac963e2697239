"""The pictures of a training, of a search for precision, of layers inside exports, and of flips."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.data.output_labels import prediction_name
from edgecnn.files import staged
from edgecnn.run_directory import Run
from edgecnn.visualization.fonts import drawable, families

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgecnn.data.evaluation import Evaluation
    from edgecnn.records import Epoch, Flip, LayerParity, MixedPrecision, ParityRow, Training

CURVES, CLASS_ACCURACY, CONFUSION = "curves.png", "class_accuracy.png", "confusion.png"
LAYERS, FLIPS = "layers.png", "flips.png"
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
FIRST, SECOND = "#2f6f9f", "#d9822b"
DPI = 144
NOTE_SIZE = 7
MOST_INCHES = 60
MOST_FLIPS, FLIPS_A_LINE = 24, 6
COLORS = (
    "#2f6f9f", "#d9822b", "#17693f", "#a4231a", "#7a4d9c", "#8a6d3b", "#3aa0a0", "#52606d", "#c2558f", "#9bb53c",
)  # fmt: skip
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
    run: Run,
    name: str,
    size: tuple[float, float],
    columns: int = 1,
    rows: int = 1,
    *,
    layout: Literal["constrained"] | None = "constrained",
    names: Sequence[str] = (),
) -> Iterator[Any]:
    """Yield one or more axes, and save the figure under `name` afterwards; its fonts have the letters of `names`."""
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
        with staged(run.path(name)) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def draw_curves(run: Run, history: tuple[Epoch, ...], split: str) -> None:
    """Accuracy and loss after each epoch; those of the split validated on where it was."""
    epochs = range(1, len(history) + 1)
    with figure(run, CURVES, (7.6, 2.9), columns=2) as (left, right):
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
    with figure(run, CLASS_ACCURACY, (4.4, min(0.9 + 0.26 * len(by_class), MOST_INCHES)), names=names) as axes:
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
    with figure(run, CONFUSION, (side, side), names=labels) as axes:
        if note and few:
            axes.figure.supxlabel(note, fontsize=NOTE_SIZE)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i in range(len(labels)) if few else ():
            for j in range(len(labels)):
                color = "white" if shares[i, j] > 0.5 else INK if counts[i, j] else GRID
                axes.text(j, i, f"{int(counts[i, j])}", ha="center", va="center", fontsize=7, color=color)
        if few:
            axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
            axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("prediction")
        axes.set_ylabel("label")
        axes.set_title(f"{training.accuracy.split.capitalize()} images by label and prediction")
        axes.spines[:].set_visible(False)
        axes.tick_params(left=False, bottom=False)


def precision_picture(format: str) -> str:
    """The name of the picture of how a format's float layers were found."""
    return f"precision-{format}.png"


def draw_precision(run: Run, format: str, found: MixedPrecision) -> str:
    """Write the picture of a search for the layers to keep in float32, and return its name.

    Left: what quantizing each layer alone does to the output. Right: what is lost with more and more layers kept.
    """
    name = precision_picture(format)
    ranked = sorted(found.sensitivity_sqnr_db.items(), key=lambda item: item[1])[:MOST_LABELS][::-1]
    with figure(run, name, (7.6, 1.4 + 0.2 * max(7, len(ranked))), columns=2) as (left, right):
        colors = [SECOND if layer in found.excluded_from_quantization else FIRST for layer, _ in ranked]
        left.barh([layer for layer, _ in ranked], [ratio for _, ratio in ranked], color=colors, height=0.72)
        left.set_title("Each layer quantized alone: SQNR of the output")
        left.set_xlabel("dB, kept in float32: orange")
        left.tick_params(left=False)
        counts = [len(step.excluded_from_quantization) for step in found.steps]
        right.plot(counts, [step.accuracy_drop_points for step in found.steps], "o", color=FIRST, markersize=5)
        best = [
            min(s.accuracy_drop_points for s in found.steps if len(s.excluded_from_quantization) == n)
            for n in sorted(set(counts))
        ]
        right.plot(sorted(set(counts)), best, color=FIRST, linewidth=1)
        right.axhline(found.max_accuracy_drop_points, color=SECOND, linewidth=1.2)
        right.set_title("Accuracy lost on training images")
        right.set_xlabel("layers kept in float32; the line is the budget")
        right.set_ylabel("points")
        right.xaxis.get_major_locator().set_params(integer=True)
        right.grid(axis="y")
    return name


def draw_layers(run: Run, files: Sequence[LayerParity]) -> None:
    """Write the picture of how much of each layer arrives in each export: SQNR, and the gain, layer by layer."""
    order: dict[str, int] = {}
    for row in (row for file in sorted(files, key=lambda file: -len(file.layers)) for row in file.layers):
        order.setdefault(row.layer, len(order))
    few = len(order) <= MOST_LABELS
    with figure(run, LAYERS, (9.6, 3.9 if few else 3.2), columns=2) as (left, right):
        for number, file in enumerate(files):
            rows = [row for row in file.layers if row.sqnr_db is not None]
            color = COLORS[number % len(COLORS)]
            marks = {"color": color, "marker": "o", "markersize": 3, "linewidth": 1, "label": file.name}
            left.plot([order[row.layer] for row in rows], [row.sqnr_db for row in rows], **marks)
            gains = [(order[row.layer], row.gain) for row in file.layers if row.gain is not None]
            right.plot([place for place, _ in gains], [gain for _, gain in gains], **marks)
            if file.first_divergent_layer:
                row = next(row for row in file.layers if row.layer == file.first_divergent_layer)
                right.plot(order[row.layer], row.gain or 0.0, "o", color=SECOND, markersize=9, fillstyle="none")
        left.set_title("SQNR of each layer's output")
        left.set_ylabel("dB; equal outputs have none")
        right.set_title("Gain of each layer's output")
        right.axhline(1, color=MUTED, linewidth=0.8)
        seen = [row.gain for file in files for row in file.layers if row.gain is not None]
        right.set_ylim(min([0.99, *seen]) - 0.002, max([1.01, *seen]) + 0.002)
        for axes in (left, right):
            axes.grid(axis="y")
            if few:
                axes.set_xticks(range(len(order)), list(order), rotation=45, ha="right", rotation_mode="anchor")
            else:
                axes.set_xlabel("layer, in the model's order")
        left.figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3)


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
    with figure(run, FLIPS, size, columns=FLIPS_A_LINE, rows=lines, layout=None, names=labels) as grid:
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
