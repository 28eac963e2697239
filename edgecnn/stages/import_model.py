"""`edgecnn import`: begin a run from a Keras classifier that was trained elsewhere.

Pixels are first brought to the input range (0..255, 0..1 or -1..1), then (x - mean) / std where those are given, in
units of that range. Which range it is, and whether the outputs are probabilities, is found out on images where it is
not said; outputs of a sigmoid each are scores, and a single one is turned into the probabilities of two classes, the
labels' first and second. Nothing is written before the rebuilt model matches the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.console import log, progress
from edgecnn.data.fitting import align, fitted_data
from edgecnn.data.loading import load_data
from edgecnn.data.output_labels import LOGITS, PROBABILITIES, SCORES
from edgecnn.data.stratified import balanced, members
from edgecnn.environment import versions_of
from edgecnn.errors import InputError, UsageError, reason_of
from edgecnn.files import sha256_of
from edgecnn.model_files.activations import activations, images_per_batch
from edgecnn.parity.intervals import accuracy
from edgecnn.run_directory import IMPORT
from edgecnn.training import keras_import
from edgecnn.training.run_files import Beginning, begin

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.arrays import Floats, Pixels
    from edgecnn.data.dataset import LabelledImages
    from edgecnn.records import Training
    from edgecnn.run_directory import Run


RANGES = {"0..255": (255.0, 0.0), "0..1": (1.0, 0.0), "-1..1": (2.0, -1.0)}  # of [0, 1]: times, plus
SEED = 1
RANGE_IMAGES = 500
COMPARED_IMAGES = 8
HALF = ("float16", "bfloat16")  # what such a model computes in
TOLERANCE, HALF_TOLERANCE = 1e-4, 5e-2  # of the largest output; the second for models that compute in 16 bits
WHY = {
    LOGITS: "not every row of them is in [0, 1] and sums to 1",
    PROBABILITIES: "every row of them is in [0, 1] and sums to 1",
    SCORES: "each from a sigmoid of its own: a label holds above 0.5",
}
SUM_TOLERANCE = 1e-3  # of a row of probabilities
MAX_BATCH = 4_096  # images in one call, of a model that holds little
GENERIC = re.compile(r"(sequential|functional|model)(_\d+)?")  # what Keras calls a model that nobody named


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """A foreign model and what is known of it; `input_range` None is found out. `mean` and `std` have one number or
    one a channel, or are both empty."""

    model: Path
    labels: Path
    data: str
    input_range: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def adopt(run: Run, options: ImportOptions) -> Training:
    """Write the files a run begins with, for a model trained elsewhere.

    Raises InputError for a model, labels or data that cannot be used or do not fit each other, and UsageError for
    a mean and std that do not fit, or where the input range cannot be told.
    """
    labels = read_labels(options.labels)
    model = keras_import.read(options.model)
    shape, classes = keras_import.check(model, options.model)
    model.name = _called(model.name)  # TensorFlow does not run a model under every name
    if len(labels) != classes:
        raise InputError(
            f"{options.labels} names {len(labels)} classes and {options.model} outputs {classes}; give a line for each "
            "class, in the order of the outputs."
        )
    _check_mean_and_std(options, shape[2])
    data = align(load_data(options.data, shape[:2]), labels)
    data = fitted_data(data, shape)
    chosen = options.input_range or _find_range(model, data, options)
    scale, offset = _scaling(options, chosen)
    rebuilt = keras_import.flat(model, shape, scale, offset)
    outputs = _compare(model, rebuilt, data.train_images[:COMPARED_IMAGES], scale, offset)
    meaning = _meaning(model, outputs)
    log(f"{options.model.name}: {shape[0]} x {shape[1]} x {shape[2]} in, {classes} {meaning} out ({WHY[meaning]})")
    predictions = _predict(rebuilt, data.test_images, [1.0], [0.0]).argmax(axis=1)
    beginning = Beginning(
        command=IMPORT,
        inputs=_inputs(options, data, chosen),
        architecture=model.name,
        recipe="imported",
        seed=SEED,
        meaning=meaning,
    )
    record = begin(run, rebuilt, data, predictions, beginning)
    if record.accuracy.low <= 1 / classes:
        log("That is not better than guessing: are the labels in the model's order, is the input range right?")
    return record


def read_labels(path: Path) -> tuple[str, ...]:
    """The class names in a UTF-8 text file, one per line; blank lines at its end are ignored."""
    if not path.is_file():
        raise InputError(f"There is no file of labels at {path}; check the path.")
    try:
        lines = [line.strip() for line in path.read_bytes().decode("utf-8-sig").rstrip().split("\n")]
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8, one label per line.") from None
    for number, line in enumerate(lines, 1):
        if not line:
            raise InputError(f"{path}: line {number} is empty; every class needs a name.")
        if lines.index(line) != number - 1:
            raise InputError(f"{path}: line {number} repeats the label '{line}'; give each class a name of its own.")
    return tuple(lines)


def _check_mean_and_std(options: ImportOptions, channels: int) -> None:
    if bool(options.mean) != bool(options.std):
        raise UsageError("--mean and --std belong together; give both or neither.")
    for name, numbers in (("--mean", options.mean), ("--std", options.std)):
        if len(numbers) not in (0, 1, channels):
            wanted = "1 number" if channels == 1 else f"1 or {channels} numbers"
            raise UsageError(f"{name} has {len(numbers)} numbers; the model's {channels} channels need {wanted}.")
    if not all(number > 0 for number in options.std):
        raise UsageError("--std has a number that is not above 0.")


def _scaling(options: ImportOptions, input_range: str) -> tuple[list[float], list[float]]:
    """Scale and offset from [0, 1] to what the original takes: one number each, or one a channel."""
    factor, shift = RANGES[input_range]
    count = max(1, len(options.mean), len(options.std))
    means = (options.mean or (0.0,)) * (count if len(options.mean) < count else 1)
    stds = (options.std or (1.0,)) * (count if len(options.std) < count else 1)
    return [factor / std for std in stds], [(shift - mean) / std for mean, std in zip(means, stds, strict=True)]


def _find_range(model: Any, data: LabelledImages, options: ImportOptions) -> str:
    """The input range under which clearly more training images are classified correctly; UsageError where none is."""
    import numpy as np

    groups = members(data.train_labels, len(data.source.labels), np.zeros(len(data.train_labels), np.bool_))
    some = balanced(np.random.default_rng(SEED), groups, RANGE_IMAGES)
    images, labels = data.train_images[some], data.train_labels[some]
    right = {
        name: int((_predict(model, images, *_scaling(options, name)).argmax(axis=1) == labels).sum()) for name in RANGES
    }
    best, second = sorted(right, key=lambda name: -right[name])[:2]
    figures = ", ".join(f"{count / len(some):.1%} with {name}" for name, count in right.items())
    found = f"of {len(some)} training images it classifies correctly {figures}"
    if accuracy(right[best], len(some), "").low <= accuracy(right[second], len(some), "").high:
        raise UsageError(f"The input range is ambiguous: {found}; give --input-range.")
    log(f"Input range {best}: {found}")
    return best


def _predict(model: Any, images: Pixels, scale: list[float], offset: list[float]) -> Floats:
    """A model's outputs for uint8 [N, H, W, C], brought to [0, 1] and then to its own input range: [N, classes], of a
    single sigmoid the probabilities of both classes."""
    import numpy as np

    step = images_per_batch(activations(model.get_config()).widest_bytes, MAX_BATCH)
    parts = []
    with progress("running the model", len(images)) as advance:
        for first in range(0, len(images), step):
            pixels = images[first : first + step].astype(np.float64) / 255
            scaled = (pixels * scale + offset).astype(np.float32)
            try:
                outputs = np.asarray(model.predict_on_batch(scaled), np.float32)
            except Exception as error:  # TensorFlow's own errors are of no common kind
                raise InputError(f"The model cannot be run: {reason_of(error)}.") from None
            parts.append(outputs if outputs.shape[1] > 1 else np.concatenate([1 - outputs, outputs], axis=1))
            advance(first + len(scaled))
    return np.concatenate(parts)


def _compare(model: Any, rebuilt: Any, images: Pixels, scale: list[float], offset: list[float]) -> Floats:
    """The rebuilt model's outputs; raises InputError unless they are the original's on the same images."""
    import numpy as np

    wanted, outputs = _predict(model, images, scale, offset), _predict(rebuilt, images, [1.0], [0.0])
    if not np.isfinite(wanted).all():
        raise InputError("The model's outputs are not finite; a weight is damaged, or the input range is wrong.")
    largest = float(np.abs(wanted - outputs).max())
    half = any(layer.compute_dtype in HALF for layer in model._flatten_layers())
    size = float(np.abs(wanted).max())
    if not largest <= (HALF_TOLERANCE if half else TOLERANCE) * size:
        raise InputError(
            f"The model, rebuilt as one graph, gives other outputs than before (by {largest:.3g}, where its largest "
            f"output is {size:.3g})."
        )
    return outputs


def _meaning(model: Any, outputs: Floats) -> str:
    """What the outputs are: of a sigmoid for each label scores, whatever they sum to on these images."""
    if model.outputs[0].shape[-1] > 1 and keras_import.ends_in_sigmoid(model):
        return SCORES
    return PROBABILITIES if _are_probabilities(outputs) else LOGITS


def _are_probabilities(outputs: Floats) -> bool:
    within = bool((outputs >= 0).all() and (outputs <= 1).all())
    return within and bool((abs(outputs.sum(axis=1) - 1) <= SUM_TOLERANCE).all())


def _called(name: str) -> str:
    """The model's own name, made fit for file and variable names; "imported" where nobody gave it one."""
    fit_name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-")
    return "imported" if GENERIC.fullmatch(name) or not fit_name else fit_name


def _inputs(options: ImportOptions, data: LabelledImages, input_range: str) -> dict[str, str]:
    """What decides the outcome: hashes and options by name."""
    return {
        "model": sha256_of(options.model),
        "labels": sha256_of(options.labels),
        "data": data.source.sha256,
        "input_range": input_range,
        "mean": ",".join(map(str, options.mean)),
        "std": ",".join(map(str, options.std)),
        **versions_of(("tensorflow", "keras")),
    }
