"""Convolutions with the max pooling behind them: its window is taken on the accumulators, and nothing is stored.

That is exact, since what makes an output of an accumulator never decreases.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.codegen.graph import NO_POOL, Convolution, MaxPooling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.codegen.graph import Step, Tensor


def fused(steps: Sequence[Step], tensors: Sequence[Tensor], output: int) -> tuple[Step, ...]:
    """The steps with such pairs made one; `output` is the model's, which stays."""
    readers = Counter(tensor for step in steps for tensor in step.inputs)
    made: list[Step] = []
    for step in steps:
        before = made[-1] if made else None
        if (
            isinstance(step, MaxPooling)
            and isinstance(before, Convolution)
            and before.pool == NO_POOL
            and step.inputs == (before.output,)
            and readers[before.output] == 1
            and before.output != output
            and _is_inside(step, tensors)
        ):
            made[-1] = _pair(before, step)
        else:
            made.append(step)
    return tuple(made)


def _is_inside(pooling: MaxPooling, tensors: Sequence[Tensor]) -> bool:
    """Whether its windows do not overlap, which would compute outputs twice, and lie in the input as a whole."""
    seen, made = tensors[pooling.inputs[0]].shape, tensors[pooling.output].shape
    sides = zip(seen, made, pooling.size, pooling.stride, strict=False)
    return pooling.padding == (0, 0) and all(
        step >= size and (count - 1) * step + size <= length for length, count, size, step in sides
    )


def _pair(convolution: Convolution, pooling: MaxPooling) -> Convolution:
    return replace(
        convolution,
        operators=(*convolution.operators, *pooling.operators),
        output=pooling.output,
        low=max(convolution.low, pooling.low),
        high=min(convolution.high, pooling.high),
        pool=(pooling.size, pooling.stride),
    )
