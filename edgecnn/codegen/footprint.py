"""What generated C takes of a microcontroller's memory, before a compiler runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.calls import call_of
from edgecnn.codegen.emitter import BYTES
from edgecnn.codegen.planner import lives_of
from edgecnn.codegen.target import DEFAULT_TARGET, TARGETS
from edgecnn.records import StepMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgecnn.codegen.graph import Graph
    from edgecnn.codegen.planner import Plan

# Bytes of code at most, by kernel, each time it is called: arm-none-eabi-gcc 12.2 for Cortex-M0 and M4, -Os.
CODE_BYTES = {
    "add": 420, "add_once": 300, "average_pooling": 250, "convolution": 620, "dense": 260, "depthwise_convolution": 450,
    "max_pooling": 220, "mean": 330, "pad": 240, "rescale": 260, "softmax": 1300,
}  # fmt: skip
CODE_BYTES_ALONE = 250  # of the function around the calls, and of the image
STACK_BYTES = 256  # at most, measured in the same way


def steps_in_memory(graph: Graph, planned: Plan) -> tuple[StepMemory, ...]:
    """Of each step: the bytes of the arena that are in use while it runs, its constants, and its code at most."""
    lives, target = lives_of(graph), TARGETS[DEFAULT_TARGET]
    found = []
    for number, step in enumerate(graph.steps):
        needed = [owner for owner, (made, read) in lives.items() if made <= number <= read and owner in planned.offsets]
        ranges = [
            (planned.offsets[owner], planned.offsets[owner] + graph.tensors[owner].size_bytes) for owner in needed
        ]
        call = call_of(step, graph.tensors, ["0"] * (len(step.inputs) + 1), "x", target)
        found.append(
            StepMemory(
                layer=step.layer,
                operators=" + ".join(step.operators),
                shape=graph.tensors[step.output].shape,
                arena_bytes=_covered(ranges),
                constant_bytes=sum(BYTES[kind] * len(values) for kind, _, values in call.constants),
                code_bytes=CODE_BYTES[call.kernel],
                multiply_adds=graph.multiply_adds(step),
                ranges=tuple(sorted(ranges)),
            )
        )
    return tuple(found)


def flash_bytes(steps: Iterable[StepMemory]) -> int:
    """Constants, and code at most."""
    return sum(step.constant_bytes + step.code_bytes for step in steps) + CODE_BYTES_ALONE


def _covered(ranges: Iterable[tuple[int, int]]) -> int:
    """Bytes that lie in any of the ranges, which may overlap."""
    covered = end = 0
    for low, high in sorted(ranges):
        covered += max(0, high - max(low, end))
        end = max(end, high)
    return covered
