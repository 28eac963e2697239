"""Generated C on emulated processors: microcontrollers without an operating system, and AArch64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.model_files.c_header import read
from edgecnn.records import Placement
from edgecnn.runtimes import bare_metal, linux_user
from edgecnn.runtimes.bare_metal import BOARDS
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session

OUTPUT = "output"  # the C function has one
AARCH64 = "aarch64"


class EmulatedSession:
    """A model on a board; its instructions are counted on a black image when it is loaded."""

    def __init__(self, path: Path, provider: str) -> None:
        import numpy as np

        self._header = read(path)
        board = BOARDS.get(provider)
        self._program = bare_metal.Program(self._header, board) if board else linux_user.Program(self._header)
        numbers = self._header.numbers
        self._shape = tuple(int(numbers[f"IMAGE_{side}"]) for side in ("HEIGHT", "WIDTH", "CHANNELS"))
        _, instructions = self._program.run(np.zeros((1, *self._shape), np.uint8))
        self.placement = Placement(
            device=board.title if board else linux_user.TITLE,
            compute_nodes={PLUGIN.title: int(numbers["COMPUTE_LAYERS"])},
            other_nodes={},
            instructions_per_image=None if instructions is None else int(instructions[0]),
        )

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {OUTPUT: float32 [N, classes]}."""
        if pixels.shape[1:] != self._shape:
            raise InputError(f"The model takes images of {self._shape}, not {pixels.shape[1:]}.")
        outputs, _ = self._program.run(pixels)
        return {OUTPUT: self._header.dequantized(outputs)}


def load(path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> Session:
    """A ready session; it always computes on one thread, and gives no layer outputs."""
    return EmulatedSession(path, provider)


PLUGIN = Runtime(
    name="qemu",
    title="generated C, emulated",
    summary="Generated C on emulated boards, where it is named",
    file_kinds=("c",),
    packages=(),
    load=load,
    providers=(*BOARDS, AARCH64),
    default_providers=lambda: (),
    default_words="all, where qemu is named",
    modules=("numpy",),
    max_images=100,
    exposes=False,
)
