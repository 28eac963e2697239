"""Where each tensor lies in the arena: in few bytes, and no two that are needed at once over each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from edgecnn.codegen.lives import distance, lives_of
from edgecnn.codegen.schedule import blocks_of, one_by_one, together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgecnn.codegen.graph import Graph
    from edgecnn.codegen.schedule import Stage

MAX_ROUNDS = 20  # of the search


@dataclass(frozen=True)
class Plan:
    """Bytes of the arena, at which each tensor begins (the output lies outside), and in which order the steps run."""

    arena_bytes: int
    offsets: Mapping[int, int]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Conflict:
    """Two tensors that are needed at once: the second lies at least `over` bytes above the first, or `under` below."""

    first: int
    second: int
    over: int
    under: int


def plan(graph: Graph) -> Plan:
    """The smallest arena that is found; blocks of steps run in turn only where it would be larger otherwise."""
    blocks = blocks_of(graph)
    best = _planned(graph, blocks)
    for block in tuple(blocks):
        others = [one for one in blocks if one is not block]
        found = _planned(graph, others)
        if found.arena_bytes <= best.arena_bytes:
            best, blocks = found, others
    return best


def _planned(graph: Graph, blocks: Sequence[Stage]) -> Plan:
    """A plan found by hill climbing over the order in which tensors are placed, each as low as it fits."""
    stages = one_by_one(graph)
    for block in blocks:
        stages = together(stages, block)
    conflicts = _conflicts(graph, stages)
    owners = {graph.storage[graph.image], *(graph.storage[step.output] for step in graph.steps)}
    sizes = {owner: graph.tensors[owner].size_bytes for owner in sorted(owners - {graph.storage[graph.output]})}
    begins = (sorted(sizes, key=sizes.__getitem__, reverse=True), sorted(sizes), sorted(sizes, reverse=True))
    best = min(begins, key=lambda order: _cost(order, sizes, conflicts))
    for _ in range(MAX_ROUNDS):
        moved = min(_moves(best), key=lambda order: _cost(order, sizes, conflicts), default=best)
        if _cost(moved, sizes, conflicts) >= _cost(best, sizes, conflicts):
            break
        best = moved
    return Plan(_cost(best, sizes, conflicts), _placed(best, sizes, conflicts), stages)


def _conflicts(graph: Graph, stages: Sequence[Stage]) -> list[Conflict]:
    """Every pair of tensors in the arena that share a moment."""
    lives = lives_of(graph, stages)
    found = []
    for first, second in combinations(sorted(lives.keys() - {graph.storage[graph.output]}), 2):
        over, under = distance(lives[first], lives[second]), distance(lives[second], lives[first])
        if over is not None and under is not None:
            found.append(Conflict(first, second, over, under))
    return found


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
        taken = sorted(_taken(number, offsets, conflicts))
        offset = 0
        for low, high in taken:
            if low < offset < high:
                offset = high
        offsets[number] = offset
    return offsets


def _taken(number: int, offsets: Mapping[int, int], conflicts: Sequence[Conflict]) -> Iterator[tuple[int, int]]:
    """Open intervals of offsets that the tensors placed so far forbid."""
    for c in conflicts:
        if number == c.second and c.first in offsets:
            yield offsets[c.first] - c.under, offsets[c.first] + c.over
        elif number == c.first and c.second in offsets:
            yield offsets[c.second] - c.over, offsets[c.second] + c.under
