"""Convolutions and dense layers as steps: weights in order, a multiplier for each channel, accumulators that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.graph import Convolution, DepthwiseConvolution
from edgecnn.codegen.scales import INT32_MAX, quantized_multiplier

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from edgecnn.codegen.graph import Step
    from edgecnn.codegen.operands import Constant, Operands

LARGEST_INPUT = 255  # of a value less its zero point


def convolution(given: Operands) -> Step:
    kernel = _kernel(given, 0)
    _check_dilation(given)
    out, height, width, channels = kernel.values.shape
    if channels != given.inputs[0].shape[2] or out != given.output.shape[2]:
        raise given.refusal("its kernel is of groups of channels")
    return Convolution(**given.step(), **given.window((height, width)), **_weighted(given, kernel.values))


def depthwise_convolution(given: Operands) -> Step:
    kernel = _kernel(given, 3)
    _check_dilation(given)
    _, height, width, out = kernel.values.shape
    if out % given.inputs[0].shape[2] or out != given.output.shape[2]:
        raise given.refusal("its kernel does not fit its channels")
    weights = kernel.values[0]
    return DepthwiseConvolution(**given.step(), **given.window((height, width)), **_weighted(given, weights))


def dense(given: Operands) -> Step:
    """As a convolution of one pixel, which a vector is, and which any other input is made by reading it as one."""
    kernel = _kernel(given, 0)
    out, depth = kernel.values.shape
    if depth != given.inputs[0].size_bytes or out != given.output.size_bytes:
        raise given.refusal("its matrix does not fit its input")
    window: dict[str, Any] = {"size": (1, 1), "stride": (1, 1), "padding": (0, 0)}
    return Convolution(**given.step(), **window, **_weighted(given, kernel.values.reshape(out, 1, 1, depth)))


def _kernel(given: Operands, axis: int) -> Constant:
    """The weights; raises InputError unless they are symmetric int8 with a scale for all or one for each output."""
    import numpy as np

    if len(given.inputs) != 1 or not given.constants:
        raise given.refusal("its weights are computed inside the model")
    kernel = given.constants[0]
    if kernel.values.dtype != np.int8 or not len(kernel.scales):
        raise given.refusal(f"its weights are {kernel.values.dtype}, not quantized int8")
    if kernel.zero_points.any() or int(kernel.values.min(initial=0)) < -127:
        raise given.refusal("its weights are not symmetric")
    if len(kernel.scales) > 1 and (kernel.axis != axis or len(kernel.scales) != kernel.values.shape[axis]):
        raise given.refusal("its weights have scales along another axis than the outputs'")
    return kernel


def _check_dilation(given: Operands) -> None:
    if (given.option("dilationHFactor", 1), given.option("dilationWFactor", 1)) != (1, 1):
        raise given.refusal("C has no kernel for a dilated convolution")


def _weighted(given: Operands, weights: npt.NDArray[np.int8]) -> dict[str, Any]:
    import numpy as np

    out, scales = given.output.shape[2], given.constants[0].scales
    bias = given.constants[1].values if len(given.constants) > 1 else np.zeros(out, np.int32)
    if bias.dtype != np.int32 or bias.shape != (out,):
        raise given.refusal(f"its bias is {bias.dtype}, not int32 for each output")
    factors = _factors(given, np.broadcast_to(scales, (out,)))
    kind = np.float32 if given.rounding.in_float else np.int32
    flat = np.moveaxis(weights, -1, 0) if given.kind == "DEPTHWISE_CONV_2D" else weights
    bounds = np.abs(bias.astype(np.int64)) + LARGEST_INPUT * np.abs(flat.reshape(out, -1).astype(np.int64)).sum(axis=1)
    for bound, (_, shift) in zip(bounds.tolist(), factors, strict=True):
        if bound << max(0, shift) > INT32_MAX:
            raise given.refusal(f"its accumulator may reach {bound << max(0, shift):,}, more than 32 bits hold")
    return {
        "weights": weights,
        "bias": bias,
        "multipliers": np.array([multiplier for multiplier, _ in factors], kind),
        "shifts": np.array([shift for _, shift in factors], np.int8),
    }


def _factors(given: Operands, scales: npt.NDArray[np.float32]) -> list[tuple[float, int]]:
    """Multiplier and shift of each channel."""
    import numpy as np

    if not given.rounding.in_float:
        return [_factor(given, scale) for scale in scales]
    source, made = np.float32(given.inputs[0].scale), np.float32(given.output.scale)
    real = source * scales / made
    if not ((real > 0) & (real < 256)).all():
        raise given.refusal("its factors between scales are none that XNNPACK takes")
    return [(float(factor), 0) for factor in real]


def _factor(given: Operands, scale: np.float32) -> tuple[int, int]:
    """Of an accumulator to an output. A dense layer with one scale multiplies in float32, as TFLite does there."""
    import numpy as np

    source, made = given.inputs[0].scale, given.output.scale
    alone = given.kind == "FULLY_CONNECTED" and len(given.constants[0].scales) == 1
    product = float(np.float32(source) * scale) if alone else source * float(scale)
    try:
        return quantized_multiplier(product / made)
    except ValueError as error:
        raise given.refusal(f"it has {error}, which no kernel takes") from None
