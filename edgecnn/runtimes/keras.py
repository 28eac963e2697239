"""Keras itself, the reference every export is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.conversion import configure_tensorflow
from edgecnn.plugins import Runtime
from edgecnn.records import Placement

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import Pixels, Session

OUTPUT = "output"  # the model's only one, whose name is the contract's affair


class KerasSession:
    """A `.keras` model that takes float32 in [0, 1]; the pixels are scaled as training scales them."""

    def __init__(self, path: Path, threads: int) -> None:
        configure_tensorflow(threads)
        import keras
        import tensorflow as tf

        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)]
        self._function: Any = tf.function(
            lambda image: model(tf.cast(image, tf.float32) / 255.0, training=False), input_signature=signature
        )
        self.placement = Placement(device="cpu", compute_nodes={"TensorFlow": _compute_layers(model)}, other_nodes={})

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {OUTPUT: float32 [N, classes]}."""
        return {OUTPUT: self._function(pixels).numpy()}


def _compute_layers(model: Any) -> int:
    return sum(1 for layer in model.layers if any(word in type(layer).__name__ for word in ("Conv", "Dense", "Pool")))


def load(path: Path, threads: int) -> Session:
    """A ready session; threads is TensorFlow's intra-op setting."""
    return KerasSession(path, threads)


PLUGIN = Runtime(
    name="keras",
    summary="Keras on TensorFlow, the reference",
    file_kinds=("keras",),
    packages=("tensorflow", "keras"),
    load=load,
)
