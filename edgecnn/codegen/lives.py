"""Which bytes of each tensor are needed at which moment; a moment is a pixel of a step's output.

Kernels make their outputs pixel by pixel in rows, upwards in memory. What a pixel reads may be read until the pixel is
written as a whole, but nothing below what it and the later pixels read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.codegen.reach import ELEMENTWISE, reach_of
from edgecnn.codegen.schedule import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.graph import Graph
    from edgecnn.codegen.schedule import Piece, Stage

    Numbers = npt.NDArray[np.int64]
    Touch = tuple[Numbers, Numbers, Numbers]  # moments, bytes from where on it is needed then, bytes written up to then


@dataclass(frozen=True, eq=False)
class Life:
    """Of a tensor: at the moment `begin + i` its bytes from `low[i]` up to `high[i]` are its own."""

    begin: int
    low: Numbers
    high: Numbers

    @property
    def end(self) -> int:
        """The first moment at which nothing of it is needed."""
        return self.begin + len(self.low)


def lives_of(graph: Graph, stages: Sequence[Stage]) -> Mapping[int, Life]:
    """Of each tensor with bytes of its own, where the steps run as the stages say."""
    import numpy as np

    size = graph.tensors[graph.image].size_bytes
    touches: dict[int, list[Touch]] = defaultdict(list)
    touches[graph.storage[graph.image]].append((np.array([0]), np.array([0]), np.array([size])))
    moment = 1
    for piece in pieces(graph, stages):
        count = 0
        for owner, (moments, low, high) in _touched(graph, piece):
            touches[owner].append((moment + moments, low, high))
            count = int(moments[-1]) + 1
        moment += count
    return {owner: _life(parts) for owner, parts in touches.items()}


def distance(below: Life, above: Life) -> int | None:
    """By how many bytes one tensor has to lie above another's begin at least, if above at all; None where they share no
    moment."""
    begin, end = max(below.begin, above.begin), min(below.end, above.end)
    if begin >= end:
        return None
    high = below.high[begin - below.begin : end - below.begin]
    low = above.low[begin - above.begin : end - above.begin]
    return int((high - low).max())


def _touched(graph: Graph, piece: Piece) -> Iterator[tuple[int, Touch]]:
    """What a piece reads, and last what it writes; its moments from 0 on."""
    import numpy as np

    step = graph.steps[piece.step]
    output = graph.tensors[step.output]
    _, width, channels = output.shape
    vertical, across = reach_of(step, 0), reach_of(step, 1)
    if vertical is None or across is None:
        here = np.array([0])
        yield from ((graph.storage[number], (here, here, here)) for number in step.inputs)
        yield graph.storage[step.output], (here, here, np.array([output.size_bytes]))
        return
    pixels = np.arange(piece.begin * width, piece.end * width, dtype=np.int64)
    moments = pixels - pixels[0]
    rows = np.maximum(0, pixels // width * vertical.stride - vertical.padding)
    columns = np.maximum(0, pixels % width * across.stride - across.padding)
    for number in step.inputs:
        _, seen_width, seen_channels = graph.tensors[number].shape
        first = (rows * seen_width + columns) * seen_channels
        if isinstance(step, ELEMENTWISE):
            yield graph.storage[number], (moments - 1, first, np.zeros_like(first))
            first = first + seen_channels
        yield graph.storage[number], (moments, first, np.zeros_like(first))
    yield graph.storage[step.output], (moments, pixels * channels, (pixels + 1) * channels)


def _life(parts: Sequence[Touch]) -> Life:
    import numpy as np

    moments, low, high = (np.concatenate(column) for column in zip(*parts, strict=True))
    begin, count = int(moments.min()), int(moments.max() - moments.min()) + 1
    lows, highs = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(lows, moments - begin, low)
    np.maximum.at(highs, moments - begin, high)
    return Life(begin, np.minimum.accumulate(lows[::-1])[::-1], np.maximum.accumulate(highs))
