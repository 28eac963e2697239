"""The residual network of MLPerf Tiny's image classification: three stacks of two convolutions each."""

from __future__ import annotations

from typing import Any

from edgecnn.training.architecture import Architecture
from edgecnn.training.recipes import Recipe

FILTERS = (16, 32, 64)  # one a stack
DECAY = 1e-4
TUNED = Recipe(
    name="tuned",
    summary="SGD along a cosine, flips and 4-pixel shifts",
    epochs=100,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    lr_schedule=True,
    warmup_epochs=1,
    random_flip=True,
    random_shift=4,
)


def build(shape: tuple[int, int, int], classes: int) -> object:
    """The Keras model: float32 [N, *shape] in [0, 1] to logits [N, classes]; 78,666 parameters at 32x32x3, 10.

    Source: MLPerf Tiny's reference `resnet_v1_eembc`, without its softmax. Layers are named explicitly, since
    Keras' automatic names depend on what else the process has built.
    """
    import keras

    named = _Named(keras.layers)
    image = keras.Input(shape, name="image")
    x = named.activation(_convolution(named, image, FILTERS[0], 3, 1))
    for stack, filters in enumerate(FILTERS):
        strides = 2 if stack else 1
        y = named.activation(_convolution(named, x, filters, 3, strides))
        y = _convolution(named, y, filters, 3, 1)
        if stack:  # the shortcut has to shrink as the stack does
            x = named("Conv2D", "conv2d", filters, 1, strides=strides, **_like())(x)
        x = named.activation(named("Add", "add")([x, y]))
    x = named("AveragePooling2D", "average_pooling2d", tuple(x.shape[1:3]))(x)
    x = named("Flatten", "flatten")(x)
    logits = named("Dense", "dense", classes, kernel_initializer="he_normal")(x)
    return keras.Model(image, logits, name="resnet8")


class _Named:
    """Makes layers under Keras' standard names: conv2d, conv2d_1, ..."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._made: dict[str, int] = {}

    def __call__(self, kind: str, name: str, *arguments: Any, **options: Any) -> Any:
        number = self._made.get(name, 0)
        self._made[name] = number + 1
        return getattr(self._layers, kind)(*arguments, name=f"{name}_{number}" if number else name, **options)

    def activation(self, x: Any) -> Any:
        return self("Activation", "activation", "relu")(x)


def _convolution(named: _Named, x: Any, filters: int, size: int, strides: int) -> Any:
    x = named("Conv2D", "conv2d", filters, size, strides=strides, **_like())(x)
    return named("BatchNormalization", "batch_normalization")(x)


def _like() -> dict[str, Any]:
    """What all convolutions share."""
    import keras

    return {
        "padding": "same",
        "kernel_initializer": "he_normal",
        "kernel_regularizer": keras.regularizers.L2(DECAY),
    }


PLUGIN = Architecture(
    name="resnet8",
    summary="MLPerf Tiny's ResNet-8, 78,666 parameters",
    image_shape=(32, 32, 3),
    build=build,
    recipes=(TUNED,),
)
