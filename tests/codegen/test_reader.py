"""What C cannot compute to the bit is refused, with the layer's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn.codegen.reader import read
from edgecnn.codegen.scales import quantized_multiplier
from edgecnn.errors import InputError
from tests.codegen.networks import Network

if TYPE_CHECKING:
    from collections.abc import Callable

LAYER = "conv2d_1"


def _network(**changes: Any) -> Network:
    """A network of one convolution, whose weights, scales or options are changed."""
    network = Network((5, 5, 3))
    weights = changes.pop("weights", np.full((4, 3, 3, 3), 7, np.int8))
    scales, scale = changes.pop("scales", [0.01] * 4), changes.pop("scale", 0.5)
    options = {"dilationHFactor": 1, "dilationWFactor": 1} | changes
    network.weighted("CONV_2D", network.last, weights, (3, 3, 4), scales=scales, scale=scale, zero_point=0, **options)
    return network


def _with(change: Callable[[Network], None], **changes: Any) -> Network:
    network = _network(**changes)
    change(network)
    return network


def _kernel(network: Network) -> Any:
    return network.graph.tensors[network.graph.operators[1].inputs[1]]


def _asymmetric(network: Network) -> None:
    _kernel(network).quantization.zeroPoint = np.array([0, 0, 1, 0], np.int64)


def _other_axis(network: Network) -> None:
    _kernel(network).quantization.quantizedDimension = 3


def _float_layer(network: Network) -> None:
    network.graph.tensors[network.last].type = schema.TensorType.FLOAT32


def _float_image(network: Network) -> None:
    network.graph.tensors[0].type = schema.TensorType.FLOAT32


def _other_image(network: Network) -> None:
    network.graph.tensors[0].quantization.scale = np.array([1 / 128], np.float32)


def _unknown(network: Network) -> None:
    network.add("LOGISTIC", [network.last], (3, 3, 4))


def _pool_with_a_scale(network: Network) -> None:
    options = {"filterWidth": 1, "filterHeight": 1, "strideH": 1, "strideW": 1}
    network.add("MAX_POOL_2D", [network.last], (3, 3, 4), scale=0.25, options=options)


def _mean_of_channels(network: Network) -> None:
    network.add("MEAN", [network.last, network.constant(np.array([3], np.int32))], (3, 3, 1))


def _padded_channels(network: Network) -> None:
    paddings = network.constant(np.array([[0, 0], [0, 0], [0, 0], [1, 1]], np.int32))
    network.add("PAD", [network.last, paddings], (3, 3, 6))


def _tanh(network: Network) -> None:
    network.graph.operators[1].builtinOptions.fusedActivationFunction = 4


def _add(scale: float = 0.5, other: tuple[int, ...] = (3, 3, 4)) -> Callable[[Network], None]:
    """Of the convolution and another tensor of a shape, in a scale."""

    def change(network: Network) -> None:
        first = network.last
        second = first if other == (3, 3, 4) else network.graph.operators[0].outputs[0]
        network.add("ADD", [first, second], (3, 3, 4), scale=scale, options={"fusedActivationFunction": 0})

    return change


def _softmax(scale: float, beta: float) -> Callable[[Network], None]:
    return lambda network: (
        network.add("SOFTMAX", [network.last], (3, 3, 4), scale=scale, zero_point=-128, options={"beta": beta}) and None
    )


def _reshape(shape: tuple[int, ...], scale: float | None = None) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        sides = network.constant(np.array([1, *shape], np.int32))
        network.add("RESHAPE", [network.last, sides], shape, scale=scale, options={"newShape": [1, *shape]})

    return change


def _bias(dtype: str) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        network.graph.operators[1].inputs = [
            *network.graph.operators[1].inputs[:2],
            network.constant(np.zeros(4, dtype)),
        ]

    return change


def _unscaled(network: Network) -> None:
    network.graph.tensors[network.last].quantization.scale = np.zeros(0, np.float32)


def _output_read_inside(network: Network) -> None:
    network.add("QUANTIZE", [network.last], (3, 3, 4), scale=0.3)
    network.last = network.graph.operators[1].outputs[0]


def _computed_weights(network: Network) -> None:
    network.graph.operators[1].inputs = [network.graph.operators[0].outputs[0]] * 2


def _rescaled_far(network: Network) -> None:
    network.add("QUANTIZE", [network.last], (3, 3, 4), scale=1e-8)


REFUSED: dict[str, tuple[Callable[[], Network], str]] = {
    "asymmetric weights": (lambda: _with(_asymmetric), "weights are not symmetric"),
    "weights of -128": (lambda: _network(weights=np.full((4, 3, 3, 3), -128, np.int8)), "weights are not symmetric"),
    "scales along another axis": (lambda: _with(_other_axis), "scales along another axis"),
    "float32": (lambda: _with(_float_layer), "excluded from quantization"),
    "a float image": (lambda: _with(_float_image), "its image is not uint8"),
    "an image of another scale": (lambda: _with(_other_image), "its image is not uint8"),
    "an unknown operator": (lambda: _with(_unknown), "no kernel for its operator LOGISTIC"),
    "dilation": (lambda: _network(dilationHFactor=2), "dilated"),
    "an unknown activation": (lambda: _with(_tanh), "fused activation number 4"),
    "a pooling with a scale of its own": (lambda: _with(_pool_with_a_scale), "pooling changes the scale"),
    "a mean over channels": (lambda: _with(_mean_of_channels), "mean is not over height and width"),
    "padded channels": (lambda: _with(_padded_channels), "pads others than height and width"),
    "an addition of two shapes": (lambda: _with(_add(other=(5, 5, 3))), "not of two tensors of one shape"),
    "an addition that scales up": (lambda: _with(_add(scale=1e-7)), "scales its sum up"),
    "a softmax of other steps": (lambda: _with(_softmax(1 / 128, 1.0)), "not in steps of 1/256"),
    "a softmax of a tiny scale": (lambda: _with(_softmax(1 / 256, 1e-9)), "too small"),
    "a reshape that changes the scale": (lambda: _with(_reshape((36,), 0.3)), "changes the scale without computing"),
    "a reshape that loses values": (lambda: _with(_reshape((35,))), "changes the number of values"),
    "a bias of int8": (lambda: _with(_bias("int8")), "its bias is int8, not int32"),
    "weights that are computed": (lambda: _with(_computed_weights), "weights are computed inside"),
    "groups of channels": (lambda: _network(weights=np.full((4, 3, 3, 1), 7, np.int8)), "groups of channels"),
    "an output without a scale": (lambda: _with(_unscaled), "no scale, or more than one"),
    "an output that is read inside": (lambda: _with(_output_read_inside), "is read inside the model too"),
    "a change of scale too far": (lambda: _with(_rescaled_far), "scale grows too much"),
    "too large a factor": (lambda: _network(scales=[1e9] * 4, scale=1e-6), "a factor of"),
    "a shift that overflows": (lambda: _network(scales=[1e5] * 4, scale=1e-3), "accumulator may reach"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_the_layer_s_name(what: str) -> None:
    make, words = REFUSED[what]
    network = make()
    names = {tensor.name: LAYER for tensor in network.graph.tensors}
    with pytest.raises(InputError, match=rf"^The layer '{LAYER}' cannot become C: .*{words}.*\.$"):
        read(network.bytes(), names)


def test_the_unchanged_network_is_taken() -> None:
    assert len(read(_network().bytes()).steps) == 1


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (1 - 2**-40, (2**30, 1)),
        (0.75 * 2**-31, (3 * 2**29, -31)),
        (2.0**-40, (0, 0)),
    ],
)
def test_multipliers(real: float, expected: tuple[int, int]) -> None:
    assert quantized_multiplier(real) == expected


@pytest.mark.parametrize("real", [0.0, -1.0, float("inf"), float("nan"), 2.0**31])
def test_no_multiplier(real: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        quantized_multiplier(real)
