"""A recipe in Keras' terms: optimizer and schedule, loss, teacher, and the device that computes the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.environment import usable_cores
from edgecnn.errors import InputError
from edgecnn.model_files import keras_archive
from edgecnn.pretrained import find_run
from edgecnn.records.contract import image_shape
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecnn.training.architecture import Architecture
    from edgecnn.training.recipes import Recipe

MOMENTUM = 0.9


def deterministic_keras(seed: int) -> None:
    """Set Keras so that the same seed gives the same weights."""
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def device() -> str:
    """What computes the steps, for a reader: TensorFlow takes a GPU by itself where it finds one."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    cores = usable_cores()
    return f"the CPU, {cores} core{'' if cores == 1 else 's'}"


def compile_model(model: Any, recipe: Recipe, steps: int, epochs: int, *, soft: bool) -> None:
    """Ready a new model for `epochs` of `steps` batches each, whose targets are soft or not (see
    edgecnn.training.input_pipeline)."""
    import keras

    kinds: dict[str, Callable[[Any], Any]] = {
        "adam": lambda rate: keras.optimizers.Adam(rate),
        "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
        "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True),
    }
    model.compile(
        optimizer=kinds[recipe.optimizer](_rate(recipe, steps, epochs)),
        loss=soft_loss if soft else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.MeanMetricWrapper(label_accuracy, name="accuracy") if soft else "accuracy"],
        jit_compile=False,
    )


def load_model(path: Path) -> Any:
    """The model of a checkpoint, its optimizer as it was."""
    ours = {function.__name__: function for function in (soft_loss, label_accuracy)}
    return keras_archive.load(path, compile=True, custom_objects=ours)


def teacher_run(name: str, architecture: Architecture, labels: tuple[str, ...]) -> Run:
    """The run whose model is to teach; raises InputError unless it answers for the same images and labels."""
    run = Run.at(find_run(name))
    contract = run.contract()
    if contract.labels != labels or image_shape(contract) != architecture.image_shape:
        raise InputError(f"{name} cannot teach here: its images or its labels differ; give a run of the same data set.")
    if contract.output_meaning != "logits":
        raise InputError(f"{name} cannot teach here: it outputs {contract.output_meaning}, and logits are needed.")
    run.model_path(contract)
    return run


def load_teacher(name: str) -> Any:
    """The teacher's model, for inference only."""
    run = Run.at(find_run(name))
    return keras_archive.load(run.model_path(run.contract()))


def _rate(recipe: Recipe, steps: int, epochs: int) -> Any:
    """The learning rate: a number, or a schedule over all steps."""
    import keras

    if not recipe.lr_schedule:
        return recipe.learning_rate
    rising = min(round(recipe.warmup_epochs * steps), epochs * steps - 1)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps=epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=epochs * steps - rising, warmup_target=recipe.learning_rate, warmup_steps=rising
    )


def soft_loss(targets: Any, logits: Any) -> Any:
    """Cross-entropy to the shares that are to be learnt; see edgecnn.training.input_pipeline for the targets."""
    import keras

    return keras.losses.categorical_crossentropy(targets[:, 0], logits, from_logits=True)


def label_accuracy(targets: Any, logits: Any) -> Any:
    """Whether the label was answered, whatever a teacher thinks."""
    import keras

    return keras.metrics.categorical_accuracy(targets[:, 1], logits)
