"""The CIFAR-10 CNN of the TensorFlow tutorial: three convolutions, two poolings, two dense layers."""

from __future__ import annotations

from edgecnn.training.architecture import Architecture
from edgecnn.training.recipes import Recipe

TUNED = Recipe(
    name="tuned",
    summary="AdamW along a cosine, flips and 2-pixel shifts, taught by a ResNet-8 where one is given",
    epochs=60,
    batch_size=128,
    optimizer="adamw",
    learning_rate=0.004,
    weight_decay=0.01,
    lr_schedule=True,
    warmup_epochs=1,
    random_flip=True,
    random_shift=2,
    distillation_alpha=0.9,
    distillation_temperature=2.0,
)


def build(shape: tuple[int, int, int], classes: int) -> object:
    """The Keras model: float32 [N, *shape] in [0, 1] to logits [N, classes]; 122,570 parameters at 32x32x3, 10.

    Source: the TensorFlow tutorial "Convolutional Neural Network (CNN)". Layers are named explicitly, since
    Keras' automatic names depend on what else the process has built.
    """
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape, name="image"),
            layers.Conv2D(32, 3, activation="relu", name="conv2d"),
            layers.MaxPooling2D(2, name="max_pooling2d"),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(2, name="max_pooling2d_1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(classes, name="dense_1"),
        ],
        name="cnn",
    )


PLUGIN = Architecture(
    name="cnn",
    summary="the TensorFlow tutorial's CNN, 122,570 parameters",
    image_shape=(32, 32, 3),
    build=build,
    recipes=(TUNED,),
)
