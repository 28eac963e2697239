"""What int8 has to hold of a layer: where one scale stands for values of very different size, the small ones are lost.

An output has one scale, so channels of different range share it; weights have one an output channel, so those of
different input channels share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.export.layer_map import layer_outputs
from edgecnn.records import LayerSpread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgecnn.arrays import Floats
    from edgecnn.export.format import ExportSource


SMALL = 0.1  # the quantile of channels that stands for the small ones
FUSED = (
    "Activation",
    "BatchNormalization",
    "LeakyReLU",
    "ReLU",
)  # with the layer before: what is quantized follows them


def spreads(source: ExportSource, layers: Iterable[str]) -> dict[str, LayerSpread]:
    """Of these layers with weights, as their activation leaves them, over the images layers are told apart by."""
    model: Any = source.model
    outputs = layer_outputs(source)
    known = {layer.name: layer for layer in model.layers}
    return {
        name: _spread(known[name], outputs[end])
        for name in layers
        if name in known and (end := _last_fused(known[name])) in outputs
    }


def _last_fused(layer: Any) -> str:
    """The layer whose output is what runtimes make of a layer at once."""
    while True:
        after = [node.operation for node in layer._outbound_nodes]
        if len(after) != 1 or type(after[0]).__name__ not in FUSED:
            name: str = layer.name
            return name
        layer = after[0]


def _spread(layer: Any, output: Floats) -> LayerSpread:
    import numpy as np

    channels = np.abs(output).reshape(-1, output.shape[-1]).max(axis=0)
    ratios = [1.0]
    for kernel in layer.weights:
        if len(kernel.shape) > 1 and "depthwise" not in kernel.name and "Depthwise" not in type(layer).__name__:
            values = np.abs(np.asarray(kernel))
            sides = values.reshape(-1, *values.shape[-2:]).max(axis=0)  # [in, out]
            ratios.append(float(np.median([_ratio(column) for column in sides.T])))
    return LayerSpread(
        low=float(output.min()), high=float(output.max()), channel_ratio=_ratio(channels), weight_ratio=max(ratios)
    )


def _ratio(sizes: Floats) -> float:
    """The largest to the small ones; what is zero needs no precision."""
    import numpy as np

    sizes = sizes[sizes > 0]
    return float(sizes.max() / np.quantile(sizes, SMALL)) if len(sizes) else 1.0
