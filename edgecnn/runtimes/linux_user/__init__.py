"""Generated C as a Linux program for AArch64, which QEMU runs here; it counts no instructions."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors import InputError, MachineError
from edgecnn.runtimes.tool import require_tools

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
TARGETS = {"portable": (), "aarch64-dotprod": ("-march=armv8.2-a+dotprod",)}
SECONDS_PER_IMAGE, SECONDS_TO_START = 10, 60


class Program:
    """A model built in a folder of its own, which goes with it.

    Raises MachineError where a tool is missing or the C is for another CPU, InputError where it does not compile.
    """

    def __init__(self, header: CHeader) -> None:
        if header.target not in TARGETS:
            raise MachineError(f"{header.source.name} is written for {header.target}, which {TITLE} does not run.")
        require_tools(PACKAGES)
        self._header = header
        self._scratch = tempfile.TemporaryDirectory(prefix="edgecnn-")
        self._program = str(Path(self._scratch.name) / "model")
        sizes = (f"-D{name}={int(header.numbers[name])}" for name in ("ARENA_BYTES", "IMAGE_BYTES", "LABEL_COUNT"))
        command = [
            COMPILER, *TARGETS[header.target], "-std=c99", "-O2", "-static", *sizes, f"-DRUN={header.name}_run",
            f'-DMODEL_HEADER="{header.source.with_suffix(".h").name}"', f"-I{header.source.parent}",
            str(FOLDER / "main.c"), str(header.source), "-o", self._program,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or [""]
            raise InputError(f"{header.source.name} does not compile with {COMPILER}: {lines[0].strip()}")

    def run(self, images: Pixels) -> tuple[npt.NDArray[np.int8], None]:
        """int8 outputs [N, labels] of uint8 images [N, H, W, C], and no count of instructions."""
        import numpy as np

        seconds, labels = SECONDS_TO_START + SECONDS_PER_IMAGE * len(images), int(self._header.numbers["LABEL_COUNT"])
        command, content = [EMULATOR, "-cpu", CPU, self._program], np.ascontiguousarray(images, np.uint8).tobytes()
        try:
            done = subprocess.run(command, input=content, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise MachineError(f"{EMULATOR} took more than {seconds} s for {len(images)} images.") from None
        if done.returncode or len(done.stdout) != len(images) * labels:
            raise MachineError(f"{self._header.source.name} failed on {TITLE} in {EMULATOR}: {done.returncode}")
        return np.frombuffer(done.stdout, np.int8).reshape(-1, labels), None
