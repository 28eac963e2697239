"""Say whether a model fits a microcontroller, as generated C and in TFLite Micro, before a compiler runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.footprint import MEASURED_WITH, STACK_BYTES, code_bytes, steps_in_memory
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reader import read
from edgecnn.environment import not_installed
from edgecnn.errors import EdgecnnError, InputError, damaged
from edgecnn.model_files.inspector import head_of, inspector_of
from edgecnn.model_files.inspectors import tflite
from edgecnn.records import EngineFit, Fit
from edgecnn.run_directory import Run
from edgecnn.runtimes import tflm_interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Inspection, StepMemory

FORMAT = "tflite_int8_micro"
C, MICRO = "generated C", "TFLite Micro"
IMAGE_TYPES = ("uint8", "int8", "float32")
KERAS = (".keras", ".h5", ".hdf5")


def fit(model: Path, flash: int | None, ram: int | None, board: str = "") -> Fit:
    """What the model takes, and whether that fits `flash` and `ram`, in bytes; None is not asked for.

    `model` is a run with `tflite_int8_micro`, or such a .tflite file; `board` is only named. An engine that cannot run
    the model says so in its verdict. Raises InputError for anything else than such a run or a .tflite file.
    """
    path, layers = _file(model)
    facts, _ = tflite.read(path)  # raises InputError for a damaged file
    content, there = path.read_bytes(), {"flash": flash, "RAM": ram}
    steps, generated = _generated(path, content, layers, there)
    engines = generated, _micro(content, facts, there)
    return Fit(model=str(path), board=board, flash_bytes=flash, ram_bytes=ram, steps=steps, engines=engines)


def _file(model: Path) -> tuple[Path, dict[str, str]]:
    """The .tflite file, and the layers of its tensors where they are known."""
    if model.is_dir():
        run = Run.at(model)
        record = run.artifacts()
        artifact = next((one for one in record.artifacts if one.format == FORMAT), None)
        if artifact is None:
            raise run.without_export(record, FORMAT)
        return run.artifact_path(artifact), {place.tensor: layer for layer, place in artifact.layers.items()}
    if not model.is_file():
        raise InputError(f"{model} does not exist; give a run or a .tflite file.")
    if model.suffix in KERAS:
        raise InputError(f"{model} is a Keras model: create a run with `edgecnn import`, then run `edgecnn export`.")
    found = inspector_of(model, head_of(model))
    if found is None or found.name != tflite.PLUGIN.name:
        what = f"{found.summary} and no .tflite file" if found else "no run and no .tflite file"
        raise InputError(f"{model} is {what}; `edgecnn export RUN --format {FORMAT}` makes one.")
    return model, {}


def _generated(
    path: Path, content: bytes, layers: dict[str, str], there: dict[str, int | None]
) -> tuple[tuple[StepMemory, ...], EngineFit]:
    """The steps of generated C, none where it cannot compute the model, and what they take together."""
    try:
        graph = read(content, layers)
    except InputError as error:
        return (), _unknown(C, error.reason)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # a broken graph breaks whatever reads it first
        raise damaged(path, "TFLite model", error) from None
    planned = plan(graph)
    steps = steps_in_memory(graph, planned)
    flash = {
        "constants": sum(step.constant_bytes for step in steps),
        "code": code_bytes(steps),
    }
    ram = {"arena": planned.arena_bytes, "output": graph.tensors[graph.output].size_bytes, "stack": STACK_BYTES}
    largest = max(steps, key=lambda step: step.constant_bytes)
    peak = next(step for step in steps if step.peak)
    where = {"flash": f"{largest.layer} has the most constants", "RAM": f"{peak.layer} needs the most"}
    basis = (
        f"Code and stack are bounds above what {MEASURED_WITH} made of many models. The arena holds the image. What "
        "else an app needs comes on top."
    )
    return steps, _judged(C, flash, ram, there, where, basis)


def _micro(content: bytes, facts: Inspection, there: dict[str, int | None]) -> EngineFit:
    """By its own interpreter, or why there is none."""
    if not tflm_interpreter.is_installed():
        return _unknown(MICRO, f"skipped; {not_installed('tflite_micro')}")
    try:
        measured = tflm_interpreter.measure(content, _black(facts))
    except EdgecnnError as error:
        return _unknown(MICRO, error.reason)
    where = {"flash": "for the file alone", "RAM": "for the arena alone"}
    basis = (
        "The arena is the smallest in which its interpreter runs on this computer, whose pointers are larger than a "
        "microcontroller's. The interpreter's code, its stack and what else an app needs come on top."
    )
    return _judged(MICRO, {"file": len(content)}, {"arena": measured.arena_bytes}, there, where, basis)


def _black(facts: Inspection) -> Any:
    """An image of zeros as the model takes it; raises InputError for a model that takes none."""
    import numpy as np

    if len(facts.inputs) != 1 or facts.inputs[0].dtype not in IMAGE_TYPES:
        raise InputError("The model does not take one image.")
    shape = [side if isinstance(side, int) else 1 for side in facts.inputs[0].shape]
    if math.prod(shape) > tflm_interpreter.LARGEST_ARENA:
        raise InputError(f"An image of {math.prod(shape):,} values is larger than any arena that is tried.")
    return np.zeros(shape, facts.inputs[0].dtype)


def _judged(
    engine: str,
    flash: dict[str, int],
    ram: dict[str, int],
    there: dict[str, int | None],
    where: dict[str, str],
    basis: str,
) -> EngineFit:
    """Hold the sums against what there is; `where` says for either memory what takes it."""
    sums = {"flash": sum(flash.values()), "RAM": sum(ram.values())}
    left = {kind: size - sums[kind] for kind, size in there.items() if size is not None}
    missing = [f"{-size:,} bytes of {kind} are missing ({where[kind]})" for kind, size in left.items() if size < 0]
    spare = [f"{size:,} bytes of {kind}" for kind, size in left.items()]
    verdict = f"does not fit: {' and '.join(missing)}" if missing else f"fits: {' and '.join(spare)} are left"
    return EngineFit(engine=engine, fits=not missing, verdict=verdict, flash=flash, ram=ram, basis=basis)


def _unknown(engine: str, reason: str) -> EngineFit:
    return EngineFit(engine=engine, fits=None, verdict=reason, flash={}, ram={}, basis="")
