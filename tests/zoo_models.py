"""The models of the zoo; see :mod:`tests.zoo`."""

from __future__ import annotations

from typing import Any

from edgecnn.export.format import default_formats
from tests.zoo import CLASSES, IMPORT, SIDE, Specimen
from tests.zoo_parts import (
    COLOR,
    GRAY,
    activation,
    adapted,
    application,
    chain,
    conv,
    dense,
    flatten,
    graph,
    layer,
    raw,
    rows,
)  # fmt: skip

CONVERTED = [name for name in default_formats() if name != "saved_model"]
TFLITE = [name for name in CONVERTED if name.startswith("tflite")]
LOOP = dict.fromkeys(("tflite_int8", "tflite_int8_micro"), r"'(memory|bidirectional)' .* is a loop \(operator WHILE\)")


def _normalization(scale: float) -> Any:
    return graph(lambda keras, x: conv()(keras.layers)(adapted(keras, scale)(x)))


def _nested_normalization(keras: Any, x: Any) -> Any:
    inner = keras.Sequential([keras.Input(COLOR), adapted(keras, 1.0), conv()(keras.layers)], name="body")
    return inner(x)


def _squeeze_excite(keras: Any, x: Any) -> Any:
    x = conv()(keras.layers)(x)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    return x * keras.layers.Conv2D(8, 1, activation="sigmoid")(gate)


def _residual(keras: Any, x: Any) -> Any:
    first = conv()(keras.layers)(x)
    return keras.layers.Add()([first, conv()(keras.layers)(first)])


def _shared(keras: Any, x: Any) -> Any:
    shared = conv(3)(keras.layers)
    return shared(shared(x))


def _nested(keras: Any, x: Any) -> Any:
    inner = keras.Sequential([keras.Input(COLOR), conv(3)(keras.layers)], name="inner")
    outer = keras.Sequential([keras.Input(COLOR), inner, conv()(keras.layers)], name="outer")
    return outer(x)


def _attention(keras: Any, x: Any) -> Any:
    layers = keras.layers
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(x))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="attention")(x, x)])
    return layers.LayerNormalization()(x)


def _plain_attention(keras: Any, x: Any) -> Any:
    x = keras.layers.Reshape((16, 8))(keras.layers.Conv2D(8, 4, strides=4)(x))
    return keras.layers.Attention()([x, x])


def _operations(keras: Any, x: Any) -> Any:
    ops = keras.ops
    x = conv()(keras.layers)(x)
    return ops.concatenate([x[:, ::2, ::2], ops.maximum(x[:, 1::2, 1::2], 0.1) ** 2 - 1.0], axis=-1)


def _bitwise(keras: Any, x: Any) -> Any:
    ops = keras.ops
    coarse = ops.bitwise_and(ops.cast(x * 255.0, "int32"), ops.convert_to_tensor(0xE0, "int32"))
    return conv()(keras.layers)(ops.cast(coarse, "float32") / 255.0)


def _erfinv(keras: Any, x: Any) -> Any:
    return conv()(keras.layers)(keras.ops.erfinv(x * 0.5))


def _merges(keras: Any, x: Any) -> Any:
    layers = keras.layers
    a, b = conv()(layers)(x), conv()(layers)(x)
    parts = [layers.Multiply()([a, b]), layers.Maximum()([a, b]), layers.Subtract()([a, b]), layers.Average()([a, b])]
    return layers.Concatenate()(parts)


def _dict_input(keras: Any) -> Any:
    image = keras.Input(COLOR, name="picture")
    return keras.Model({"picture": image}, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(image)))


def _two_inputs(keras: Any) -> Any:
    one, two = keras.Input(COLOR), keras.Input(COLOR)
    x = keras.layers.Flatten()(keras.layers.Subtract()([one, two]))
    return keras.Model([one, two], keras.layers.Dense(CLASSES)(x))


def _two_outputs(keras: Any) -> Any:
    image = keras.Input(COLOR)
    x = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, [keras.layers.Dense(CLASSES)(x), keras.layers.Dense(1)(x)])


