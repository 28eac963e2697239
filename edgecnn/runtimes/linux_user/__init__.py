"""Generated C as a Linux program for AArch64, which QEMU runs here; it counts no instructions."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.codegen.target import pick_target
from edgecnn.errors import MachineError
from edgecnn.processes import bound
from edgecnn.runtimes.tool import compile_c, require_tools, wrong_target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.model_files.c_header import CHeader

FOLDER = Path(__file__).parent
TITLE = "AArch64 Linux, Neoverse N1"
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
PACKAGES = {COMPILER: "gcc-aarch64-linux-gnu", EMULATOR: "qemu-user-static"}  # on Debian
CPU = "neoverse-n1"  # has dot products
TARGETS = ("portable", "aarch64-dotprod")  # of generated C, that it runs
SECONDS_PER_IMAGE, SECONDS_TO_START = 10, 60


class Program:
    """A model built in a folder of its own, which goes with it.

    Raises MachineError where a tool is missing or the C is for another CPU, InputError where it does not compile.
    """

    def __init__(self, header: CHeader) -> None:
        if header.target not in TARGETS:
            raise wrong_target(header.source, header.target, TITLE)
        require_tools(PACKAGES)
        self._header = header
        self._scratch = tempfile.TemporaryDirectory(prefix="edgecnn-")
        self._program = str(Path(self._scratch.name) / "model")
        sizes = (f"-D{name}={int(header.numbers[name])}" for name in ("ARENA_BYTES", "IMAGE_BYTES", "LABEL_COUNT"))
        command = [
            COMPILER, *pick_target(header.target).flags, "-std=c99", "-O2", "-static", *sizes,
            f"-DRUN={header.name}_run", f'-DMODEL_HEADER="{header.source.with_suffix(".h").name}"',
            f"-I{header.source.parent}", str(FOLDER / "main.c"), str(header.source), "-o", self._program,
        ]  # fmt: skip
        compile_c(command, header.source)

    def run(self, images: Pixels) -> tuple[npt.NDArray[np.int8], None]:
        """int8 outputs [N, labels] of uint8 images [N, H, W, C], and no count of instructions."""
        import numpy as np

        seconds, labels = SECONDS_TO_START + SECONDS_PER_IMAGE * len(images), int(self._header.numbers["LABEL_COUNT"])
        command, content = [EMULATOR, "-cpu", CPU, self._program], np.ascontiguousarray(images, np.uint8).tobytes()
        try:
            done = subprocess.run(bound(command), input=content, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise MachineError(f"{EMULATOR} took more than {seconds} s for {len(images)} images.") from None
        if done.returncode or len(done.stdout) != len(images) * labels:
            raise MachineError(
                f"{self._header.source.name} failed on {TITLE} in {EMULATOR}: exit code {done.returncode}."
            )
        return np.frombuffer(done.stdout, np.int8).reshape(-1, labels), None
