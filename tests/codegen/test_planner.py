"""The arena: small, and no byte is written that is still to be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.graph import Add, Convolution, Graph, Pad, Rescale, Window
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reader import read
from edgecnn.codegen.schedule import pieces
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.codegen.graph import Step

PUBLISHED = Path(__file__).parents[2] / "artifacts"


def _graph(run: str) -> Graph:
    return read((PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes())


@pytest.mark.parametrize(("run", "most"), [("cifar10-cnn", 7_600), ("cifar10-resnet8", 19_488)])
def test_published_models_take_little(run: str, most: int) -> None:
    assert plan(_graph(run)).arena_bytes <= most


def _pixels_read(graph: Graph, step: Step, y: int, x: int) -> Iterator[tuple[int, int]]:
    """Rows and columns of the input that an output pixel reads, written out for each kind of step."""
    height, width, _ = graph.tensors[step.inputs[0]].shape
    if isinstance(step, Pad):
        yield y - step.padding[0], x - step.padding[1]
    elif isinstance(step, Window) and step.operators[0] != "FULLY_CONNECTED":
        size, stride = step.pool if isinstance(step, Convolution) else ((1, 1), (1, 1))
        for pool_y in range(size[0]):
            for pool_x in range(size[1]):
                top = (y * stride[0] + pool_y) * step.stride[0] - step.padding[0]
                left = (x * stride[1] + pool_x) * step.stride[1] - step.padding[1]
                yield from ((top + i, left + j) for i in range(step.size[0]) for j in range(step.size[1]))
    else:
        yield from ((i, j) for i in range(height) for j in range(width))


class _Arena:
    """The arena as the plan has it: of each byte the tensor, and the place in it, that was written there last."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.plan = graph, plan(graph)
        self._owners = np.full(self.plan.arena_bytes, -1)
        self._places = np.full(self.plan.arena_bytes, -1)
        self.write(graph.image, 0, graph.tensors[graph.image].size_bytes)

    def write(self, tensor: int, begin: int, end: int) -> None:
        """Write these bytes of a tensor; the output lies elsewhere."""
        owner = self.graph.storage[tensor]
        if (base := self.plan.offsets.get(owner)) is not None:
            self._owners[base + begin : base + end] = owner
            self._places[base + begin : base + end] = np.arange(begin, end)

    def holds(self, tensor: int, begin: int, end: int) -> bool:
        """Whether these bytes of a tensor are there."""
        owner = self.graph.storage[tensor]
        here = slice(self.plan.offsets[owner] + begin, self.plan.offsets[owner] + end)
        return bool((self._owners[here] == owner).all() and (self._places[here] == np.arange(begin, end)).all())


def _missing(graph: Graph) -> list[str]:
    """Pixels for which a byte is read that is not there, yet or any more, when the steps run as they are planned.

    A kernel may read all that a pixel needs until the pixel is written, and write over its input value by value only.
    """
    arena, found = _Arena(graph), []
    for piece in pieces(graph, arena.plan.stages):
        step = graph.steps[piece.step]
        _, width, channels = graph.tensors[step.output].shape
        for y in range(piece.begin, piece.end):
            for x in range(width):
                first = (y * width + x) * channels
                ranges = [(first, first + channels)]
                if isinstance(step, Add | Rescale):
                    ranges = [(place, place + 1) for place in range(first, first + channels)]
                for begin, end in ranges:
                    read = list(_bytes_read(graph, step, y, x, begin, end))
                    good = all(arena.holds(*one) for one in read)
                    arena.write(step.output, begin, end)
                    if not isinstance(step, Add | Rescale):
                        good = good and all(arena.holds(*one) for one in read)
                    if not good:
                        found.append(f"{step.layer}, row {y}, column {x}")
    return found


def _bytes_read(graph: Graph, step: Step, y: int, x: int, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Tensor, first byte and the one after the last, for what an output pixel reads."""
    for number in step.inputs:
        if isinstance(step, Add | Rescale):
            yield number, begin, end
            continue
        rows, columns, depth = graph.tensors[number].shape
        for row, column in _pixels_read(graph, step, y, x):
            if 0 <= row < rows and 0 <= column < columns:
                place = (row * columns + column) * depth
                yield number, place, place + depth


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_written_over_what_is_still_to_be_read(seed: int) -> None:
    assert _missing(read(random_network(seed).bytes())) == []


@pytest.mark.parametrize("run", ["cifar10-cnn", "cifar10-resnet8"])
def test_nothing_is_written_over_in_the_published_models(run: str) -> None:
    assert _missing(_graph(run)) == []


def test_the_larger_published_model_runs_blocks_row_by_row() -> None:
    graph = _graph("cifar10-resnet8")
    assert [len(stage.steps) for stage in plan(graph).stages if stage.lags]
