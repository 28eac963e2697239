"""The training: facts, classes, confusion, epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.report.table import Bar, Cell, Table, matrix, table
from edgecnn.report.words import accuracy_interval, count, counted, duration, percent

if TYPE_CHECKING:
    from edgecnn.records import Contract, Epoch, TensorSpec, Training

MAX_LABELS = 30  # of a confusion matrix; more could not be read
CLASSES = ("Class", "Accuracy", "95% interval", "Images")


def facts(training: Training, contract: Contract) -> list[tuple[str, str]]:
    """Names and values of what was trained, and how."""
    data, split = training.data, training.accuracy.split
    batches = f", batches of {training.batch_size}" if training.history else ""
    seconds = sum(epoch.seconds for epoch in training.history)
    lasted = f"{counted(len(training.history), 'epoch')} in {duration(seconds)}" if training.history else ""
    found = {
        "Data": f"{data.name}: {count(data.train_count)} training and {count(data.test_count)} {split} images in "
        f"{len(data.labels)} classes",
        "SHA-256 of the data": data.sha256,
        "Model": f"{training.architecture}, recipe {training.recipe}, seed {training.seed}{batches}",
        "Recipe": training.recipe_settings and training.recipe_settings + ", with a teacher" * bool(training.teacher),
        "Duration": lasted,
        "Input": f"{_tensor(contract.input)}, {contract.layout}, {contract.color_space}, values "
        f"{contract.value_range[0]} to {contract.value_range[1]}",
        "Output": f"{_tensor(contract.output)}, {contract.output_meaning} of {', '.join(contract.labels)}",
    }
    return [(name, value) for name, value in found.items() if value]


def _tensor(spec: TensorSpec) -> str:
    sides = ", ".join("N" if side is None else str(side) for side in spec.shape)
    return f"{spec.name}: {spec.dtype} [{sides}]"


def classes_table(training: Training) -> Table | None:
    """The accuracy of each class."""
    rows = [
        (label, Cell(percent(a.share), bar=Bar(100 * a.share)), accuracy_interval(a), count(a.total))
        if a
        else (label, "", "", "0")
        for label, a in zip(training.data.labels, training.class_accuracy, strict=True)
    ]
    return table(f"{training.accuracy.split.capitalize()} accuracy by class", CLASSES, rows, numeric=CLASSES[1:],
                 kind="narrow")  # fmt: skip


def confusion_matrix(training: Training) -> Table | None:
    """Images by label (rows) and prediction (columns); None with more classes than can be read."""
    labels = training.data.labels
    if len(labels) > MAX_LABELS:
        return None
    rows = [
        (label, [(count(number), number / max(1, sum(row))) for number in row])
        for label, row in zip(labels, training.confusion_matrix, strict=True)
    ]
    caption = f"{training.accuracy.split.capitalize()} images by label (rows) and prediction (columns)"
    return matrix(caption, "", labels, rows)


def epochs_table(training: Training) -> Table | None:
    """Every epoch; columns of the split validated on only where it was."""
    validated = bool(training.history) and training.history[-1].val_accuracy is not None
    split = training.accuracy.split.capitalize()
    columns = ("Epoch", "Accuracy", f"{split} accuracy", "Loss", f"{split} loss", "Seconds")
    kept = [number for number in range(len(columns)) if validated or number not in (2, 4)]
    rows = [[cells[n] for n in kept] for cells in (_epoch(*pair) for pair in enumerate(training.history, 1))]
    chosen = [columns[n] for n in kept]
    return table("Epochs", chosen, rows, numeric=chosen, kind="narrow")


def _epoch(number: int, epoch: Epoch) -> tuple[str, ...]:
    return (
        str(number),
        percent(epoch.accuracy),
        percent(epoch.val_accuracy) if epoch.val_accuracy is not None else "",
        f"{epoch.loss:.4f}",
        f"{epoch.val_loss:.4f}" if epoch.val_loss is not None else "",
        f"{epoch.seconds:.1f}",
    )


def most_frequent_confusion(training: Training) -> str:
    """The most frequent confusion in words, "" where nothing is confused."""
    labels = training.data.labels
    wrong = [(n, i, j) for i, row in enumerate(training.confusion_matrix) for j, n in enumerate(row) if i != j and n]
    if not wrong:
        return ""
    number, label, predicted = max(wrong)
    return f"Most frequent confusion: {labels[label]} classified as {labels[predicted]}, {counted(number, 'time')}."
