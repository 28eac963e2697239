"""checkpoint/state.json and training.json."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import Accuracy, DataSource, Origin


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over the training images gave; shares in [0, 1], losses in nats.

    The figures of validation are None where a recipe keeps away from the test images.
    """

    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    learning_rate: float | None = None  # at the epoch's end


@dataclass(frozen=True, kw_only=True)
class Progress:
    """checkpoint/state.json: how far training got; next to it is the model after the last epoch it names."""

    schema: int
    inputs: dict[str, str]
    data: DataSource
    history: tuple[Epoch, ...] = ()
    checkpoint_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Training:
    """training.json"""

    schema: int
    origin: Origin
    data: DataSource
    architecture: str
    recipe: str
    seed: int
    batch_size: int
    parameters: int
    history: tuple[Epoch, ...]
    accuracy: Accuracy  # on the test images, or on those held out of the training set
    class_accuracy: tuple[Accuracy | None, ...]  # one a label, None for a label without test images
    confusion_matrix: tuple[tuple[int, ...], ...]  # rows are the true labels, columns the predictions
    recipe_settings: str = ""  # the recipe's, in words
    teacher: str = ""  # the run the model was distilled from, in addition to the labels
    validation_images: int = 0  # training images set aside, on which `accuracy` was measured
    recipe_epochs: int | None = None  # that the recipe has by itself; None where that is not known

    def __post_init__(self) -> None:
        """Raises ValueError for tables of other sizes than there are labels, and for counts that nothing gives."""
        labels = len(self.data.labels)
        rows = (self.class_accuracy, self.confusion_matrix, *self.confusion_matrix)
        if any(len(row) != labels for row in rows) or min(map(min, self.confusion_matrix), default=0) < 0:
            raise ValueError("a table that does not fit the labels")
