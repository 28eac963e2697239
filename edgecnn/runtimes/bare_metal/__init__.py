"""Generated C on emulated microcontrollers, without an operating system: built, run on images, instructions counted."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors import InputError, MachineError
from edgecnn.processes import bound
from edgecnn.runtimes.tool import compile_c, require_tools, wrong_target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.model_files.c_header import CHeader

FOLDER = Path(__file__).parent
COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
PACKAGES = {COMPILER: "gcc-arm-none-eabi", EMULATOR: "qemu-system-arm"}  # on Debian
KIB = 1024
STACK_BYTES = 4 * KIB  # beside the buffers that the header states
LOOP_ROUNDS = 100_000  # of two instructions, to learn what a tick is worth
SECONDS_PER_IMAGE, SECONDS_TO_START = 30, 60
COMMON_FLAGS = ("-mthumb", "-std=c99", "-nostartfiles", "-nostdlib", "-fno-tree-loop-distribute-patterns")
OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
REGIONS = {"flash": "flash", "ram": "RAM"}


@dataclass(frozen=True)
class Board:
    """A machine that QEMU emulates: its memory, the compiler's flags, and the targets of generated C that it runs."""

    name: str
    title: str
    machine: str  # of QEMU
    flags: tuple[str, ...]
    flash_bytes: int
    ram_bytes: int
    targets: tuple[str, ...]


BOARDS = {
    board.name: board
    for board in (
        Board("microbit", "micro:bit, Cortex-M0", "microbit", ("-mcpu=cortex-m0", "-Os"), 256 * KIB, 16 * KIB,
              ("portable",)),
        Board("cortex-m4", "MPS2 AN386, Cortex-M4", "mps2-an386", ("-mcpu=cortex-m4", "-O3"), 4096 * KIB, 4096 * KIB,
              ("portable", "cortex-m-dsp")),
        Board("cortex-m7", "MPS2 AN500, Cortex-M7", "mps2-an500", ("-mcpu=cortex-m7", "-O3"), 4096 * KIB, 4096 * KIB,
              ("portable", "cortex-m-dsp")),
        Board("cortex-m55", "MPS3 AN547, Cortex-M55", "mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard", "-O3"),
              512 * KIB, 512 * KIB, ("portable", "cortex-m-dsp", "cortex-m-mve")),
    )
}  # fmt: skip


class Program:
    """A model built for a board, in a folder of its own that goes with it.

    Raises MachineError where a tool is missing, InputError where the board cannot run the model or it does not fit.
    """

    def __init__(self, header: CHeader, board: Board) -> None:
        if header.target not in board.targets:
            raise wrong_target(header.source, header.target, board.title)
        require_tools(PACKAGES)
        self._header, self._board = header, board
        self._scratch = tempfile.TemporaryDirectory(prefix="edgecnn-")
        self._folder = Path(self._scratch.name)
        self._build()

    def _build(self) -> None:
        header, board, numbers = self._header, self._board, self._header.numbers
        stack = STACK_BYTES + int(numbers.get("BUFFER_BYTES", 0))
        sizes = {"FLASH_BYTES": board.flash_bytes, "RAM_BYTES": board.ram_bytes, "STACK_BYTES": stack}
        facts = [
            f"-D{name}={int(numbers[name])}" for name in ("ARENA_BYTES", "IMAGE_BYTES", "IMAGE_OFFSET", "LABEL_COUNT")
        ]
        command = [
            COMPILER, *board.flags, *COMMON_FLAGS, *facts,
            f'-DMODEL_HEADER="{header.source.with_suffix(".h").name}"', f"-DRUN={header.name}_run",
            f"-DLOOP_ROUNDS={LOOP_ROUNDS}", f"-I{header.source.parent}", "-T", str(FOLDER / "link.ld"),
            *(f"-Wl,--defsym={name}={value}" for name, value in sizes.items()),
            str(FOLDER / "main.c"), str(header.source), "-lgcc", "-o", str(self._folder / "model.elf"),
        ]  # fmt: skip
        compile_c(command, header.source, self._check_size)

    def _check_size(self, said: str) -> None:
        """Raise InputError where the linker said that the model does not fit."""
        if over := OVERFLOW.search(said):
            more = f"{int(over[2]):,} bytes more of {REGIONS[over[1]]}"
            raise InputError(f"The model does not fit {self._board.title}: it needs {more}.")

    def run(self, images: Pixels) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
        """int8 outputs [N, labels] of uint8 images [N, H, W, C], and the instructions that each image took, int64 [N].

        Instructions are not cycles: how long one takes depends on the core and its memory.
        """
        import numpy as np

        (self._folder / "images").write_bytes(np.ascontiguousarray(images, np.uint8).tobytes())
        command = [
            EMULATOR, "-machine", self._board.machine, "-kernel", "model.elf", "-nographic", "-monitor", "none",
            "-serial", "none", "-semihosting-config", "enable=on,target=native",
            "-icount", "shift=0,align=off,sleep=off",
        ]  # fmt: skip
        seconds = SECONDS_TO_START + SECONDS_PER_IMAGE * len(images)
        try:
            done = subprocess.run(
                bound(command),
                cwd=self._folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MachineError(f"{EMULATOR} took more than {seconds} s for {len(images)} images.") from None
        labels = int(self._header.numbers["LABEL_COUNT"])
        outputs = np.frombuffer(self._result("outputs"), np.int8)
        ticks = np.frombuffer(self._result("ticks"), np.uint32).astype(np.int64)
        if done.returncode or len(outputs) != len(images) * labels or len(ticks) != len(images) + 1:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise MachineError(f"{self._header.source.name} failed on {self._board.title} in {EMULATOR}: {said[-1]}")
        return outputs.reshape(-1, labels), np.rint(ticks[1:] * (2 * LOOP_ROUNDS / ticks[0])).astype(np.int64)

    def _result(self, name: str) -> bytes:
        path = self._folder / name
        return path.read_bytes() if path.is_file() else b""
