"""Keras itself, the reference that every export is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.model_files import keras_archive
from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.records import Placement
from edgecnn.runtimes.runtime import Runtime
from edgecnn.tensorflow_setup import configure_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session

OUTPUT = "output"  # the model's only one, whose name is the contract's affair


class KerasSession:
    """A `.keras` model that takes float32 in [0, 1]; the pixels are scaled as training scales them."""

    def __init__(self, path: Path, threads: int, extra_outputs: tuple[str, ...]) -> None:
        configure_tensorflow(threads)
        import keras
        import tensorflow as tf

        model = keras_archive.load(path)
        self.placement = Placement(
            device="cpu",
            compute_nodes={"TensorFlow": sum(is_compute_node(type(layer).__name__) for layer in model.layers)},
            other_nodes={},
        )
        self._outputs = [OUTPUT, *extra_outputs]
        if extra_outputs:
            layers = {layer.name: layer.output for layer in model.layers}
            model = keras.Model(model.inputs, [model.outputs[0], *(layers[name] for name in extra_outputs)])
        signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)]
        self._function: Any = tf.function(
            lambda image: model(tf.cast(image, tf.float32) / 255.0, training=False), input_signature=signature
        )

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {OUTPUT: float32 [N, classes]} and what the exposed layers give, by their names."""
        outputs = self._function(pixels)
        values = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}


def load(path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> Session:
    """A ready session; threads is TensorFlow's intra-op setting, and `exposed` names layers."""
    return KerasSession(path, threads, extra_outputs)


PLUGIN = Runtime(
    name="keras",
    title="Keras",
    summary="Keras on TensorFlow, the reference",
    file_kinds=("keras",),
    packages=("tensorflow", "keras"),
    load=load,
    set_up=configure_tensorflow,
    in_process=("cpu",),
)
