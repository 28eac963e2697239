"""How each operator of a TFLite graph becomes a step: its scales as multipliers, its assumptions checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.graph import Add, AddOnce, AveragePooling, MaxPooling, Mean, Pad, Rescale, Softmax
from edgecnn.codegen.operands import RELU, RELU6, RELU_N1_TO_1
from edgecnn.codegen.scales import MAX_RIGHT_SHIFT, quantized_multiplier
from edgecnn.codegen.weighted import convolution, dense, depthwise_convolution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgecnn.codegen.graph import Step
    from edgecnn.codegen.operands import Operands

MEANS_AT_A_TIME = 16  # channels that LiteRT averages at once; it rounds those that are left over in another way
ADD_BITS = 20  # that the inputs of an addition are shifted to the left before they are scaled
SOFTMAX_INTEGER_BITS = 5  # of the scaled difference to the largest value
ACTIVATIONS = {"RELU": RELU, "RELU_N1_TO_1": RELU_N1_TO_1, "RELU6": RELU6}


def max_pooling(given: Operands) -> Step:
    return MaxPooling(**given.step(), **_pooling(given))


def average_pooling(given: Operands) -> Step:
    return AveragePooling(**given.step(), **_pooling(given))


def _pooling(given: Operands) -> dict[str, Any]:
    source = given.inputs[0]
    if (source.scale, source.zero_point) != (given.output.scale, given.output.zero_point):
        raise given.refusal("its pooling changes the scale")
    return given.window((given.option("filterHeight"), given.option("filterWidth")))


def mean(given: Operands) -> Step:
    """Over height and width; the number of pixels is divided by within the multiplier, as TFLite does it."""
    source, axes = given.inputs[0], {int(axis) % 4 for axis in given.constants[0].values.ravel()}
    if axes != {1, 2} or given.output.shape != (1, 1, source.shape[2]):
        raise given.refusal("its mean is not over height and width")
    count = source.shape[0] * source.shape[1]
    if given.rounding.in_float:
        return Mean(**given.step(), **_mean_in_float(given, count))
    if given.rounding.mean_of_raw:
        return Mean(**given.step(), **_mean_of_raw(given, count))
    multiplier, shift = _multiplier(given, source.scale / given.output.scale)
    more = min(count.bit_length() - 1, 32, MAX_RIGHT_SHIFT + shift)
    _check_sums(given, count, shift - more)
    return Mean(
        **given.step(),
        multiplier=(multiplier << more) // count,
        shift=shift - more,
        zero=source.zero_point,
        offset=given.output.zero_point,
    )


def _mean_in_float(given: Operands, count: int) -> dict[str, Any]:
    """As XNNPACK: the factor of the sum in float32, the division by the number of pixels the last."""
    import numpy as np

    source, output = given.inputs[0], given.output
    _check_sums(given, count, 0)
    factor = np.float32(source.scale) / np.float32(output.scale) * (np.float32(1) / np.float32(count))
    return {"multiplier": float(factor), "shift": 0, "zero": source.zero_point, "offset": output.zero_point}


def _mean_of_raw(given: Operands, count: int) -> dict[str, Any]:
    """As LiteRT's optimized kernel: factor and bias in float32, and the zero point only in the bias."""
    import numpy as np

    source, output = given.inputs[0], given.output
    if output.size_bytes % MEANS_AT_A_TIME:
        raise given.refusal(f"{given.rounding.runtime} rounds the last of {output.size_bytes} means otherwise")
    multiplier, shift = _multiplier(given, float(np.float32(source.scale) / np.float32(count * output.scale)))
    _check_sums(given, count, shift)
    share = np.float32(source.zero_point) * np.float32(source.scale) / np.float32(output.scale)
    bias = output.zero_point - int(share + np.float32(0.5 if share > 0 else -0.5))
    return {"multiplier": multiplier, "shift": shift, "zero": 0, "offset": bias}


def _check_sums(given: Operands, count: int, shift: int) -> None:
    if count * 255 * 2 ** max(0, shift) >= 2**31:
        raise given.refusal("its sums do not fit into 32 bits")