LAYERS: dict[str, Specimen] = {
    "convolution": Specimen(chain(conv()), quick=True),
    "depthwise": Specimen(layer(lambda ls: ls.DepthwiseConv2D(3, depth_multiplier=2))),
    "separable": Specimen(layer(lambda ls: ls.SeparableConv2D(8, 3))),
    "transposed": Specimen(layer(lambda ls: ls.Conv2DTranspose(8, 3, strides=2))),
    "dilated": Specimen(layer(lambda ls: ls.Conv2D(8, 3, dilation_rate=2))),
    "grouped": Specimen(layer(lambda ls: ls.Conv2D(8, 3, groups=4, name="grouped")), quick=True),
    "convolution 1d": Specimen(rows(lambda ls: ls.Conv1D(8, 3))),
    "convolution 3d": Specimen(
        chain(
            lambda ls: ls.Reshape((SIDE, SIDE, 3, 1)),
            lambda ls: ls.Conv3D(4, 3, padding="same", name="volume"),
            flatten,
            dense(),
            head=False,
        )
    ),
    "dense only": Specimen(chain(flatten, dense(16, activation="relu"), dense(), head=False)),
    "einsum dense": Specimen(rows(lambda ls: ls.EinsumDense("abc,cd->abd", output_shape=(SIDE, 8), bias_axes="d"))),
    "batch norm": Specimen(layer(lambda ls: ls.BatchNormalization())),
    "layer norm": Specimen(layer(lambda ls: ls.LayerNormalization())),
    "group norm": Specimen(layer(lambda ls: ls.GroupNormalization(4))),
    "spectral norm": Specimen(layer(lambda ls: ls.SpectralNormalization(ls.Conv2D(8, 3)))),
    "average pool": Specimen(layer(lambda ls: ls.AveragePooling2D(3, 2, padding="same"))),
    "average over all": Specimen(
        chain(conv(), lambda ls: ls.AveragePooling2D(SIDE), flatten, dense(name="scores"), head=False)
    ),
    "global max": Specimen(chain(conv(), lambda ls: ls.GlobalMaxPooling2D(), dense(), head=False)),
    "adaptive pool": Specimen(layer(lambda ls: ls.AdaptiveAveragePooling2D(4, name="adaptive"))),
    "up bilinear": Specimen(layer(lambda ls: ls.UpSampling2D(2, interpolation="bilinear"))),
    "padding, cropping": Specimen(chain(lambda ls: ls.ZeroPadding2D(2), lambda ls: ls.Cropping2D(1), conv())),
    "resizing": Specimen(layer(lambda ls: ls.Resizing(24, 20))),
    "prelu": Specimen(chain(conv(activation=None), lambda ls: ls.PReLU(shared_axes=[1, 2]), conv())),
    "lstm": Specimen(rows(lambda ls: ls.LSTM(8, return_sequences=True, name="memory")), refused=LOOP),
    "unrolled lstm": Specimen(
        chain(
            conv(2, strides=4), lambda ls: ls.Reshape((4, 8)), lambda ls: ls.LSTM(4, unroll=True), dense(), head=False
        )
    ),
    "bidirectional": Specimen(
        rows(lambda ls: ls.Bidirectional(ls.LSTM(8, return_sequences=True, name="memory"))), refused=LOOP
    ),
    "gru": Specimen(rows(lambda ls: ls.GRU(8, return_sequences=True, name="memory")), refused=LOOP, quick=True),
    "simple rnn": Specimen(rows(lambda ls: ls.SimpleRNN(8, return_sequences=True, name="memory")), refused=LOOP),
    "conv lstm": Specimen(
        chain(lambda ls: ls.Reshape((4, 4, SIDE, 3)), lambda ls: ls.ConvLSTM2D(4, 3, padding="same", name="memory")),
        refused=LOOP,
    ),
    "time distributed": Specimen(rows(lambda ls: ls.TimeDistributed(ls.Dense(8)))),
    "attention": Specimen(graph(_attention)),
    "dot attention": Specimen(graph(_plain_attention)),
}
ACTIVATIONS = {
    f"{name} activation": Specimen(activation(name), quick=name == "gelu")
    for name in (
        "gelu", "relu6", "hard_silu", "mish", "softplus", "leaky_relu",
        "log_softmax",
    )
}  # fmt: skip
TOPOLOGIES = {
    "residual": Specimen(graph(_residual)),
    "shared layer": Specimen(graph(_shared)),
    "nested twice": Specimen(graph(_nested)),
    "squeeze and excite": Specimen(graph(_squeeze_excite)),
    "operations": Specimen(graph(_operations)),
    "merges": Specimen(graph(_merges)),
    "bitwise operation": Specimen(
        graph(_bitwise), refused=dict.fromkeys(TFLITE, "needs TensorFlow's operator BitwiseAnd")
    ),
    "operation without counterpart": Specimen(
        graph(_erfinv), refused=dict.fromkeys(CONVERTED, "'erfinv' needs TensorFlow's operator Erfinv")
    ),
}
INPUTS = {
    "raw": raw(conv(), quick=True),
    "raw, flattened": raw(flatten, dense(16, activation="relu"), dense(), head=False, quick=True),
    "raw, resized": raw(lambda ls: ls.Resizing(12, 12), conv()),
    "raw, augmented, flattened": raw(
        lambda ls: ls.RandomFlip(), lambda ls: ls.RandomRotation(0.1), flatten, dense(8), dense(), head=False
    ),
    "raw, padded": raw(lambda ls: ls.ZeroPadding2D(1), conv(padding="valid")),
    "raw, pooled": raw(dense(), head=True),
    "raw, depthwise": raw(lambda ls: ls.DepthwiseConv2D(3, depth_multiplier=2)),
    "raw, gray": raw(conv(), shape=GRAY),
    "raw, batch norm": Specimen(chain(lambda ls: ls.BatchNormalization(), conv()), input_range="0..255"),
    "raw, rescaled inside": Specimen(chain(lambda ls: ls.Rescaling(1 / 255), conv()), input_range="0..255"),
    "raw, -1..1 inside": Specimen(chain(lambda ls: ls.Rescaling(1 / 127.5, -1), conv()), input_range="0..255"),
    "raw, Normalization": Specimen(_normalization(255.0), input_range="0..255", quick=True),
    "Normalization": Specimen(_normalization(1.0)),
    "nested Normalization": Specimen(graph(_nested_normalization)),
    "range -1..1": Specimen(chain(conv()), input_range="-1..1"),
    "range -1..1, flattened": Specimen(chain(flatten, dense(8), dense(), head=False), input_range="-1..1"),
    "ImageNet mean and std": Specimen(chain(conv()), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "gray": Specimen(chain(conv(), shape=GRAY)),
    "not square": Specimen(chain(conv(), shape=(20, 12, 3))),
}
PRECISIONS = {
    name: Specimen(graph(lambda keras, x: conv()(keras.layers)(x), dtype=name))
    for name in ("mixed_float16", "mixed_bfloat16", "float64")
}
OUTPUTS = {
    "softmax": Specimen(chain(conv(), flatten, dense(activation="softmax"), head=False)),
    "softmax layer": Specimen(chain(conv(), flatten, dense(), lambda ls: ls.Softmax(), head=False)),
    "two classes": Specimen(chain(conv(), units=2)),
    "sigmoid": Specimen(chain(conv(), flatten, dense(activation="sigmoid"), head=False)),
    "one sigmoid": Specimen(chain(conv(), flatten, dense(1, activation="sigmoid"), head=False)),
    "large logits": Specimen(chain(conv(), lambda ls: ls.Rescaling(1000.0))),
}
NAMES = {
    "labels not ASCII": Specimen(chain(conv()), labels=("Käse", "猫", "naïve", "d")),
    "layer name not ASCII": Specimen(
        chain(lambda ls: ls.Conv2D(4, 3, name="schärfe")), refused={IMPORT: "a layer of the name 'schärfe'"}
    ),
    "layer name with a space": Specimen(
        chain(lambda ls: ls.Conv2D(4, 3, name="first layer")), refused={IMPORT: "a layer of the name 'first layer'"}
    ),
    "input in a dict": Specimen(_dict_input, refused={IMPORT: "its input in a dict, under 'picture'"}),
    "a layer called image": Specimen(chain(lambda ls: ls.Conv2D(4, 3, name="image"))),
    "HDF5 file": Specimen(chain(conv(), lambda ls: ls.BatchNormalization()), suffix=".h5"),
}
REFUSED = {
    "Lambda": Specimen(chain(lambda ls: ls.Lambda(lambda x: x, name="mine")), refused={IMPORT: "Lambda layer 'mine'"}),
    "channels first": Specimen(
        graph(lambda keras, x: keras.layers.Conv2D(4, 3, data_format="channels_first", name="cf")(x), shape=(3, 9, 9)),
        refused={IMPORT: "'cf' wants channels first"},
    ),
    "two inputs": Specimen(_two_inputs, refused={IMPORT: "2 inputs and 1 outputs"}),
    "two outputs": Specimen(_two_outputs, refused={IMPORT: "1 inputs and 2 outputs"}),
    "any size": Specimen(chain(conv(), shape=(None, None, 3)), refused={IMPORT: "images of any size"}),
    "four channels": Specimen(chain(conv(), shape=(SIDE, SIDE, 4)), refused={IMPORT: "takes .* 4"}),
    "segmentation": Specimen(chain(lambda ls: ls.Conv2D(4, 1), head=False), refused={IMPORT: "a classifier gives"}),
    "a vector": Specimen(chain(dense(), head=False, shape=(12,)), refused={IMPORT: "a classifier of images takes"}),
}  # fmt: skip
APPLICATIONS: dict[str, Specimen] = {
    "MobileNetV2": application("MobileNetV2", input_range="-1..1"),
    "MobileNetV3Small": application("MobileNetV3Small", input_range="0..255"),
    "EfficientNetB0": application("EfficientNetB0", input_range="0..255"),
    "ResNet50": application("ResNet50", input_range="0..255", mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)),
    "DenseNet121": application("DenseNet121", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "NASNetMobile": application("NASNetMobile", input_range="-1..1"),
}
ZOO: dict[str, Specimen] = LAYERS | ACTIVATIONS | TOPOLOGIES | INPUTS | PRECISIONS | OUTPUTS | NAMES | REFUSED
