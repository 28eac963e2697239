"""Generated C, compiled as an app's developer would, with every warning an error, and run."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.emitter import c_name, emit
from edgecnn.codegen.reader import read
from edgecnn.codegen.rounding import DEFAULT_ROUNDING, ROUNDINGS
from edgecnn.model_files import c_header

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgecnn.codegen.graph import Graph
    from edgecnn.records import Contract

GATE = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror")
CXX = ("-x", "c++", "-std=c++17", *GATE[1:])
GUARD = 64  # bytes behind the arena that must stay
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


@dataclass(frozen=True)
class Compiled:
    """A library of a model and its self-test, with the facts in its header."""

    library: Any
    header: c_header.CHeader
    folder: Path

    def run(self, images: np.ndarray, *, in_arena: bool = False) -> np.ndarray:
        """int8 [N, classes]; the image lies outside the arena, or in it where it belongs."""
        numbers = self.header.numbers
        size, classes = int(numbers["ARENA_BYTES"]), int(numbers["LABEL_COUNT"])
        function = getattr(self.library, f"{self.header.name}_run")
        function.argtypes = [ctypes.c_void_p] * 3
        arena = np.random.default_rng(3).integers(0, 256, size + GUARD, np.uint8)
        guard, outputs = arena[size:].copy(), np.zeros((len(images), classes), np.int8)
        for image, output in zip(np.ascontiguousarray(images), outputs, strict=True):
            place = image.ctypes.data
            if in_arena:
                offset = int(numbers["IMAGE_OFFSET"])
                arena[offset : offset + image.size] = image.ravel()
                place = arena.ctypes.data + offset
            assert function(place, output.ctypes.data, arena.ctypes.data) == 0
        assert (arena[size:] == guard).all(), "written behind the arena"
        return outputs

    def selftest(self) -> int:
        arena = np.zeros(int(self.header.numbers["ARENA_BYTES"]), np.uint8)
        function = getattr(self.library, f"{self.header.name}_selftest")
        function.argtypes = [ctypes.c_void_p]
        return int(function(arena.ctypes.data))


def contract_for(contract: Contract, graph: Graph, model: str = "tiny") -> Contract:
    """A contract of the graph's shapes."""
    classes = graph.tensors[graph.output].size_bytes
    return replace(
        contract,
        model=model,
        labels=tuple(f"label {number}" for number in range(classes)),
        input=replace(contract.input, shape=(1, *graph.tensors[graph.image].shape)),
        output=replace(contract.output, shape=(1, classes), dtype="int8"),
    )


def compiled(
    flatbuffer: bytes,
    contract: Contract,
    folder: Path,
    *,
    compiler: str = "gcc",
    flags: Sequence[str] = ("-O1",),
    rounding: str = DEFAULT_ROUNDING,
) -> Compiled:
    """Emit into a folder, compile with the gate's flags, and load."""
    graph = read(flatbuffer, rounding=ROUNDINGS[rounding])
    fitted = contract_for(contract, graph, contract.model)
    folder.mkdir(parents=True, exist_ok=True)
    emit(graph, fitted, folder)
    name = c_name(fitted.model)
    sources = [str(folder / f"{name}{part}.c") for part in ("", "_selftest")]
    library = folder / "model.so"
    build(compiler, [*GATE, *flags, "-fPIC", "-shared", *sources, "-o", str(library)])
    return Compiled(ctypes.CDLL(str(library)), c_header.read(folder), folder)


def compiled_together(flatbuffers: Sequence[bytes], contract: Contract, folder: Path) -> list[Compiled]:
    """Many models with their self-tests in one library: a compiler's start and a linking each would take longest."""
    graphs = [read(flatbuffer) for flatbuffer in flatbuffers]
    folders = [folder / f"{contract.model}{number}" for number in range(len(graphs))]
    for graph, place in zip(graphs, folders, strict=True):
        place.mkdir(parents=True)
        emit(graph, contract_for(contract, graph, place.name), place)
        (place / "both.c").write_text(f'#include "{place.name}.c"\n#include "{place.name}_selftest.c"\n')
    sources = [str(place / "both.c") for place in folders]
    build("gcc", [*GATE, "-O1", "-fPIC", "-shared", *sources, "-o", str(folder / "models.so")])
    library = ctypes.CDLL(str(folder / "models.so"))
    return [Compiled(library, c_header.read(place), place) for place in folders]


def build(compiler: str, arguments: Sequence[str]) -> str:
    """Run a compiler; what it says is the failure."""
    done = subprocess.run([compiler, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, re.sub(r"\n.*?\| ", "\n", done.stderr)[:3000]
    return done.stdout + done.stderr
