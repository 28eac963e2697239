"""Say whether a model fits a microcontroller, as generated C and in TFLite Micro, before a compiler runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.codegen.footprint import STACK_BYTES, flash_bytes, steps_in_memory
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reader import read
from edgecnn.environment import not_installed
from edgecnn.errors import EdgecnnError, InputError
from edgecnn.records import EngineFit, Fit
from edgecnn.run_directory import Run
from edgecnn.runtimes import tflm_interpreter

if TYPE_CHECKING:
    from edgecnn.codegen.graph import Graph
    from edgecnn.records import StepMemory

FORMAT = "tflite_int8_micro"
C, MICRO = "generated C", "TFLite Micro"


def fit(model: Path, flash: int, ram: int, board: str = "") -> Fit:
    """What the model takes, and whether that fits `flash` and `ram`, in bytes; `board` is only named.

    `model` is a run with `tflite_int8_micro`, or such a .tflite file. Raises InputError for anything else.
    """
    path, layers = _file(model)
    content = path.read_bytes()
    steps: tuple[StepMemory, ...] = ()
    try:
        graph = read(content, layers)
        planned = plan(graph)
        steps = steps_in_memory(graph, planned)
        generated = _generated(graph, planned.arena_bytes, steps, flash, ram)
    except InputError as error:
        generated = _unknown(C, error.reason)
    engines = (generated, _micro(content, flash, ram))
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
    if model.suffix != ".tflite":
        raise InputError(f"{model} is no run and no .tflite file; `edgecnn export RUN --format {FORMAT}` makes one.")
    if not model.is_file():
        raise InputError(f"{model} does not exist.")
    return model, {}


def _generated(graph: Graph, arena: int, steps: tuple[StepMemory, ...], flash: int, ram: int) -> EngineFit:
    used = flash_bytes(steps), arena + graph.tensors[graph.output].size_bytes + STACK_BYTES
    peak, largest = max(steps, key=lambda step: step.arena_bytes), max(steps, key=lambda step: step.constant_bytes)
    return EngineFit(
        engine=C,
        flash_bytes=used[0],
        flash_is="constants and at most so much code, compiled with -Os",
        ram_bytes=used[1],
        ram_is=f"arena of {arena:,} with the image in it, output, {STACK_BYTES} of stack",
        fits=used[0] <= flash and used[1] <= ram,
        reason=_verdict(used, (flash, ram), f"{largest.layer} has the most constants", f"{peak.layer} needs the most"),
    )


def _micro(content: bytes, flash: int, ram: int) -> EngineFit:
    """By its own interpreter, whose arena on a board of 32 bits is a little smaller."""
    import numpy as np

    if not tflm_interpreter.is_installed():
        return _unknown(MICRO, not_installed("tflite_micro"))
    try:
        shape = _image_shape(content)
        measured = tflm_interpreter.measure(content, np.zeros((1, *shape), np.uint8))
    except EdgecnnError as error:
        return _unknown(MICRO, error.reason)
    used = len(content), measured.arena_bytes
    return EngineFit(
        engine=MICRO,
        flash_bytes=used[0],
        flash_is="the file, without the interpreter's code",
        ram_bytes=used[1],
        ram_is="arena, measured with its interpreter on this computer, without stack",
        fits=used[0] <= flash and used[1] <= ram,
        reason=_verdict(used, (flash, ram), "without its code", "of arena alone"),
    )


def _image_shape(content: bytes) -> tuple[int, ...]:
    from edgecnn.model_files.tflite_model import File

    graph = File(content).graph
    return tuple(int(side) for side in graph.tensors[graph.inputs[0]].shape[1:])


def _unknown(engine: str, reason: str) -> EngineFit:
    return EngineFit(
        engine=engine,
        flash_bytes=None,
        flash_is="",
        ram_bytes=None,
        ram_is="",
        fits=None,
        reason=f"not known: {reason}",
    )


def _verdict(used: tuple[int, int], there: tuple[int, int], most_flash: str, most_ram: str) -> str:
    (flash, ram), (flash_there, ram_there) = used, there
    over = []
    if flash > flash_there:
        over.append(f"{flash - flash_there:,} bytes of flash are missing ({most_flash})")
    if ram > ram_there:
        over.append(f"{ram - ram_there:,} bytes of RAM are missing ({most_ram})")
    if over:
        return f"does not fit: {' and '.join(over)}"
    return f"fits: {flash_there - flash:,} bytes of flash and {ram_there - ram:,} bytes of RAM are left"
