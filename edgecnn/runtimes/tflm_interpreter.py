"""TFLite Micro's own interpreter on this computer, in a process of its own: its native code may end it.

    python -P -m edgecnn.runtimes.tflm_interpreter MODEL IMAGES PREDICTIONS

reads a .tflite file and a .npy of uint8 images, writes a .npy of int8 outputs, and prints the smallest arena. With the
MODEL alone it is run once, to see whether it ends the process.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.environment import import_path, require
from edgecnn.errors import InputError, MachineError
from edgecnn.files import save_array
from edgecnn.processes import bound

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels

ARENA_STEP = 16  # bytes; TFLite Micro aligns everything to it
FIRST_ARENA, LARGEST_ARENA = 1 << 16, 1 << 26
STDERR_LINES = 3


@dataclass(frozen=True)
class Measured:
    """What TFLite Micro made of some images: int8 [N, classes], and the smallest arena it could do it in."""

    outputs: npt.NDArray[np.int8]
    arena_bytes: int


def is_installed() -> bool:
    """Whether this Python has the package tflite-micro."""
    return importlib.util.find_spec("tflite_micro") is not None


def measure(model: bytes, images: Pixels) -> Measured:
    """Run uint8 images [N, H, W, C] through a .tflite file.

    Raises InputError for a model that TFLite Micro refuses, MachineError when tflite-micro is not installed or dies.
    """
    import numpy as np

    require("tflite_micro")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        files = [Path(folder) / name for name in ("model.tflite", "images.npy", "outputs.npy")]
        files[0].write_bytes(model)
        save_array(files[1], images)
        done = subprocess.run(
            bound([sys.executable, "-P", "-m", "edgecnn.runtimes.tflm_interpreter", *map(str, files)]),
            env={**os.environ, "PYTHONPATH": import_path()},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise _failure(done.returncode, done.stderr)
        return Measured(np.load(files[2]), int(done.stdout))


def _failure(code: int, stderr: str) -> InputError | MachineError:
    words = " | ".join(stderr.strip().splitlines()[-STDERR_LINES:]) or "it said nothing"
    if code == InputError.exit_code:
        return InputError(f"TFLite Micro cannot run the model: {words}")
    end = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    return MachineError(f"TFLite Micro's interpreter died of the model ({end}): {words}")


def interpreter(model: bytes, arena_bytes: int) -> Any:
    """An interpreter in an arena of that size; raises RuntimeError where it is too small or the model refused."""
    from tflite_micro import runtime

    return runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)


def _smallest_arena(model: bytes, image: Pixels) -> int:
    """In bytes, by bisection: TFLite Micro says no by an error."""

    def suffices(arena_bytes: int) -> bool:
        try:
            ready = interpreter(model, arena_bytes)
            ready.set_input(image, 0)
            ready.invoke()
        except RuntimeError:
            return False
        return True

    low, high = 0, FIRST_ARENA
    while not suffices(high):
        low, high = high, high * 2
        if high > LARGEST_ARENA:
            raise RuntimeError(f"it does not run in an arena of {LARGEST_ARENA >> 20} MiB.")
    while high - low > ARENA_STEP:
        middle = (low + high) // 2 // ARENA_STEP * ARENA_STEP
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def trial(model_path: str) -> int:
    """Run a model once on zeros, in the largest arena; the exit code, where it comes to one."""
    import numpy as np

    try:
        ready = interpreter(Path(model_path).read_bytes(), LARGEST_ARENA)
        image = ready.get_input_details(0)
        ready.set_input(np.zeros(image["shape"], image["dtype"]), 0)
        ready.invoke()
    except (RuntimeError, ValueError):
        return InputError.exit_code
    return 0


def main(model_path: str, images_path: str, answers_path: str) -> int:
    """The interpreter process; returns its exit code."""
    import numpy as np

    model, images = Path(model_path).read_bytes(), np.load(images_path)
    try:
        arena_bytes = _smallest_arena(model, images[:1])
        ready = interpreter(model, arena_bytes)
        outputs = []
        for image in images:
            ready.set_input(image[None], 0)
            ready.invoke()
            outputs.append(np.array(ready.get_output(0))[0])
    except (RuntimeError, ValueError) as error:  # how TFLite Micro refuses a model, and an image that does not fit it
        print(str(error).strip(), file=sys.stderr)
        return InputError.exit_code
    save_array(Path(answers_path), np.stack(outputs))
    print(arena_bytes)
    return 0


if __name__ == "__main__":
    sys.exit(trial(sys.argv[1]) if len(sys.argv) == 2 else main(*sys.argv[1:]))
