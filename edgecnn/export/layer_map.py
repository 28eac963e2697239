"""Which tensor of an exported file holds each Keras layer's output.

Found by value on a few images, since names do not tell: the converters call layer `conv2d` "conv2d_1" and layer
`conv2d_1` "conv2d_1_2". What a file computes between two such tensors belongs to the later one's layer, and a layer
without a tensor of its own was fused_into by the next that has one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from edgecnn.errors import InputError
from edgecnn.export.format import cached
from edgecnn.model_files.activations import activations, images_per_batch
from edgecnn.records import LayerTensor

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from edgecnn.arrays import Floats, Pixels
    from edgecnn.export.format import ExportSource


PROBE_IMAGES = 3
TOLERANCE = 1e-3  # of the largest value; float rounding in deep models stays far below, other tensors far above
NCHW_TO_NHWC = (0, 2, 3, 1)

T = TypeVar("T", bound="Hashable")


def probe(source: ExportSource) -> Pixels:
    """The images layers are told apart by: uint8 [PROBE_IMAGES, H, W, C], fewer where all layers hold much."""
    model: Any = source.model
    return source.calibration_images[: images_per_batch(activations(model.get_config()).total_bytes, PROBE_IMAGES)]


@cached
def layer_outputs(source: ExportSource) -> dict[str, Floats]:
    """What each Keras layer, the input layer too, gives for the probe images, in the model's order.

    A shape without a batch, as of a layer that no converter keeps, is not among them.
    """
    import keras
    import numpy as np

    model: Any = source.model
    layers = {layer.name: layer.output for layer in (model.inputs[0]._keras_history.operation, *model.layers)}
    single = {name: output for name, output in layers.items() if hasattr(output, "shape")}
    values = keras.Model(model.inputs, single)([probe(source).astype(np.float32) / np.float32(255)], training=False)
    return {name: np.asarray(value) for name, value in values.items()}


def input_layer(source: ExportSource) -> str:
    """The name of the model's input layer."""
    model: Any = source.model
    name: str = model.inputs[0]._keras_history.operation.name
    return name


def match(source: ExportSource, tensors: Mapping[str, Floats]) -> dict[str, LayerTensor]:
    """The tensor of each layer whose output is among `tensors`, float32 values for the probe images in graph order.

    Raises InputError when no layer at all is found: then the conversion went wrong.
    """
    found = {}
    for layer, wanted in layer_outputs(source).items():
        tensor = _find(wanted, tensors)
        if tensor is not None:
            found[layer] = tensor
    if not found.keys() - {input_layer(source)}:
        raise InputError("No tensor of the exported file holds any Keras layer's output: the conversion went wrong.")
    return found


def _find(wanted: Floats, tensors: Mapping[str, Floats]) -> LayerTensor | None:
    """The first tensor equal to `wanted` up to float rounding, as it is or with its channels first."""
    import numpy as np

    tolerance = TOLERANCE * max(float(np.abs(wanted).max()), 1e-6)
    for name, value in tensors.items():
        for layout in ("NHWC", "NCHW") if wanted.ndim == 4 else ("N",):
            candidate = value.transpose(NCHW_TO_NHWC) if layout == "NCHW" and value.ndim == 4 else value
            if candidate.shape == wanted.shape and np.abs(candidate - wanted).max() <= tolerance:
                return LayerTensor(tensor=name, layout=layout)
    return None


def owners(nodes: Sequence[tuple[Sequence[T], Sequence[T]]], layer_of: Mapping[T, str]) -> list[str]:
    """The layer each node (inputs, outputs; in graph order) works for: that of the nearest layer's tensor after it.

    `layer_of` names the layers' tensors; a node that leads to none of them works for the last layer before it.
    """
    owner: dict[T, str] = {}
    found = [""] * len(nodes)
    for i in reversed(range(len(nodes))):
        inputs, outputs = nodes[i]
        own = next((layer_of[t] for t in outputs if t in layer_of), None)
        found[i] = own or next((owner[t] for t in outputs if t in owner), "")
        owner.update({t: found[i] for t in inputs if found[i] and t not in layer_of})
    last = next(iter(layer_of.values()))
    for i, (_, outputs) in enumerate(nodes):
        last = next((layer_of[t] for t in outputs if t in layer_of), last)
        found[i] = found[i] or last
    return found


def fused_into(source: ExportSource, found: Iterable[str]) -> dict[str, str]:
    """Each layer without a tensor of its own -> the next layer after it that has one, or else the last before it."""
    model: Any = source.model
    have = set(found)
    into: dict[str, str] = {}
    last = ""
    for layer in model.layers:
        if layer.name == input_layer(source):
            continue
        if layer.name in have:
            last = layer.name
        else:
            into[layer.name] = _next(layer, have) or last
    return {layer: other for layer, other in into.items() if other}


def _next(layer: Any, have: set[str]) -> str:
    """The nearest layer downstream that is among `have`, "" for none."""
    pending, seen = [layer], set()
    while pending:
        for node in pending.pop(0)._outbound_nodes:
            after = node.operation
            if after.name in have:
                name: str = after.name
                return name
            if after.name not in seen:
                seen.add(after.name)
                pending.append(after)
    return ""


def carriers(source: ExportSource, found: Iterable[str]) -> dict[str, str]:
    """Layer with a tensor -> the layer whose weights make it: itself, or one that is fused into it."""
    model: Any = source.model
    into = fused_into(source, found)
    weighted = [layer.name for layer in model.layers if any(len(weight.shape) > 1 for weight in layer.weights)]
    absorbing = {into[layer]: layer for layer in reversed(weighted) if layer in into}
    return {owner: owner if owner in weighted else absorbing.get(owner, owner) for owner in found}


def no_counterpart(source: ExportSource, scope: str, operator: str, form: str) -> InputError:
    """The sentence for a TensorFlow operator, by its name in the graph, that a form of file has no counterpart of."""
    model: Any = source.model
    names = {operation.name for operation in model.operations}
    parts = [name for part in scope.split("/") for name in (re.sub(r"_\d+$", "", part), part)]  # numbered there
    layer = next((name for name in parts if name in names), "")
    who = f"The layer '{layer}'" if layer else "An operation of the model"
    return InputError(
        f"{who} needs TensorFlow's operator {operator}, which {form} has no counterpart of; build the model without it."
    )


class Names:
    """Hands out names, each once: the second "a" is "a_1"."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def give(self, name: str) -> str:
        """`name` itself, or with the first number that makes it new."""
        free, number = name, 0
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free
