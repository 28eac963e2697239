"""TFLite Micro, the interpreter of microcontrollers, as it runs on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, reason_of
from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.records import Placement
from edgecnn.runtimes.runtime import Runtime
from edgecnn.runtimes.tflm_interpreter import LARGEST_ARENA, interpreter

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session

KERNELS = "TFLite Micro kernels"
OUTPUT = "output"  # TFLite Micro knows outputs by number only, and these files have one


class TFLiteMicroSession:
    """An interpreter in an arena that suffices, a batch of one; its int8 outputs are dequantized."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        model = path.read_bytes()
        self._interpreter: Any = _ready(model)
        details = self._interpreter.get_output_details(0)
        parameters = details["quantization_parameters"]
        self._scale = np.float32(parameters["scales"][0])
        self._zero_point = np.float32(parameters["zero_points"][0])
        self.placement = _placement(model)

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C], one image after the other, to {OUTPUT: float32 [N, classes]}."""
        import numpy as np

        rows = []
        for i in range(len(pixels)):
            self._interpreter.set_input(pixels[i : i + 1], 0)
            self._interpreter.invoke()
            rows.append(np.array(self._interpreter.get_output(0))[0])
        return {OUTPUT: (np.stack(rows).astype(np.float32) - self._zero_point) * self._scale}


def _ready(model: bytes) -> Any:
    """An interpreter in the largest arena: TFLite Micro may crash in one that is too small."""
    try:
        return interpreter(model, LARGEST_ARENA)
    except RuntimeError as error:
        raise InputError(f"TFLite Micro cannot run the model: {reason_of(error)}") from None


def _placement(model: bytes) -> Placement:
    """Its own kernels execute everything."""
    from edgecnn.model_files.tflite_model import File

    kinds = File(model).kinds
    compute = sum(map(is_compute_node, kinds))
    return Placement(device="cpu", compute_nodes={KERNELS: compute}, other_nodes={KERNELS: len(kinds) - compute})


def load(path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> Session:
    """A ready session; it always computes on one thread, and gives no layer outputs."""
    return TFLiteMicroSession(path)


def why_died(path: Path) -> str:
    """Which operator of which layer ends the interpreter's process."""
    from edgecnn.runtimes.tflm_faults import fault

    return fault(path.read_bytes())


PLUGIN = Runtime(
    name="tflite_micro",
    title="TFLite Micro",
    summary="TFLite Micro's own interpreter, slow on a computer",
    file_kinds=("tflite_micro",),
    packages=("tflite_micro",),
    load=load,
    max_images=1_000,
    exposes=False,
    why_died=why_died,
)
