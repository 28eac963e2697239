"""What generated C takes of a microcontroller's memory, before a compiler runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.calls import Site, call_of
from edgecnn.codegen.emitter import BYTES
from edgecnn.codegen.target import DEFAULT_TARGET, TARGETS
from edgecnn.records import StepMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgecnn.codegen.graph import Graph
    from edgecnn.codegen.planner import Plan
    from edgecnn.codegen.schedule import Stage

MEASURED_WITH = "arm-none-eabi-gcc 12.2 -Os for Cortex-M0, M3, M4 and M33"
# Bytes of code at most, by kernel, each time that it is called: all are inlined into one function. These are bounds
# above what the compiler made of the pretrained models and of many small random ones.
CODE_BYTES = {
    "add": 420, "average_pooling": 250, "convolution": 620, "dense": 260, "depthwise_convolution": 450,
    "max_pooling": 220, "mean": 330, "pad": 240, "rescale": 260, "softmax": 1300,
}  # fmt: skip
CODE_BYTES_ALONE = 250  # of the function around the calls, of the image, and of a product of 64 bits on Cortex-M0
DIVISION_BYTES = 760  # of a division, which Cortex-M0 takes from the compiler's library, once
DIVIDES = "AVERAGE_POOL_2D"  # by a number that the compiler does not know
STACK_BYTES = 256  # of that function at most


def steps_in_memory(graph: Graph, planned: Plan) -> tuple[StepMemory, ...]:
    """Of each step: the bytes of the arena that are in use while it runs, its constants, and its code at most.

    Of a graph with the default rounding, for the default target.
    """
    target = TARGETS[DEFAULT_TARGET]
    together = {number: stage for stage in planned.stages for number in stage.steps}
    ranges = [_ranges(graph, planned, together[number]) for number in range(len(graph.steps))]
    peak = max(map(_covered, ranges))
    found = []
    for number, (step, used) in enumerate(zip(graph.steps, ranges, strict=True)):
        call = call_of(step, graph.tensors, Site(("0",) * (len(step.inputs) + 1), "x"), target)
        found.append(
            StepMemory(
                layer=step.layer,
                operators=" + ".join(step.operators),
                shape=graph.tensors[step.output].shape,
                arena_bytes=_covered(used),
                peak=_covered(used) == peak,
                in_turn=bool(together[number].lags),
                constant_bytes=sum(BYTES[kind] * len(values) for kind, _, values in call.constants),
                code_bytes=CODE_BYTES[call.kernel],
                multiply_adds=graph.multiply_adds(step),
                ranges=used,
            )
        )
    return tuple(found)


def code_bytes(steps: Iterable[StepMemory]) -> int:
    """Bytes of the whole function at most, with what it takes of the compiler's library."""
    every = tuple(steps)
    division = DIVISION_BYTES if any(DIVIDES in step.operators for step in every) else 0
    return sum(step.code_bytes for step in every) + CODE_BYTES_ALONE + division


def _ranges(graph: Graph, planned: Plan, stage: Stage) -> tuple[tuple[int, int], ...]:
    """Where the tensors lie that are in use during a stage, the lowest first; the model's output lies elsewhere."""
    made = {graph.storage[graph.image], *(graph.storage[step.output] for step in graph.steps[: stage.steps[0]])}
    read = {graph.storage[number] for step in graph.steps[stage.steps[0] :] for number in step.inputs}
    used = made & read | {graph.storage[graph.steps[number].output] for number in stage.steps}
    places = ((planned.offsets[owner], graph.tensors[owner].size_bytes) for owner in used & planned.offsets.keys())
    return tuple(sorted((low, low + size) for low, size in places))


def _covered(ranges: Iterable[tuple[int, int]]) -> int:
    """Bytes that lie in any of the ranges, which may overlap."""
    covered = end = 0
    for low, high in sorted(ranges):
        covered += max(0, high - max(low, end))
        end = max(end, high)
    return covered
