"""The first files of a run, whether its model was trained here or elsewhere.

model.keras, samples.npz, contract.json, pictures, and training.json last: whoever finds it finds the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.data.loading import BUILT_IN, PREFERRED
from edgecnn.data.samples import save_samples
from edgecnn.export.saved_model import save_model
from edgecnn.files import staged
from edgecnn.parity.intervals import accuracy
from edgecnn.preprocessing.decode import RESIZE_RULE
from edgecnn.records import SCHEMA, Contract, TensorSpec, Training
from edgecnn.visualization.plots import draw_training

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.data.dataset import LabelledImages
    from edgecnn.records import Accuracy, Epoch
    from edgecnn.run_directory import Run

SPLIT = "test"


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How the model came to be, and what decided it."""

    command: str
    inputs: dict[str, str]
    architecture: str
    recipe: str
    seed: int
    batch_size: int = 0  # 0 and no history for a model trained elsewhere
    history: tuple[Epoch, ...] = ()
    meaning: str = "logits"  # or "probabilities" or "scores": what the output is called and what it is
    recipe_settings: str = ""
    recipe_epochs: int | None = None
    teacher: str = ""
    validation_images: int = 0
    split: str = SPLIT  # of the images that accuracy is measured on
    log: tuple[str, ...] = ()  # files a training wrote on its way


def begin(
    run: Run, model: Any, data: LabelledImages, predictions: npt.NDArray[np.int64], beginning: Beginning
) -> Training:
    """Write the run's first files. The data's images have the model's size; `predictions` are its top-1 labels [N] for
    the test images."""
    import numpy as np

    with staged(run.path(run_directory.MODEL)) as draft:
        save_model(model, draft)
    calibration_sha256 = save_samples(run, data, beginning.seed)
    run.save(run_directory.CONTRACT, _contract(run, data, beginning, calibration_sha256))
    labels = data.source.labels
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (data.test_labels, predictions), 1)
    figures = Training(
        schema=SCHEMA,
        origin=run.origin(beginning.command, beginning.inputs, []),  # what it wrote is known once pictures are drawn
        data=data.source,
        architecture=beginning.architecture,
        recipe=beginning.recipe,
        seed=beginning.seed,
        batch_size=beginning.batch_size,
        parameters=int(model.count_params()),
        history=beginning.history,
        accuracy=accuracy(int(np.trace(confusion)), len(predictions), beginning.split),
        class_accuracy=class_accuracies(confusion, beginning.split),
        confusion_matrix=tuple(tuple(int(n) for n in row) for row in confusion),
        recipe_settings=beginning.recipe_settings,
        recipe_epochs=beginning.recipe_epochs,
        teacher=beginning.teacher,
        validation_images=beginning.validation_images,
    )
    outputs = (
        run_directory.MODEL,
        run_directory.CONTRACT,
        run_directory.SAMPLES,
        *beginning.log,
        *draw_training(run, figures),
    )
    record = replace(figures, origin=run.origin(beginning.command, beginning.inputs, outputs))
    run.save(run_directory.TRAINING, record)
    return record


def class_accuracies(confusion: npt.NDArray[np.int64], split: str) -> tuple[Accuracy | None, ...]:
    """Of each label, from a matrix whose rows are the true ones; None for a label without images."""
    return tuple(accuracy(int(row[i]), int(row.sum()), split) if row.sum() else None for i, row in enumerate(confusion))


def _contract(run: Run, data: LabelledImages, beginning: Beginning, calibration_sha256: str) -> Contract:
    """The contract travels inside the exports, so it names no path of this machine; training.json does."""
    shape = data.test_images.shape[1:]
    return Contract(
        schema=SCHEMA,
        model=f"{beginning.architecture}-{data.source.name}",
        model_sha256=run.hash_of(run_directory.MODEL),
        input=TensorSpec(name="image", dtype="uint8", shape=(None, *shape)),
        layout="NHWC",
        color_space="RGB" if shape[2] == 3 else "grayscale",
        value_range=(0, 255),
        resize=RESIZE_RULE,
        output=TensorSpec(name=beginning.meaning, dtype="float32", shape=(None, len(data.source.labels))),
        output_meaning=beginning.meaning,
        labels=data.source.labels,
        data=data.source if data.source.spec in (PREFERRED, BUILT_IN) else replace(data.source, spec=data.source.name),
        calibration_sha256=calibration_sha256,
    )
