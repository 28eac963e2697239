"""Train a classifier: data set in, model.keras, contract.json, training.json and samples.npz out.

Each epoch ends with a checkpoint, optimizer state included. What is drawn for an epoch comes from the seed and the
epoch's number, so a run killed and resumed ends with the same weights, to the bit, as one that was not, on the same
machine with the same versions.
"""

from __future__ import annotations

import io
import math
import time
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.console import log, progress
from edgecnn.data.fitting import fit
from edgecnn.data.holdout import HELD_OUT, held_out, notice_before
from edgecnn.data.loading import AUTO, load_data
from edgecnn.environment import require, versions_of
from edgecnn.errors import InputError, UnsupportedSchema, UsageError
from edgecnn.plugins import pick
from edgecnn.records import SCHEMA, Epoch, Progress, Training
from edgecnn.training.architecture import Architecture
from edgecnn.training.checkpoint import STATE, model_name, resumable, save_checkpoint
from edgecnn.training.epoch_log import LOG, show_epoch, write_log
from edgecnn.training.input_pipeline import Feed
from edgecnn.training.optimizer import compile_model, deterministic_keras, device, load_model, load_teacher, teacher_run
from edgecnn.training.recipes import TUTORIAL, described, pick_recipe, recipes_of
from edgecnn.training.run_files import SPLIT, Beginning, begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.data.dataset import LabelledImages
    from edgecnn.records import DataSource
    from edgecnn.run_directory import Run
    from edgecnn.training.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What to train on what; `epochs` None is the recipe's own number."""

    data: str = AUTO
    architecture: str = "cnn"
    recipe: str = TUTORIAL.name
    epochs: int | None = None
    seed: int = 1
    teacher: str | None = None  # a run directory or a pretrained run's name
    validation_images: int = 0  # training images set aside to measure on instead of the test images


def plan(run: Run, options: TrainOptions) -> tuple[LabelledImages, dict[str, str]]:
    """The data, and what decides the outcome: hashes and options by name.

    In a run already begun `auto` means the data it was begun with, so that a network that comes or goes in
    between changes nothing.
    """
    architecture, recipe = pick(Architecture, options.architecture), recipe_of(options)
    if options.teacher is not None and not recipe.distillation_alpha:
        others = [one.name for one in recipes_of(architecture).values() if one.distillation_alpha]
        hint = f"--recipe {others[0]} does" if others else "leave out --teacher"
        raise UsageError(f"The recipe {recipe.name} of {architecture.name} takes no teacher; {hint}.")
    require("tensorflow", "keras")  # before data is downloaded
    begun = _begun_with(run) if options.data == AUTO else None
    data = load_data(begun.spec if begun else options.data, architecture.image_shape[:2])
    if begun:
        data = replace(data, source=replace(data.source, notice=notice_before(begun.notice)))
    inputs = {
        "data": data.source.sha256,
        "architecture": architecture.name,
        "recipe": recipe.name,
        "recipe_settings": described(recipe),
        "seed": str(options.seed),
        **versions_of(("tensorflow", "keras")),
    }
    if recipe.lr_schedule:  # the rate of an epoch depends on how many there are to be
        inputs["lr_schedule_epochs"] = str(epochs_of(options))
    if options.validation_images:
        inputs["validation_images"] = str(options.validation_images)
        data = held_out(data, options.validation_images)
    if options.teacher is not None:
        inputs["teacher"] = teacher_run(options.teacher, architecture, data.source.labels).hash_of(run_directory.MODEL)
    return data, inputs


def _begun_with(run: Run) -> DataSource | None:
    """The data of the run's training, finished or not; None for a run that has not begun."""
    for read in (run.training, lambda: run.load(STATE, Progress, "train")):
        try:
            return read().data
        except UnsupportedSchema:
            raise
        except InputError:  # missing or unreadable
            continue
    return None


def recipe_of(options: TrainOptions) -> Recipe:
    """The chosen recipe as it will run: without its distillation settings where there is no teacher."""
    recipe = pick_recipe(pick(Architecture, options.architecture), options.recipe)
    return (
        recipe if options.teacher is not None else replace(recipe, distillation_alpha=0.0, distillation_temperature=1.0)
    )


def epochs_of(options: TrainOptions) -> int:
    """The number of epochs to train."""
    return options.epochs or recipe_of(options).epochs


def is_current(run: Run, options: TrainOptions) -> bool:
    """Whether the run already holds what this training would give, or a model trained elsewhere."""
    if not run.path(run_directory.TRAINING).is_file():
        return False
    if run.is_imported():
        return True
    _, inputs = plan(run, options)
    return run.is_current(run_directory.TRAINING, Training, {**inputs, "epochs": str(epochs_of(options))})


