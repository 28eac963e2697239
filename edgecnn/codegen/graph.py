"""The graph that C is generated from: tensors without a batch, and steps with everything their kernels need.

All activations are int8, `(q - zero_point) * scale`; the image is uint8 with scale 1/255, and is made int8 by
subtracting 128 from each byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.rounding import Rounding

    Multipliers = npt.NDArray[np.int32] | npt.NDArray[np.float32]

Pair = tuple[int, int]  # of height and width
NO_POOL = ((1, 1), (1, 1))


@dataclass(frozen=True)
class Tensor:
    """An activation of one image, bytes in the order height, width, channels; a vector is 1 x 1 x n."""

    name: str
    shape: tuple[int, int, int]
    scale: float  # of float32
    zero_point: int

    @property
    def size_bytes(self) -> int:
        """Its bytes, one a value."""
        height, width, channels = self.shape
        return height * width * channels


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One call of a kernel; `inputs` and `output` are numbers of tensors."""

    layer: str  # for comments and messages
    operators: tuple[str, ...]  # of the TFLite graph, those that are fused into it included
    inputs: tuple[int, ...]
    output: int
    low: int = -128  # the range of its activation
    high: int = 127


@dataclass(frozen=True, kw_only=True, eq=False)
class Window(Step):
    """A step whose output pixel (y, x) reads a window of its input from (y * stride - padding) on."""

    size: Pair
    stride: Pair
    padding: Pair  # rows above and columns to the left; below and to the right follow from the shapes


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighted(Window):
    """A convolution, or a dense layer as one over a single pixel.

    An output is `bias + sum(weights * (input - zero point))`, multiplied by `multipliers[c] * 2**(shifts[c] - 31)`, or
    by `multipliers[c]` where the rounding is in float.
    """

    weights: npt.NDArray[np.int8]  # [out, height, width, in]; depthwise [height, width, out]
    bias: npt.NDArray[np.int32]  # [out]
    multipliers: Multipliers  # [out], 2**30 to 2**31 - 1, or 0; or float32
    shifts: npt.NDArray[np.int8]  # [out], negative ones to the right


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Weighted):
    """A convolution over all channels; `pool` is the size and stride of a max pooling of its outputs."""

    pool: tuple[Pair, Pair] = NO_POOL

    @property
    def is_dense(self) -> bool:
        """Whether it is a dense layer: a convolution of one pixel, whatever shape its input has."""
        return self.operators[0] == "FULLY_CONNECTED"


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthwiseConvolution(Weighted):
    """A convolution of each channel by itself, with one or more outputs a channel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPooling(Window):
    """The largest value of a window; what lies outside the input does not count."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AveragePooling(Window):
    """The mean of a window, in the input's own scale; what lies outside the input does not count."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mean(Step):
    """The mean over height and width, in a scale of its own: the sum of `input - zero`, scaled, and `offset`."""

    multiplier: int | float
    shift: int
    zero: int
    offset: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Step):
    """The sum of two tensors: both are brought to a common scale in 20 bits more, added, and brought back."""

    multipliers: tuple[int, int, int]  # of the first input, the second, and their sum
    shifts: tuple[int, int, int]  # 0 or negative


@dataclass(frozen=True, kw_only=True, eq=False)
class AddOnce(Step):
    """The sum of two tensors, each less its zero point and times a multiplier, brought back by one shift."""

    multipliers: tuple[int, int]
    shift: int  # to the right


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(Step):
    """Rows and columns of the zero point around the input."""

    padding: Pair  # above and to the left


@dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Step):
    """Each value brought to another scale or range: a quantization in between, or an activation by itself."""

    multiplier: int
    shift: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(Step):
    """Probabilities over the channels of each pixel, with scale 1/256 and zero point -128."""

    multiplier: int
    shift: int
    least_difference: int  # from the largest value; what lies further below gets no probability


@dataclass(frozen=True)
class Graph:
    """A model: tensors, steps in order, which tensor is the image and which the output."""

    tensors: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    storage: tuple[int, ...]  # of each tensor the one in whose bytes it lies: itself, or what it is a reshape of
    image: int
    output: int
    rounding: Rounding  # whose outputs the kernels give

    def multiply_adds(self, step: Step) -> int:
        """Of a step, for one image; 0 for one without weights."""
        if not isinstance(step, Weighted):
            return 0
        height, width, _ = self.tensors[step.output].shape
        pool = step.pool[0] if isinstance(step, Convolution) else (1, 1)
        return height * width * pool[0] * pool[1] * step.weights.size
