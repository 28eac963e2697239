"""How large a graph becomes once the functions it calls are written out: a kilobyte of them can ask for 2**40 nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

K = TypeVar("K")

MAX_DEPTH = 50  # calls inside each other


def check_unfolding(nodes: Iterable[K], functions: Mapping[K, Iterable[K]], most: int) -> None:
    """Raise ValueError where a graph would grow beyond `most` nodes, or its functions call each other without end.

    `nodes` are what the graph's nodes call, operators and functions alike; `functions` are the bodies, put the same.
    """
    known: dict[K, tuple[int, int]] = {}

    def measure(body: Iterable[K], depth: int) -> tuple[int, int]:
        """Nodes of a body, and how deep its calls go."""
        count, deepest = 0, 0
        for called in body:
            if called in functions and called not in known:
                known[called] = measure(functions[called], depth + 1) if depth < MAX_DEPTH else (1, MAX_DEPTH)
            inside, below = known.get(called, (1, -1))
            count, deepest = count + inside, max(deepest, below + 1)
            if count > most or deepest > MAX_DEPTH:
                raise ValueError("its functions call each other too often")
        return count, deepest

    measure(nodes, 0)