def train(run: Run, options: TrainOptions, show: Callable[[str], None] = log) -> Training:
    """Train, evaluate, and write the run's first files; `show` gets the model's summary.

    Raises InputError for data that cannot be used, UsageError for an unknown architecture or recipe.
    """
    data, inputs = plan(run, options)
    recipe, epochs, architecture = recipe_of(options), epochs_of(options), pick(Architecture, options.architecture)
    data = replace(
        data,
        train_images=fit(data.train_images, architecture.image_shape),
        test_images=fit(data.test_images, architecture.image_shape),
    )
    deterministic_keras(options.seed)
    split = HELD_OUT if options.validation_images else SPLIT
    log(
        f"Training {architecture.name} on {data.source.name}: {len(data.train_labels):,} training and "
        f"{len(data.test_labels):,} {split} images, {len(data.source.labels)} classes, {epochs} epochs, on {device()}"
    )
    lesson = _lesson(data, options, recipe, epochs)
    state = resumable(run, inputs, epochs) or Progress(schema=SCHEMA, inputs=inputs, data=data.source)
    if state.history:
        model = load_model(run.path(model_name(len(state.history))))
        log(f"Resuming after epoch {len(state.history)}")
        write_log(run, state.history, split)
    else:
        model = architecture.build(architecture.image_shape, len(data.source.labels))
        compile_model(model, recipe, lesson.steps, epochs, soft=lesson.soft)
    summary: list[str] = []
    with redirect_stdout(io.StringIO()):  # what Keras flushes besides would fail where stdout is no use
        model.summary(print_fn=summary.append, line_length=80)
    with suppress(OSError):  # where standard output is no use, the training is none the worse
        show("\n".join(summary))
    state = _learn(run, model, lesson, state, split)
    beginning = Beginning(
        command="train",
        inputs={**inputs, "epochs": str(epochs)},
        architecture=architecture.name,
        recipe=recipe.name,
        seed=options.seed,
        batch_size=recipe.batch_size,
        history=state.history,
        recipe_settings=described(recipe),
        recipe_epochs=recipe.epochs,
        teacher=options.teacher or "",
        validation_images=options.validation_images,
        split=split,
        log=(LOG,),
    )
    predictions = model.predict(lesson.test.in_order(), verbose=0).argmax(axis=1)
    return begin(run, model, data, predictions, beginning)


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """What an epoch is made of."""

    recipe: Recipe
    epochs: int
    seed: int
    training: Feed
    test: Feed
    validated: bool  # after each epoch, on `test`
    soft: bool
    teacher: Any  # a Keras model, or None

    @property
    def steps(self) -> int:
        return self.training.steps(self.recipe.batch_size)


def _lesson(data: LabelledImages, options: TrainOptions, recipe: Recipe, epochs: int) -> TrainingSetup:
    classes = len(data.source.labels)
    soft = recipe.label_smoothing > 0 or options.teacher is not None
    return TrainingSetup(
        recipe=recipe,
        epochs=epochs,
        seed=options.seed,
        training=Feed(data.train_images, data.train_labels, classes, soft=soft),
        test=Feed(data.test_images, data.test_labels, classes, soft=soft),
        validated=recipe.tests_each_epoch or options.validation_images > 0,
        soft=soft,
        teacher=None if options.teacher is None else load_teacher(options.teacher),
    )


def _learn(run: Run, model: Any, lesson: TrainingSetup, state: Progress, split: str) -> Progress:
    """Train from where `state` stands to the end, with a checkpoint after each epoch."""
    begun, total = len(state.history), lesson.epochs * lesson.steps
    with progress("training", total, begun * lesson.steps) as advance:
        for number in range(begun, lesson.epochs):
            epoch = _train_epoch(model, lesson, number, advance)
            state = save_checkpoint(run, model, replace(state, history=(*state.history, epoch)))
            show_epoch(state.history, lesson.epochs, number + 1 - begun)
            write_log(run, state.history, split)
    return state


def _train_epoch(model: Any, lesson: TrainingSetup, number: int, advance: Callable[[float], None]) -> Epoch:
    import keras

    start = time.perf_counter()
    tick = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: advance(number * lesson.steps + batch + 1)
    )
    history = model.fit(
        lesson.training.epoch(lesson.recipe, lesson.seed, number, lesson.teacher),
        validation_data=lesson.test.in_order() if lesson.validated else None,
        shuffle=False,
        verbose=0,
        callbacks=[tick],
    )
    figures = {name: float(values[0]) for name, values in history.history.items()}
    if not all(math.isfinite(figure) for figure in figures.values()):
        raise InputError(f"Training diverged in epoch {number + 1}: the loss is not finite; try another seed or data.")
    return Epoch(
        loss=figures["loss"],
        accuracy=figures["accuracy"],
        val_loss=figures.get("val_loss"),
        val_accuracy=figures.get("val_accuracy"),
        seconds=time.perf_counter() - start,
        learning_rate=float(model.optimizer.learning_rate),
    )
