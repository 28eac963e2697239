"""Train a classifier: data set in, model.keras, contract.json, training.json and samples.npz out.

Each epoch ends with a checkpoint, optimizer state included. The order of the images is drawn from the seed
and the epoch's number, so a run killed and resumed ends with the same weights, to the bit, as one that was
not, on the same machine with the same versions.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgecnn import run as files
from edgecnn.beginning import Beginning, begin
from edgecnn.checkpoint import STATE, model_name, resumable, save_checkpoint
from edgecnn.console import progress, say
from edgecnn.errors import InputError, NewerSchema, unknown_name
from edgecnn.images import AUTO, fit, load_data
from edgecnn.plugins import Architecture, pick
from edgecnn.records import SCHEMA, Epoch, Progress, Training

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import LabelledImages, Pixels
    from edgecnn.records import DataSource
    from edgecnn.run import Run

TEST_BATCH = 500


@dataclass(frozen=True)
class Recipe:
    """How to train. `tutorial` is the TensorFlow tutorial's: Adam's defaults and the test set for validation."""

    name: str
    epochs: int
    batch_size: int


RECIPES = {recipe.name: recipe for recipe in (Recipe(name="tutorial", epochs=10, batch_size=32),)}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What to train on what; `epochs` None is the recipe's own number."""

    data: str = AUTO
    architecture: str = "cnn"
    recipe: str = "tutorial"
    epochs: int | None = None
    seed: int = 1


def plan(run: Run, options: TrainOptions) -> tuple[LabelledImages, dict[str, str]]:
    """The data, and what decides the outcome: hashes and options by name.

    In a run already begun `auto` means the data it was begun with, so that a network that comes or goes in
    between changes nothing.
    """
    if options.recipe not in RECIPES:
        raise unknown_name("recipe", options.recipe, RECIPES)
    architecture = pick(Architecture, options.architecture)
    begun = _begun_with(run) if options.data == AUTO else None
    data = load_data(begun.spec if begun else options.data, architecture.image_shape[:2])
    if begun:
        data = replace(data, source=replace(data.source, notice=begun.notice))
    inputs = {
        "data": data.source.sha256,
        "architecture": architecture.name,
        "recipe": options.recipe,
        "seed": str(options.seed),
        "tensorflow": files.installed_versions().get("tensorflow", "missing"),
        "keras": files.installed_versions().get("keras", "missing"),
    }
    return data, inputs


def _begun_with(run: Run) -> DataSource | None:
    """The data of the run's training, finished or not; None for a run that has not begun."""
    for read in (run.training, lambda: run.load(STATE, Progress, "train")):
        try:
            return read().data
        except NewerSchema:
            raise
        except InputError:  # missing or unreadable
            continue
    return None


def epochs_of(options: TrainOptions) -> int:
    """How many epochs are asked for."""
    return options.epochs or RECIPES[options.recipe].epochs


def is_current(run: Run, options: TrainOptions) -> bool:
    """Whether the run already holds what this training would give, or a model trained elsewhere."""
    if not run.path(files.TRAINING).is_file():
        return False
    if run.is_imported():
        return True
    _, inputs = plan(run, options)
    return run.is_current(files.TRAINING, Training, {**inputs, "epochs": str(epochs_of(options))})


def train(run: Run, options: TrainOptions, show: Callable[[str], None] = say) -> Training:
    """Train, evaluate, and write the run's first files; `show` gets the model's summary.

    Raises InputError for data that cannot be used, UsageError for an unknown architecture or recipe.
    """
    import numpy as np

    data, inputs = plan(run, options)
    recipe, epochs = RECIPES[options.recipe], epochs_of(options)
    architecture = pick(Architecture, options.architecture)
    say(
        f"Training {architecture.name} on {data.source.name}: {data.source.train_count:,} training and "
        f"{data.source.test_count:,} test images, {len(data.source.labels)} classes, {epochs} epochs"
    )
    data = replace(
        data,
        train_images=fit(data.train_images, architecture.image_shape),
        test_images=fit(data.test_images, architecture.image_shape),
    )
    keras = _deterministic_keras(options.seed)
    state = resumable(run, inputs, epochs) or Progress(schema=SCHEMA, inputs=inputs, data=data.source)
    if state.history:
        model: Any = keras.saving.load_model(run.path(model_name(len(state.history))), safe_mode=True)
        say(f"Resuming after epoch {len(state.history)}")
    else:
        model = architecture.build(architecture.image_shape, len(data.source.labels))
        model.compile(
            optimizer=keras.optimizers.Adam(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,
        )
    model.summary(print_fn=show, line_length=80)
    training = _Feed(data.train_images, data.train_labels, recipe.batch_size)
    test = _Feed(data.test_images, data.test_labels, TEST_BATCH)
    while len(state.history) < epochs:
        number = len(state.history)
        order = np.random.default_rng([options.seed, number]).permutation(len(data.train_images))
        epoch = _train_epoch(model, training, test, order, number)
        state = save_checkpoint(run, model, replace(state, history=(*state.history, epoch)))
        say(
            f"Epoch {number + 1}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, validation loss "
            f"{epoch.val_loss:.4f}, validation accuracy {epoch.val_accuracy:.2%} ({epoch.seconds:.1f} s)"
        )
    answers = model.predict(test.in_order(), verbose=0).argmax(axis=1)
    beginning = Beginning(
        command="train",
        inputs={**inputs, "epochs": str(epochs)},
        architecture=architecture.name,
        recipe=recipe.name,
        seed=options.seed,
        batch_size=recipe.batch_size,
        history=state.history,
    )
    return begin(run, model, data, answers, beginning)


def _deterministic_keras(seed: int) -> Any:
    from edgecnn.conversion import configure_tensorflow

    configure_tensorflow()
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    return keras


class _Feed:
    """A data set on its way into Keras: uint8 in memory, float32 in [0, 1] a batch at a time."""

    def __init__(self, images: Pixels, labels: npt.NDArray[np.int64], batch_size: int) -> None:
        import tensorflow as tf

        self.steps = -(-len(images) // batch_size)
        self._count = len(images)
        self._batch_size = batch_size
        self._images = tf.constant(images)
        self._labels = tf.constant(labels)

    def in_order(self, order: npt.NDArray[np.int64] | None = None) -> Any:
        """A tf.data.Dataset of (images, labels) batches in this order, or as they lie."""
        import numpy as np
        import tensorflow as tf

        def take(indices: Any) -> tuple[Any, Any]:
            pixels = tf.cast(tf.gather(self._images, indices), tf.float32) / 255.0
            return pixels, tf.gather(self._labels, indices)

        indices = np.arange(self._count) if order is None else order
        return tf.data.Dataset.from_tensor_slices(indices).batch(self._batch_size).map(take).prefetch(2)


def _train_epoch(model: Any, training: _Feed, test: _Feed, order: npt.NDArray[np.int64], number: int) -> Epoch:
    import keras

    start = time.perf_counter()
    with progress(f"epoch {number + 1}", training.steps) as advance:
        tick = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: advance(batch + 1))
        history = model.fit(
            training.in_order(order), validation_data=test.in_order(), shuffle=False, verbose=0, callbacks=[tick]
        )
    figures = {name: float(values[0]) for name, values in history.history.items()}
    if not all(math.isfinite(figure) for figure in figures.values()):
        raise InputError(f"Training diverged in epoch {number + 1}: the loss is not finite; try another seed or data.")
    return Epoch(
        loss=figures["loss"],
        accuracy=figures["accuracy"],
        val_loss=figures["val_loss"],
        val_accuracy=figures["val_accuracy"],
        seconds=time.perf_counter() - start,
    )
