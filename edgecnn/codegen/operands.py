"""What an operator of a TFLite graph is given: activations, constants and options; and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.scales import round_half_away
from edgecnn.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.graph import Pair, Tensor
    from edgecnn.codegen.rounding import Rounding

NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3  # ActivationFunctionType in TFLite's schema
SAME = 0  # Padding in TFLite's schema
RANGES = {RELU: (0.0, None), RELU_N1_TO_1: (-1.0, 1.0), RELU6: (0.0, 6.0)}


@dataclass(frozen=True, eq=False)
class Constant:
    """Values that stand in the file, with the scales of their channels (none: not quantized)."""

    values: npt.NDArray[Any]
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int  # of the channels that the scales are for


@dataclass(frozen=True, kw_only=True, eq=False)
class Operands:
    """An operator's surroundings; `numbers` and `number` are those of the tensors `inputs` and `output`."""

    layer: str
    kind: str
    options: Any  # of its kind in TFLite's schema, None where it has none
    numbers: tuple[int, ...]
    inputs: tuple[Tensor, ...]
    number: int
    output: Tensor
    constants: tuple[Constant, ...]
    rounding: Rounding

    def refusal(self, reason: str) -> InputError:
        """The error for what C cannot do to the bit."""
        return refusal(self.layer, reason)

    def option(self, name: str, default: int = 0) -> int:
        """A number among the options."""
        return int(getattr(self.options, name, default))

    def range_of(self, activation: int) -> Pair:
        """The lowest and highest output that an activation leaves; raises InputError for one without a range."""
        if activation == NONE:
            return -128, 127
        if activation not in RANGES:
            raise self.refusal(f"C has no kernel for its fused activation number {activation}")
        low, high = RANGES[activation]
        return max(-128, self._quantized(low)), 127 if high is None else min(127, self._quantized(high))

    def _quantized(self, value: float) -> int:
        """A value as an output, rounded as TFLite does: divided in float32."""
        import numpy as np

        return self.output.zero_point + round_half_away(float(np.float32(value) / np.float32(self.output.scale)))

    def step(self, operators: tuple[str, ...] = ()) -> dict[str, Any]:
        """What every step is made of."""
        low, high = self.range_of(self.option("fusedActivationFunction", NONE))
        return {
            "layer": self.layer,
            "operators": operators or (self.kind,),
            "inputs": self.numbers,
            "output": self.number,
            "low": low,
            "high": high,
        }

    def window(self, size: Pair) -> dict[str, Any]:
        """Size, stride and padding of a step whose outputs read windows of that size."""
        stride = self.option("strideH", 1), self.option("strideW", 1)
        same = self.option("padding") == SAME
        padding, shape = [], []
        for side, length, step, seen in zip((0, 1), size, stride, self.inputs[0].shape[:2], strict=False):
            made = -(-seen // step) if same else (seen - length) // step + 1
            padding.append(max(0, (made - 1) * step + length - seen) // 2 if same else 0)
            shape.append((made, self.output.shape[side]))
        if any(made != stated for made, stated in shape):
            raise self.refusal(f"its output {self.output.shape} does not follow from its input {self.inputs[0].shape}")
        return {"size": size, "stride": stride, "padding": tuple(padding)}


def refusal(layer: str, reason: str) -> InputError:
    """The error for a layer that C cannot compute to the bit."""
    return InputError(f"The layer '{layer}' cannot become C: {reason}.")
