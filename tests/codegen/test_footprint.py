"""What generated C is said to take of a device, against what a compiler makes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn.codegen.emitter import emit
from edgecnn.codegen.footprint import CODE_BYTES, STACK_BYTES, flash_bytes, steps_in_memory
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reader import read
from edgecnn.model_files import c_header
from tests.codegen.compiled import contract_for
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from edgecnn.codegen.graph import Graph
    from edgecnn.records import Contract

PUBLISHED = Path(__file__).parents[2] / "artifacts"
COMPILER = "arm-none-eabi-gcc"
RUNS = ("cifar10-cnn", "cifar10-resnet8")


def _graph(run: str) -> Graph:
    return read((PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes())


def _compiled(graph: Graph, contract: Contract, folder: Path, cpu: str) -> tuple[int, int]:
    """Bytes of flash and of stack, -Os."""
    if not shutil.which(COMPILER):
        pytest.skip(f"no {COMPILER}: apt install gcc-arm-none-eabi")
    emit(graph, contract_for(contract, graph), folder)
    command = [COMPILER, f"-mcpu={cpu}", "-mthumb", "-Os", "-std=c99", "-fstack-usage", "-c", "tiny.c", "-o", "tiny.o"]
    subprocess.run(command, cwd=folder, check=True)
    sizes = subprocess.run(["arm-none-eabi-size", "tiny.o"], cwd=folder, capture_output=True, text=True, check=True)
    stacks = [int(line.split("\t")[1]) for line in (folder / "tiny.su").read_text().splitlines()]
    return int(sizes.stdout.splitlines()[1].split()[0]), max(stacks)


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize("run", RUNS)
def test_flash_and_stack_are_bounds_and_close(run: str, cpu: str, tiny_contract: Contract, tmp_path: Path) -> None:
    graph = _graph(run)
    flash, stack = _compiled(graph, tiny_contract, tmp_path, cpu)
    bound = flash_bytes(steps_in_memory(graph, plan(graph)))
    assert flash <= bound <= flash + 4_000
    assert stack <= STACK_BYTES


def test_every_kernel_has_a_bound(tiny_contract: Contract, tmp_path: Path) -> None:
    seen = set()
    for seed in range(12):
        graph, folder = read(random_network(seed).bytes()), tmp_path / str(seed)
        folder.mkdir()
        flash, stack = _compiled(graph, tiny_contract, folder, "cortex-m0")
        assert flash <= flash_bytes(steps_in_memory(graph, plan(graph)))
        assert stack <= STACK_BYTES
        seen |= {type(step).__name__ for step in graph.steps}
    assert len(seen) >= len(CODE_BYTES) - 3, "nearly every kernel is among them; a dense layer is a convolution"


@pytest.mark.parametrize("run", RUNS)
def test_constants_and_arena_are_the_header_s(run: str, tiny_contract: Contract, tmp_path: Path) -> None:
    graph = _graph(run)
    steps = steps_in_memory(graph, plan(graph))
    emit(graph, contract_for(tiny_contract, graph), tmp_path)
    numbers = c_header.read(tmp_path).numbers
    assert sum(step.constant_bytes for step in steps) == numbers["CONSTANT_BYTES"]
    assert max(high for step in steps for _, high in step.ranges) == numbers["ARENA_BYTES"]
    assert max(step.arena_bytes for step in steps) <= numbers["ARENA_BYTES"]
