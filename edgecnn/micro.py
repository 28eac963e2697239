"""TFLite Micro's own interpreter on this computer, in a process of its own: its native code may end it.

    python -P -m edgecnn.micro MODEL IMAGES ANSWERS

reads a .tflite file and a .npy of uint8 images, writes a .npy of int8 outputs, and prints the smallest arena.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, MachineError, missing_package
from edgecnn.run import save_array

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import Pixels

ARENA_STEP = 16  # bytes; TFLite Micro aligns everything to it
LARGEST_ARENA = 1 << 30


@dataclass(frozen=True)
class Measured:
    """What TFLite Micro made of some images: int8 [N, classes], and the smallest arena it could do it in."""

    outputs: npt.NDArray[np.int8]
    arena_bytes: int


def measure(model: bytes, images: Pixels) -> Measured:
    """Run uint8 images [N, H, W, C] through a .tflite file.

    Raises MachineError when tflite-micro is not installed, InputError when it cannot run the model.
    """
    import numpy as np

    if importlib.util.find_spec("tflite_micro") is None:
        missing = missing_package(ModuleNotFoundError(name="tflite_micro"))
        raise missing or MachineError("tflite-micro is not installed.")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        files = [Path(folder) / name for name in ("model.tflite", "images.npy", "answers.npy")]
        files[0].write_bytes(model)
        save_array(files[1], images)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edgecnn.micro", *map(str, files)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"TFLite Micro cannot run the model: {last}")
        return Measured(np.load(files[2]), int(done.stdout))


def _interpreter(model: bytes, arena_bytes: int) -> Any:
    from tflite_micro import runtime

    return runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)


def _smallest_arena(model: bytes, image: Pixels) -> int:
    """By bisection; TFLite Micro says no by an error."""

    def suffices(arena_bytes: int) -> bool:
        try:
            ready = _interpreter(model, arena_bytes)
            ready.set_input(image, 0)
            ready.invoke()
        except RuntimeError:
            return False
        return True

    high = 1 << 16
    while not suffices(high):
        high *= 2
        if high > LARGEST_ARENA:
            raise RuntimeError("no arena is large enough, or an operator is not supported")
    low = 0
    while high - low > ARENA_STEP:
        middle = (low + high) // 2 // ARENA_STEP * ARENA_STEP
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def main(model_path: str, images_path: str, answers_path: str) -> None:
    """The far end."""
    import numpy as np

    model, images = Path(model_path).read_bytes(), np.load(images_path)
    arena_bytes = _smallest_arena(model, images[:1])
    ready = _interpreter(model, arena_bytes)
    outputs = []
    for image in images:
        ready.set_input(image[None], 0)
        ready.invoke()
        outputs.append(np.array(ready.get_output(0))[0])
    save_array(Path(answers_path), np.stack(outputs))
    print(arena_bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
