"""Small models with one unusual thing each, what comes of them, and how an export answers: `tools/zoo` and its test.

Weights are drawn with a fixed seed; nothing is trained.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgecnn.run_directory import Run

SIDE: int = 16
CLASSES: int = 4
ANSWERED_IMAGES = 16
FLOAT_FORMATS = ("onnx_float32", "saved_model", "tflite_float32")
FLOAT_TOLERANCE = 1e-4  # of the largest output
RUNTIMES = ("saved_model", "litert", "onnxruntime")
MAX_DROP = 100.0  # points: with random weights accuracy means nothing, so no layer is kept in float32 for it
ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 3600
MARK = "outcome "  # begins the lines that tell of one; converters write others
IMPORT = "import"  # stands for the formats where the model is refused before


@dataclass(frozen=True)
class Specimen:
    """A model of the zoo: `build(keras)` gives it.

    `refused` says what is not exported: format (or "import" for the whole model) -> what the sentence has to hold, a
    regular expression; whatever is not named there has to work.
    """

    build: Callable[[Any], Any]
    input_range: str = "0..1"
    suffix: str = ".keras"
    labels: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    quick: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one format: its answers' difference to Keras' as a share of the largest output, or a refusal."""

    format: str
    difference: float | None = None
    refusal: str = ""


def data(path: Path, labels: tuple[str, ...], shape: tuple[int, int, int]) -> str:
    """Write an .npz of drawn images, more alike within a class than between; its path."""
    random = np.random.default_rng(3)
    arrays: dict[str, Any] = {"labels": np.array(labels)}
    tints = random.integers(0, 156, (len(labels), 1, 1, shape[2]))
    for split, count in (("train", max(60, 2 * len(labels))), ("test", 24)):
        y = np.arange(count) % len(labels)
        x = tints[y] + random.integers(0, 100, (count, *shape))
        arrays |= {f"x_{split}": x.astype(np.uint8), f"y_{split}": y}
    np.savez(path, **arrays)
    return str(path)


def brought_in(specimen: Specimen, folder: Path) -> Run:
    """Build, save and import the model: a run. Raises edgecnn's errors where it is refused."""
    from edgecnn.run_directory import Run
    from edgecnn.stages.import_model import ImportOptions, adopt
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow(threads=1)
    import keras

    keras.utils.set_random_seed(7)
    model = settled(keras, specimen.build(keras))
    path = folder / f"model{specimen.suffix}"
    model.save(path)
    classes = model.outputs[0].shape[-1] or CLASSES
    labels = specimen.labels or tuple(f"class {number}" for number in range(max(2, classes)))
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    shape = tuple(model.inputs[0].shape[1:])
    fixed = shape if len(shape) == 3 and all(shape) and shape[2] in (1, 3) else (SIDE, SIDE, 3)
    run = Run(folder / "run")
    options = ImportOptions(
        model=path,
        labels=folder / "labels.txt",
        data=data(folder / "data.npz", labels, fixed),
        input_range=specimen.input_range,
        mean=specimen.mean,
        std=specimen.std,
    )
    with run.lock():
        adopt(run, options)
    keras.backend.clear_session()
    return run


def settled(keras: Any, model: Any) -> Any:
    """The model with weights that a training could have left: no zero biases, statistics of its own in every norm."""
    random = np.random.default_rng(11)
    for weight in model.weights:
        name, value = weight.path.rpartition("/")[2], np.asarray(weight)
        if name in ("bias", "beta", "moving_mean") and value.dtype.kind == "f":
            weight.assign(random.normal(0, 0.1, value.shape))
        elif name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, value.shape))
    return model


def outcomes(run: Run) -> Iterator[Outcome]:
    """Export the run to every format, and compare what each answers with what the trained model does."""
    from edgecnn.data.samples import samples_of
    from edgecnn.export.format import ExportOptions, default_formats
    from edgecnn.plugins import pick
    from edgecnn.runtimes.runtime import Runtime
    from edgecnn.stages.export import export

    with run.lock():
        refusals = {
            failure.format: failure.reason
            for failure in export(run, (), ExportOptions(max_accuracy_drop=MAX_DROP)).failures
        }
    pixels = samples_of(run, run.contract()).images[:ANSWERED_IMAGES]
    reference = pick(Runtime, "keras").load(run.path("model.keras"), 1, "cpu", ())
    wanted = next(iter(reference.run(pixels).values()))
    for name in default_formats():
        if name in refusals:
            yield Outcome(name, refusal=refusals[name])
        else:
            yield Outcome(name, difference=_difference(run, name, pixels, wanted))


def _difference(run: Run, name: str, pixels: Any, wanted: Any) -> float:
    from edgecnn.export.format import Format
    from edgecnn.plugins import pick
    from edgecnn.runtimes.runtime import Runtime

    artifact = next(artifact for artifact in run.artifacts().artifacts if artifact.format == name)
    kind = pick(Format, name).file_kind
    runtime = next(r for r in (pick(Runtime, name) for name in RUNTIMES) if kind in r.file_kinds)
    accepted = {"allow_fallback": True} if "allow_fallback" in runtime.extras else {}
    session = runtime.load(run.artifact_path(artifact), 1, runtime.providers[0], (), **accepted)
    found = next(iter(session.run(pixels).values()))
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-30))


def kept(specimen: Specimen, folder: Path) -> Iterator[Outcome]:
    """What becomes of a model, its files in `folder`: one outcome where the import refuses it, else one a format."""
    from edgecnn.errors import EdgecnnError

    try:
        run = brought_in(specimen, folder)
    except EdgecnnError as error:
        yield Outcome(IMPORT, refusal=str(error).replace(f"{folder}/", ""))
    else:
        yield from outcomes(run)


def tried(name: str) -> list[Outcome]:
    """What becomes of a model, in a process of its own: TensorFlow takes its threads once, and a crash is one row."""
    command = [sys.executable, "-m", "tests.zoo", name]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return [Outcome(IMPORT, refusal=f"CRASH: not done after {TIMEOUT_S} s")]
    lines = [line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK)]
    found = [Outcome(**json.loads(line)) for line in lines]
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1][:200]
        found.append(Outcome(IMPORT, refusal=f"CRASH: exit {done.returncode}, {last}"))
    return found


def complaint(specimen: Specimen, outcome: Outcome) -> str:
    """What is wrong with an outcome, "" for nothing."""
    expected = specimen.refused.get(outcome.format, "")
    if outcome.difference is None:
        if not expected:
            return f"refused: {outcome.refusal}"
        return "" if re.search(expected, outcome.refusal) else f"refused otherwise: {outcome.refusal}"
    if expected or IMPORT in specimen.refused:
        return "works, and was to be refused"
    if not np.isfinite(outcome.difference):
        return "answers are not finite"
    if outcome.format in FLOAT_FORMATS and not outcome.difference <= FLOAT_TOLERANCE:
        return f"differs by {outcome.difference:.2g}"
    return ""


if __name__ == "__main__":
    from tests import zoo_models

    with tempfile.TemporaryDirectory() as scratch:
        for outcome in kept({**zoo_models.ZOO, **zoo_models.APPLICATIONS}[sys.argv[1]], Path(scratch)):
            print(MARK + json.dumps(asdict(outcome)), flush=True)
