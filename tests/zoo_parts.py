"""What the models of the zoo are put together from; see :mod:`tests.zoo`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.zoo import CLASSES, SIDE, Specimen

COLOR, GRAY = (SIDE, SIDE, 3), (SIDE, SIDE, 1)


def chain(*names: Any, shape: tuple[int | None, ...] = COLOR, head: bool = True, units: int = CLASSES) -> Any:
    """A Sequential builder: each of `names` is a function from keras.layers to a layer; `head` pools and classifies."""

    def build(keras: Any) -> Any:
        layers = keras.layers
        parts = [part(layers) for part in names]
        end = [layers.GlobalAveragePooling2D(name="pool"), layers.Dense(units, name="scores")] if head else []
        return keras.Sequential([keras.Input(shape), *parts, *end], name="specimen")

    return build


def graph(body: Any, *, shape: tuple[int | None, ...] = COLOR, head: bool = True, dtype: str | None = None) -> Any:
    """A functional builder: `body(keras, x)` is what lies between the image and the head."""

    def build(keras: Any) -> Any:
        layers = keras.layers
        image = keras.Input(shape, name="picture")
        before = keras.config.dtype_policy()
        if dtype:
            keras.config.set_dtype_policy(dtype)
        try:
            x = body(keras, image)
            if head:
                x = layers.GlobalAveragePooling2D(name="pool")(x) if len(x.shape) == 4 else layers.Flatten()(x)
                x = layers.Dense(CLASSES, name="scores")(x)
        finally:
            keras.config.set_dtype_policy(before)
        return keras.Model(image, x, name="specimen")

    return build


def conv(filters: int = 8, size: int = 3, **more: Any) -> Any:
    return lambda layers: layers.Conv2D(filters, size, **({"activation": "relu", "padding": "same"} | more))


def dense(units: int = CLASSES, **more: Any) -> Any:
    return lambda layers: layers.Dense(units, **more)


def flatten(layers: Any) -> Any:
    return layers.Flatten()


def activation(name: str) -> Any:
    return chain(conv(activation=None), lambda layers: layers.Activation(name, name="unusual"), conv())


def layer(make: Any) -> Any:
    """A convolution, then the layer, then another."""
    return chain(conv(), make, conv())


def rows(make: Any) -> Any:
    """The image as a sequence of rows, and a layer over it."""
    return chain(
        conv(4), lambda layers: layers.Reshape((SIDE, SIDE * 4)), make, flatten, dense(name="scores"), head=False
    )


def adapted(keras: Any, scale: float) -> Any:
    norm = keras.layers.Normalization(name="statistics")
    norm.adapt(np.random.default_rng(1).uniform(0, scale, (20, *COLOR)).astype(np.float32))
    return norm


def raw(*names: Any, head: bool = True, shape: tuple[int | None, ...] = COLOR, **more: Any) -> Specimen:
    """A model that takes pixels of 0 to 255 as they are; its first weights are as small as training makes them."""
    build = chain(*names, head=head, shape=shape)

    def small(keras: Any) -> Any:
        model = build(keras)
        first = next(layer for layer in model.layers if layer.weights)
        first.set_weights([value / 255 if value.ndim > 1 else value for value in first.get_weights()])
        return model

    return Specimen(small, input_range="0..255", **more)


def application(name: str, **more: Any) -> Specimen:
    """A model of keras.applications with drawn weights, for images of 64 x 64."""

    def build(keras: Any) -> Any:
        make = getattr(keras.applications, name)
        return make(weights=None, input_shape=(64, 64, 3), classes=CLASSES, classifier_activation=None)

    return Specimen(build, **more)
