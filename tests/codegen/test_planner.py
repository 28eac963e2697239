"""The arena: small, and no byte is written that is still to be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.graph import Add, Convolution, Graph, Pad, Rescale, Window
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reader import read
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.codegen.graph import Step

PUBLISHED = Path(__file__).parents[2] / "artifacts"


def _graph(run: str) -> Graph:
    return read((PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes())


@pytest.mark.parametrize(("run", "most"), [("cifar10-cnn", 7_600), ("cifar10-resnet8", 33_312)])
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


def _overwritten(graph: Graph) -> list[str]:
    """Steps that write over what is still to be read, found by marking every byte of the arena with its last reader."""
    planned, found = plan(graph), []
    place = {number: planned.offsets.get(owner) for number, owner in enumerate(graph.storage)}
    sizes = [tensor.size_bytes for tensor in graph.tensors]
    for number, step in enumerate(graph.steps):
        later = {graph.storage[read] for after in graph.steps[number + 1 :] for read in after.inputs}
        earlier = {graph.storage[graph.image], *(graph.storage[s.output] for s in graph.steps[:number])}
        if place[step.output] is None:
            continue
        needed = np.full(planned.arena_bytes, -1)  # the last output pixel that needs the byte
        height, width, channels = graph.tensors[step.output].shape
        if isinstance(step, Add | Rescale):
            height, width, channels = 1, sizes[step.output], 1
        for read_number in step.inputs:
            base, (rows, columns, depth) = place[read_number], graph.tensors[read_number].shape
            assert base is not None
            if isinstance(step, Add | Rescale):
                needed[base : base + sizes[read_number]] = (
                    np.arange(sizes[read_number]) - 1
                )  # read before it is written
                continue
            for pixel in range(height * width):
                for row, column in _pixels_read(graph, step, *divmod(pixel, width)):
                    if 0 <= row < rows and 0 <= column < columns:
                        first = base + (row * columns + column) * depth
                        needed[first : first + depth] = pixel
        for owner in later & earlier:
            base = place[owner]
            assert base is not None
            needed[base : base + sizes[owner]] = height * width
        base = place[step.output]
        for pixel in range(height * width):
            if (needed[base + pixel * channels : base + (pixel + 1) * channels] >= pixel).any():
                found.append(f"{step.layer}, pixel {pixel}")
    return found


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_written_over_what_is_still_to_be_read(seed: int) -> None:
    assert _overwritten(read(random_network(seed).bytes())) == []


def test_nothing_is_written_over_in_the_published_model() -> None:
    assert _overwritten(_graph("cifar10-cnn")) == []