def add(given: Operands) -> Step:
    if len(given.inputs) != 2 or any(source.shape != given.output.shape for source in given.inputs):
        raise given.refusal("its addition is not of two tensors of one shape")
    if given.rounding.adds_once:
        return _add_once(given)
    scales = [source.scale for source in given.inputs]
    twice = 2 * max(scales)
    real = [scales[0] / twice, scales[1] / twice, twice / (2**ADD_BITS * given.output.scale)]
    factors = [_multiplier(given, factor) for factor in real]
    if any(shift > 0 for _, shift in factors):
        raise given.refusal("its addition scales its sum up")
    first, second, total = factors
    return Add(
        **given.step(),
        multipliers=(first[0], second[0], total[0]),
        shifts=(first[1], second[1], total[1]),
    )


def _add_once(given: Operands) -> Step:
    """As XNNPACK: multipliers of 21 bits, the larger at least 2**20, and one shift."""
    import numpy as np

    real = [float(np.float32(source.scale) / np.float32(given.output.scale)) for source in given.inputs]
    shift = ADD_BITS + 1 - math.frexp(max(real))[1]
    if min(real) < 2**-10 or max(real) >= 2**8:
        raise given.refusal("its scales differ too much for XNNPACK")
    first, second = (int(np.rint(factor * 2.0**shift)) for factor in real)
    return AddOnce(**given.step(), multipliers=(first, second), shift=shift)


def pad(given: Operands) -> Step:
    if given.kind == "PADV2" or given.inputs[0].zero_point != given.output.zero_point:
        raise given.refusal("it pads with another value than zero")
    before = given.constants[0].values.reshape(-1, 2)
    rows = [(0, 0)] * (4 - len(before)) + [(int(first), int(last)) for first, last in before]
    shape = tuple(side + sum(row) for side, row in zip(given.inputs[0].shape, rows[1:], strict=True))
    if rows[0] != (0, 0) or rows[3] != (0, 0) or min(min(row) for row in rows) < 0 or shape != given.output.shape:
        raise given.refusal("it pads others than height and width")
    return Pad(**given.step(), padding=(rows[1][0], rows[2][0]))


def rescale(given: Operands) -> Step:
    """A QUANTIZE between two scales, or an activation by itself."""
    step = given.step()
    if given.kind in ACTIVATIONS:
        low, high = given.range_of(ACTIVATIONS[given.kind])
        step |= {"low": low, "high": high}
    multiplier, shift = _multiplier(given, given.inputs[0].scale / given.output.scale)
    if 256 * 2.0**shift >= 2**31:
        raise given.refusal("its scale grows too much")
    return Rescale(**step, multiplier=multiplier, shift=shift)


def softmax(given: Operands) -> Step:
    beta, source = float(given.options.beta), given.inputs[0]
    if (given.output.scale, given.output.zero_point) != (1 / 256, -128):
        raise given.refusal("its probabilities are not in steps of 1/256")
    real = min(beta * source.scale * 2 ** (31 - SOFTMAX_INTEGER_BITS), 2.0**31 - 1)
    multiplier, shift = _multiplier(given, real)
    if real <= 1 or source.shape[2] >= 2**12:
        raise given.refusal("its scale is too small, or its channels too many, for a softmax in integers")
    largest = (2**SOFTMAX_INTEGER_BITS - 1) * 2 ** (31 - SOFTMAX_INTEGER_BITS) / 2**shift
    return Softmax(**given.step(), multiplier=multiplier, shift=shift, least_difference=-math.floor(largest))


def _multiplier(given: Operands, real: float) -> tuple[int, int]:
    try:
        return quantized_multiplier(real)
    except ValueError as error:
        raise given.refusal(f"it has {error}, which no kernel takes") from None


OPERATORS: Mapping[str, Callable[[Operands], Step]] = {
    "ADD": add,
    "AVERAGE_POOL_2D": average_pooling,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise_convolution,
    "FULLY_CONNECTED": dense,
    "MAX_POOL_2D": max_pooling,
    "MEAN": mean,
    "PAD": pad,
    "QUANTIZE": rescale,
    "RELU": rescale,
    "RELU6": rescale,
    "RELU_N1_TO_1": rescale,
    "SOFTMAX": softmax,
}
