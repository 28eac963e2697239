"""Generated C on this computer: compiled with its C compiler into a shared library, which the worker loads."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.target import pick_target
from edgecnn.errors import InputError, MachineError
from edgecnn.model_files.c_header import read
from edgecnn.records import Placement
from edgecnn.runtimes.runtime import Runtime
from edgecnn.runtimes.tool import compile_c, wrong_target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.model_files.c_header import CHeader
    from edgecnn.runtimes.runtime import Session

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")
NOT_FOR = re.compile(r"#error \"?([^\"\n]+)")
OUTPUT = "output"  # the C function has one


class CSession:
    """A model's function with an arena of its own; int8 outputs are dequantized."""

    def __init__(self, path: Path) -> None:
        import ctypes

        import numpy as np

        header = read(path)
        numbers = header.numbers
        self.function: Any = getattr(_library(header), f"{header.name}_run")
        self.function.argtypes = [ctypes.c_void_p] * 3
        self._arena = np.zeros(int(numbers["ARENA_BYTES"]), np.uint8)
        self.arena = self._arena.ctypes.data
        self._classes = int(numbers["LABEL_COUNT"])
        self._image_bytes = int(numbers["IMAGE_BYTES"])
        self._values = header.dequantized(np.arange(256, dtype=np.uint8).view(np.int8))  # of each byte
        self.placement = Placement(
            device="cpu", compute_nodes={PLUGIN.title: int(numbers["COMPUTE_LAYERS"])}, other_nodes={}
        )

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C], one image after the other, to {OUTPUT: float32 [N, classes]}."""
        import numpy as np

        images, count = np.ascontiguousarray(pixels, np.uint8), len(pixels)
        if images.size != count * self._image_bytes:
            given = images.size // max(1, count)
            raise InputError(f"The model takes images of {self._image_bytes:,} bytes, not {given:,}.")
        outputs = np.empty((count, self._classes), np.uint8)
        image, output = (array.__array_interface__["data"][0] for array in (images, outputs))
        for _ in range(count):
            if self.function(image, output, self.arena):
                raise InputError("The generated function refuses its arguments.")
            image, output = image + self._image_bytes, output + self._classes
        return {OUTPUT: self._values[outputs]}


def compiler() -> list[str]:
    """The C compiler's command: what CC says, or else the first that is installed; raises MachineError without one."""
    named = shlex.split(os.environ.get("CC", ""))
    for command in [named] if named else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise MachineError(
        f"There is no C compiler here ({', '.join(named[:1] or COMPILERS)}): install gcc or clang, or name one in CC."
    )


def flags_of(header: CHeader) -> tuple[str, ...]:
    """The compiler's flags for what the C is written for; raises MachineError where that is another kind of machine."""
    target = pick_target(header.target)
    if target.machines and platform.machine() not in target.machines:
        raise wrong_target(header.source, header.target, platform.machine())
    return target.flags


def _library(header: CHeader) -> Any:
    """The model compiled and loaded; its file is gone by then."""
    import ctypes

    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        library = Path(folder) / "model.so"
        command = [*compiler(), *FLAGS, *flags_of(header), str(header.source), "-o", str(library)]
        compile_c(command, header.source, _check_instructions)
        return ctypes.CDLL(str(library))


def _check_instructions(said: str) -> None:
    """Raise MachineError where the C says that it is for other instructions."""
    if refused := NOT_FOR.search(said):
        raise MachineError(f"The generated C cannot run here: {refused[1].strip()}.")


def load(path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> Session:
    """A ready session; it always computes on one thread, and gives no layer outputs."""
    return CSession(path)


PLUGIN = Runtime(
    name="c_host",
    title="generated C",
    summary="Generated C, compiled here with the C compiler",
    file_kinds=("c",),
    packages=(),
    load=load,
    modules=("numpy",),
    exposes=False,
)
