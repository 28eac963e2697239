"""Where each tensor lies in the arena: in few bytes, and no two that are needed at once over each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from edgecnn.codegen.reach import least_distance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgecnn.codegen.graph import Graph

MAX_ROUNDS = 20  # of the search


@dataclass(frozen=True)
class Plan:
    """Bytes of the arena, and at which each tensor begins; the output lies outside."""

    arena_bytes: int
    offsets: Mapping[int, int]


@dataclass(frozen=True)
class Conflict:
    """Two tensors that are needed at once: `above` lies at least `distance` bytes above `below`, or ends before it."""

    below: int
    above: int
    distance: int


def plan(graph: Graph) -> Plan:
    """A plan found by hill climbing over the order in which tensors are placed, each as low as it fits."""
    lives = lives_of(graph)
    sizes = {
        number: tensor.size_bytes
        for number, tensor in enumerate(graph.tensors)
        if number in lives and number != graph.storage[graph.output]
    }
    conflicts = [c for c in conflicts_of(graph) if c.below in sizes and c.above in sizes]
    best = min(
        (sorted(sizes, key=sizes.__getitem__, reverse=True), sorted(sizes)), key=lambda o: _cost(o, sizes, conflicts)
    )
    for _ in range(MAX_ROUNDS):
        moved = min(_moves(best), key=lambda order: _cost(order, sizes, conflicts), default=best)
        if _cost(moved, sizes, conflicts) >= _cost(best, sizes, conflicts):
            break
        best = moved
    offsets = _placed(best, sizes, conflicts)
    return Plan(_cost(best, sizes, conflicts), offsets)


def conflicts_of(graph: Graph) -> list[Conflict]:
    """Every pair of tensors that share a moment, with the distance that suffices where one is made from the other."""
    lives = lives_of(graph)
    found = []
    for first, second in combinations(sorted(lives), 2):
        if lives[first][0] > lives[second][1] or lives[second][0] > lives[first][1]:
            continue
        source, made = sorted((first, second), key=lambda number: lives[number][0])
        distance = graph.tensors[made].size_bytes
        if lives[source][1] == lives[made][0]:  # the step that makes one is the last to read the other
            step = graph.steps[lives[made][0]]
            distance = max(
                least_distance(step, graph.tensors[read], graph.tensors[step.output])
                for read in step.inputs
                if graph.storage[read] == source
            )
        found.append(Conflict(below=made, above=source, distance=distance))
    return found


def lives_of(graph: Graph) -> dict[int, tuple[int, int]]:
    """Of each tensor with bytes of its own: the step that makes it (-1: none) and the last that reads it."""
    lives = {graph.storage[graph.image]: (-1, -1)}
    for number, step in enumerate(graph.steps):
        for read in step.inputs:
            owner = graph.storage[read]
            lives[owner] = (lives[owner][0], number)
        lives[graph.storage[step.output]] = (number, number)
    return lives


def _moves(order: Sequence[int]) -> list[list[int]]:
    """The order with one tensor placed earlier, in every way."""
    return [
        [*order[:to], order[at], *order[to:at], *order[at + 1 :]] for at in range(1, len(order)) for to in range(at)
    ]


def _cost(order: Sequence[int], sizes: Mapping[int, int], conflicts: Sequence[Conflict]) -> int:
    offsets = _placed(order, sizes, conflicts)
    return max(offsets[number] + sizes[number] for number in order)


def _placed(order: Sequence[int], sizes: Mapping[int, int], conflicts: Sequence[Conflict]) -> dict[int, int]:
    """Each tensor at the lowest offset that the ones before it in the order leave."""
    offsets: dict[int, int] = {}
    for number in order:
        taken = sorted(_taken(number, offsets, sizes, conflicts))
        offset = 0
        for low, high in taken:
            if low < offset < high:
                offset = high
        offsets[number] = offset
    return offsets


def _taken(
    number: int, offsets: Mapping[int, int], sizes: Mapping[int, int], conflicts: Sequence[Conflict]
) -> Iterator[tuple[int, int]]:
    """Open intervals of offsets that the tensors placed so far forbid."""
    for c in conflicts:
        if number == c.above and c.below in offsets:
            yield offsets[c.below] - sizes[number], offsets[c.below] + c.distance
        elif number == c.below and c.above in offsets:
            yield offsets[c.above] - c.distance, offsets[c.above] + sizes[c.above]
