"""What generated C is said to take of a device, against what a compiler makes of it."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn.codegen.calls import Site, call_of
from edgecnn.codegen.emitter import emit
from edgecnn.codegen.footprint import CODE_BYTES, STACK_BYTES, code_bytes, steps_in_memory
from edgecnn.codegen.kernels import FOLDER
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reader import read
from edgecnn.codegen.target import DEFAULT_TARGET, TARGETS
from edgecnn.model_files import c_header
from tests.codegen.compiled import build, contract_for
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from edgecnn.codegen.graph import Graph
    from edgecnn.records import Contract, StepMemory

PUBLISHED = Path(__file__).parents[2] / "artifacts"
COMPILER = "arm-none-eabi-gcc"
CPUS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m33")
RUNS = ("cifar10-cnn", "cifar10-resnet8")
SEEDS = (0, 1, 2, 3, 4, 5, 23, 67, 86)  # of networks that have all kernels, and of those nearest to the bounds


def _graph(run: str) -> Graph:
    return read((PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes())


def _steps(graph: Graph) -> tuple[StepMemory, ...]:
    return steps_in_memory(graph, plan(graph))


def _flash_bytes(graph: Graph) -> int:
    """At most."""
    steps = _steps(graph)
    return sum(step.constant_bytes for step in steps) + code_bytes(steps)


def _compiled(graph: Graph, contract: Contract, folder: Path, cpu: str) -> tuple[int, int]:
    """Bytes of flash, with what the model takes of the compiler's own library, and of stack."""
    if not shutil.which(COMPILER):
        pytest.skip(f"no {COMPILER}: apt install gcc-arm-none-eabi")
    emit(graph, contract_for(contract, graph), folder)
    model, linked = str(folder / "model.o"), str(folder / "linked.elf")
    flags = [f"-mcpu={cpu}", "-mthumb", "-Os", "-std=c99"]
    build(COMPILER, [*flags, "-fstack-usage", "-c", str(folder / "tiny.c"), "-o", model])
    build(COMPILER, [*flags, "-nostdlib", "-Wl,--entry=tiny_run", model, "-lgcc", "-o", linked])
    sizes = subprocess.run(["arm-none-eabi-size", linked], capture_output=True, text=True, check=True).stdout
    text, data = map(int, sizes.splitlines()[1].split()[:2])
    assert data == 0
    functions = (folder / "model.su").read_text().splitlines()
    assert len(functions) == 1, "everything is inlined, so that its stack is all there is"
    return text, int(functions[0].split("\t")[1])


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("run", RUNS)
def test_flash_and_stack_are_bounds_and_close(run: str, cpu: str, tiny_contract: Contract, tmp_path: Path) -> None:
    graph = _graph(run)
    flash, stack = _compiled(graph, tiny_contract, tmp_path, cpu)
    assert flash <= _flash_bytes(graph) <= flash + 4_000
    assert stack <= STACK_BYTES <= stack + 200


@pytest.mark.parametrize("cpu", CPUS)
def test_every_kernel_has_a_bound(cpu: str, tiny_contract: Contract, tmp_path: Path) -> None:
    seen = set()
    for seed in SEEDS:
        graph, folder = read(random_network(seed).bytes()), tmp_path / str(seed)
        folder.mkdir()
        flash, stack = _compiled(graph, tiny_contract, folder, cpu)
        assert flash <= _flash_bytes(graph), seed
        assert stack <= STACK_BYTES, seed
        seen |= _kernels(graph)
    assert seen == set(CODE_BYTES)


def test_no_kernel_is_left_out() -> None:
    others = {"image", "add_once"}  # the function has the first; the second is of another rounding
    assert set(CODE_BYTES) == {path.stem.removesuffix("_blocked") for path in FOLDER.glob("*.c")} - others


def _kernels(graph: Graph) -> set[str]:
    target = TARGETS[DEFAULT_TARGET]
    return {
        call_of(step, graph.tensors, Site(("0",) * (len(step.inputs) + 1), "x"), target).kernel for step in graph.steps
    }


@pytest.mark.parametrize("run", RUNS)
def test_constants_and_arena_are_the_header_s(run: str, tiny_contract: Contract, tmp_path: Path) -> None:
    graph = _graph(run)
    steps = _steps(graph)
    emit(graph, contract_for(tiny_contract, graph), tmp_path)
    numbers = c_header.read(tmp_path).numbers
    assert sum(step.constant_bytes for step in steps) == numbers["CONSTANT_BYTES"]
    assert sum(step.multiply_adds for step in steps) == numbers["MULTIPLY_ADDS"]
    assert max(high for step in steps for _, high in step.ranges) == numbers["ARENA_BYTES"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_has_its_input_and_output_in_the_arena_and_what_is_read_later(seed: int) -> None:
    graph = read(random_network(seed).bytes())
    steps, sizes = _steps(graph), [tensor.size_bytes for tensor in graph.tensors]
    result = graph.storage[graph.output]
    stage_of = {number: stage.steps for stage in plan(graph).stages for number in stage.steps}
    for number, found in enumerate(steps):
        first = stage_of[number][0]
        later = {graph.storage[i] for s in graph.steps[first:] for i in s.inputs}
        made = {graph.storage[s.output] for s in graph.steps[:first]} | {graph.storage[graph.image]}
        used = (later & made | {graph.storage[graph.steps[one].output] for one in stage_of[number]}) - {result}
        assert sorted(high - low for low, high in found.ranges) == sorted(sizes[tensor] for tensor in used)
        assert max(sizes[tensor] for tensor in used) <= found.arena_bytes <= sum(sizes[tensor] for tensor in used)
        assert all(low <= next_low for (low, _), (next_low, _) in pairwise(found.ranges))
    peak = max(step.arena_bytes for step in steps)
    assert [step.peak for step in steps] == [step.arena_bytes == peak for step in steps]
