"""In which order steps run: one after the other, or several in turn, a row of each at a time.

In turn, the steps of a residual block hold a few rows of what lies between them, and its output grows over its input.
Tensors lie in the arena as a whole all the same; it is their rows that are needed for a short while only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from edgecnn.codegen.reach import reach_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgecnn.codegen.graph import Graph, Step


@dataclass(frozen=True)
class Stage:
    """Steps that follow each other, by number, and of each by how many turns its rows come later; none: one step as a
    whole."""

    steps: tuple[int, ...]
    lags: tuple[int, ...] = ()


@dataclass(frozen=True)
class Piece:
    """Rows of a step's output from `begin` up to `end`, which are computed at one time."""

    step: int
    begin: int
    end: int


def pieces(graph: Graph, stages: Sequence[Stage]) -> Iterator[Piece]:
    """What is computed, in order."""
    for stage in stages:
        height = graph.tensors[graph.steps[stage.steps[0]].output].shape[0]
        if not stage.lags:
            yield Piece(stage.steps[0], 0, height)
            continue
        for turn in range(height + max(stage.lags)):
            for step, lag in zip(stage.steps, stage.lags, strict=True):
                if 0 <= turn - lag < height:
                    yield Piece(step, turn - lag, turn - lag + 1)


def one_by_one(graph: Graph) -> tuple[Stage, ...]:
    """Every step as a whole."""
    return tuple(Stage((number,)) for number in range(len(graph.steps)))


def together(stages: Sequence[Stage], block: Stage) -> tuple[Stage, ...]:
    """The stages with those of a block's steps replaced by it."""
    before = [stage for stage in stages if stage.steps[-1] < block.steps[0]]
    after = [stage for stage in stages if stage.steps[0] > block.steps[-1]]
    return (*before, block, *after)


def blocks_of(graph: Graph) -> list[Stage]:
    """Steps that may run in turn: between two moments at which one tensor is all that is needed, with as many rows."""
    keys, segment = [], 0
    for number, step in enumerate(graph.steps):
        keys.append((segment, graph.tensors[step.output].shape[0] if _by_rows(graph, step) else -number))
        segment += _is_alone(graph, number)
    runs = [tuple(run) for _, run in groupby(range(len(keys)), key=keys.__getitem__)]
    return [Stage(run, _lags(graph, run)) for run in runs if len(run) > 1]


def _by_rows(graph: Graph, step: Step) -> bool:
    """Whether it may compute a row at a time, of inputs that have the rows they were made with."""
    shaped = all(graph.tensors[i].shape == graph.tensors[graph.storage[i]].shape for i in step.inputs)
    return shaped and reach_of(step, 0) is not None and graph.tensors[step.output].shape[0] > 1


def _is_alone(graph: Graph, number: int) -> bool:
    """Whether one tensor is all that is needed after a step."""
    made = {graph.storage[graph.image], *(graph.storage[step.output] for step in graph.steps[: number + 1])}
    read = {graph.storage[i] for step in graph.steps[number + 1 :] for i in step.inputs}
    return len(made & read) <= 1


def _lags(graph: Graph, run: Sequence[int]) -> tuple[int, ...]:
    """Of each step the least number of turns after which all rows that it reads are there."""
    lags: dict[int, int] = {}  # by the tensor that is made
    for number in run:
        step, reach = graph.steps[number], reach_of(graph.steps[number], 0)
        assert reach is not None  # of a step by rows
        height = graph.tensors[step.output].shape[0]
        ahead = max(min(height - 1, y * reach.stride - reach.padding + reach.size - 1) - y for y in range(height))
        needed = [lags[graph.storage[i]] + ahead for i in step.inputs if graph.storage[i] in lags]
        lags[graph.storage[step.output]] = max(0, *needed) if needed else 0
    return tuple(lags.values())
