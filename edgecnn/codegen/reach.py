"""Which rows, or columns, of its input a step's output reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.codegen.graph import Add, AddOnce, Convolution, Pad, Rescale, Window

if TYPE_CHECKING:
    from edgecnn.codegen.graph import Step

ELEMENTWISE = Add | AddOnce | Rescale  # they read each value before they write it


@dataclass(frozen=True)
class Reach:
    """Row y of the output reads `size` rows of the input from `y * stride - padding` on; some may lie outside."""

    size: int
    stride: int
    padding: int


def reach_of(step: Step, side: int) -> Reach | None:
    """Along height (0) or width (1); None for a step that reads its whole input."""
    if isinstance(step, ELEMENTWISE):
        return Reach(1, 1, 0)
    if isinstance(step, Pad):
        return Reach(1, 1, step.padding[side])
    if not isinstance(step, Window) or (isinstance(step, Convolution) and step.is_dense):
        return None
    size, stride, padding = step.size[side], step.stride[side], step.padding[side]
    if isinstance(step, Convolution):
        pool_size, pool_stride = step.pool[0][side], step.pool[1][side]
        return Reach((pool_size - 1) * stride + size, pool_stride * stride, padding)
    return Reach(size, stride, padding)
