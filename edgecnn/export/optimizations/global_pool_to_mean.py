"""A pooling over the whole image as what it is, a mean, before a model is quantized.

Runtimes compute an average pooling in int8 with one scale for what goes in and what comes out. Over a whole feature map
the means are several times smaller than the largest value, so that they get a few steps of the scale only. A mean has
an output scale of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgecnn.export.format import cached
from edgecnn.export.saved_model import copy_weights

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


@cached
def with_means(source: ExportSource) -> ExportSource:
    """The source with such poolings of its model replaced; itself where there are none.

    Layers keep their names and the shapes of what they answer.
    """
    model: Any = source.model
    whole = {layer.name for layer in model.layers if _is_over_all(layer)}
    if not whole:
        return source
    import keras

    def clone(layer: Any) -> Any:
        if layer.name in whole:
            return keras.layers.GlobalAveragePooling2D(data_format=layer.data_format, keepdims=True, name=layer.name)
        return type(layer).from_config(layer.get_config())

    rebuilt = keras.models.clone_model(model, clone_function=clone)
    copy_weights(model, rebuilt)
    return replace(source, model=rebuilt)


def _is_over_all(layer: Any) -> bool:
    import keras

    if not isinstance(layer, keras.layers.AveragePooling2D):
        return False
    shape = layer.input.shape
    sides = shape[1:3] if layer.data_format == "channels_last" else shape[2:4]
    return tuple(layer.pool_size) == tuple(sides) and tuple(layer.output.shape[1:]).count(1) >= 2
