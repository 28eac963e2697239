"""Somebody else's Keras classifier: read without running any code of its, checked, and rebuilt as one flat graph.

What is rebuilt takes float32 `image` in [0, 1], as our own models do. Its layers are copies of the original's under
their own names, those of nested models too; what does nothing when a model answers (dropout, augmentation) is left
out.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from edgecnn.arrays import MAX_PIXELS, MAX_SIDE, fits
from edgecnn.errors import InputError
from edgecnn.export.saved_model import copy_weights
from edgecnn.model_files import keras_archive
from edgecnn.model_files.keras_archive import HDF5
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import MODEL
from edgecnn.tensorflow_setup import configure_tensorflow, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE, SCALING = "image", "input_scaling"
IDLE = (
    "ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout", "GaussianDropout", "GaussianNoise",
    "MixUp", "RandAugment", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
)  # fmt: skip
RESIZES = "RandomCrop"  # at other times than training it does not stand idle, as the other random layers do
OPERATIONS = " (operations, as in `x * 2`, survive in a .keras file only)"
RESHAPING = ("Flatten", "Reshape")
SIGMOIDS = ("sigmoid", "Sigmoid", "hard_sigmoid", "HardSigmoid")  # activations, and operations as in `keras.ops`
SCOPE = re.compile(r"[A-Za-z0-9_.\\/>-]+")  # names that TensorFlow admits
MODELS = ("Functional", "Model", "Sequential")


def read(path: Path) -> Any:
    """The Keras model in a `.keras` or `.h5` file, in safe mode.

    Raises InputError for what is no such file, and for one with Lambda layers or classes that are not Keras' own.
    """
    if str(path) in pretrained_runs() or (path / MODEL).is_file():
        raise InputError(f"{path} is a run already; `edgecnn run NEW --model {path}` makes another of its model.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; a SavedModel cannot be read back, give the .keras or .h5 file.")
    if not path.is_file():
        raise InputError(f"There is no model {path}; check the path.")
    if path.suffix not in (".keras", *HDF5):
        raise InputError(f"{path} is not a .keras or .h5 file; save the model with model.save('NAME.keras').")
    configure_tensorflow()
    for config, is_layer in _objects(keras_archive.read(path)[0]):
        _check_class(config, is_layer, path)
    with quiet():
        return keras_archive.load(path, OPERATIONS if path.suffix in HDF5 else "")


def _objects(config: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every serialized object in a configuration, and whether it is a layer or the model itself."""
    pending = [(config, True)]
    while pending:
        part, is_layer = pending.pop()
        if isinstance(part, list):
            pending += [(item, is_layer) for item in part]
        elif isinstance(part, dict):
            if "class_name" in part and "config" in part:
                yield part, is_layer
            pending += [(value, name in ("layer", "layers")) for name, value in part.items()]


def _check_class(config: dict[str, Any], is_layer: bool, path: Path) -> None:
    """Raises InputError for a Lambda layer and for any class that does not come with Keras."""
    import keras

    kind, inside = str(config["class_name"]), config["config"]
    name = config.get("name") or (inside.get("name") if isinstance(inside, dict) else None)
    if kind in ("Lambda", "__lambda__"):
        raise InputError(
            f"{path} has the Lambda layer '{name or kind}', which carries code that is not run; rebuild the model "
            "with layers of Keras in its place."
        )
    package = str(config.get("registered_name") or kind).rpartition(">")[0]
    module = str(config["module"] or "") if "module" in config else None
    if module is None:
        known = not is_layer or kind in MODELS or hasattr(keras.layers, kind)
    else:
        known = not is_layer or module.split(".")[0] == "keras"
    if package or not known:
        where = f"layer '{name}'" if name else "model"
        raise InputError(
            f"{path}: the {where} is of the class {kind}, which is not one of Keras' own; rebuild the model with "
            f"layers of Keras{OPERATIONS if path.suffix in HDF5 else ''}."
        )


def check(model: Any, path: Path) -> tuple[tuple[int, int, int], int]:
    """Height, width and channels of the input, and the number of classes; raises InputError unless one image goes in
    and a score for each class comes out. A single sigmoid is that of the second of two classes."""
    import keras

    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not isinstance(model, keras.Model) or not inputs or not outputs:
        raise InputError(
            f"{path} has no fixed input shape; build the model with keras.Input((height, width, channels))."
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; a classifier of images has one of each."
        )
    for what in ("input", "output"):
        part = getattr(model, f"_{what}s_struct", None)
        if isinstance(part, dict):
            raise InputError(
                f"{path} has its {what} in a dict, under '{next(iter(part))}'; build it again as "
                "keras.Model(image, outputs), with the tensors themselves."
            )
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.layers.InputLayer) and layer is not model and not SCOPE.fullmatch(layer.name):
            raise InputError(
                f"{path}: TensorFlow does not run a layer of the name '{layer.name}'; give it one of plain letters, "
                "digits, dots, dashes and underscores."
            )
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(f"{path}: the layer '{layer.name}' wants channels first; rebuild it with channels last.")
        if getattr(layer, "quantization_mode", None):
            raise InputError(f"{path}: the layer '{layer.name}' is quantized already; give the model in float32.")
    match tuple(inputs[0].shape), tuple(outputs[0].shape):
        case (_, None, _, _) | (_, _, None, _), _:
            raise InputError(f"{path} takes images of any size; fix height and width, as devices need them.")
        case (_, int(height), int(width), (1 | 3) as channels), (_, int(classes)):
            if not fits(height, width):
                raise InputError(
                    f"{path} takes images of {height} x {width}; they can have up to {MAX_PIXELS:,} pixels, and sides "
                    f"of {MAX_SIDE:,}."
                )
        case (_, int(), int(), (1 | 3)), shape:
            raise InputError(f"{path} gives {list(shape)}; a classifier gives [N, classes].")
        case shape, _:
            raise InputError(f"{path} takes {list(shape)}; a classifier of images takes [N, height, width, 1 or 3].")
    if classes < 2 and not ends_in_sigmoid(model):
        raise InputError(
            f"{path} has one output without a sigmoid, as of a regression; a classifier gives a score for each class, "
            "or one behind a sigmoid."
        )
    return (height, width, channels), max(2, classes)


def ends_in_sigmoid(model: Any) -> bool:
    """Whether what a model gives comes from a sigmoid, so that every output is a score of its own."""
    import keras

    operation = model.outputs[0]._keras_history.operation
    while True:
        kind = type(operation).__name__
        if isinstance(operation, keras.Model):
            operation = operation.outputs[0]._keras_history.operation
        elif kind in IDLE or kind in RESHAPING or _activation(operation) == "linear":
            operation = operation._inbound_nodes[0].input_tensors[0]._keras_history.operation
        else:
            return kind in SIGMOIDS or _activation(operation) in SIGMOIDS


def _activation(operation: Any) -> str:
    """The name of a layer's activation; "" for none, and for `linear` in other layers than Activation."""
    name = getattr(getattr(operation, "activation", None), "__name__", "")
    return "" if name == "linear" and type(operation).__name__ != "Activation" else name


def flat(model: Any, shape: tuple[int, int, int], scale: list[float], offset: list[float]) -> Any:
    """The model as one graph without nested models: float32 [N, *shape] `image` in [0, 1], times scale plus offset
    (a number, or one a channel), then copies of all its layers."""
    import keras

    copier = _Copier()
    image = x = keras.Input(shape, name=IMAGE)
    if set(scale) != {1.0} or set(offset) != {0.0}:
        single = len(scale) == 1
        x = keras.layers.Rescaling(scale[0] if single else scale, offset[0] if single else offset, name=SCALING)(x)
    outputs = copier.model(model, x)
    if outputs.shape[-1] == 1:
        outputs = copier.two_classes(outputs)
    return keras.Model(image, outputs, name=model.name)


class _Copier:
    """Copies layers, each under a name of its own."""

    def __init__(self) -> None:
        self._names = {IMAGE, SCALING}

    def model(self, model: Any, x: Any, within: str = "") -> Any:
        """Copies of all of a model's layers, called as the model calls them; `within` names a nested one."""
        import keras

        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                x = self._call(layer, within, x)
            return x
        outputs = model._run_through_graph(x, operation_fn=lambda layer: partial(self._call, layer, within))
        return outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs

    def two_classes(self, p: Any) -> Any:
        """[N, 1], the probability of the second of two classes, as those of both: [N, 2]."""
        import keras

        other = keras.layers.Rescaling(-1.0, 1.0, name=self._name("first_class", ""))(p)
        return keras.layers.Concatenate(name=self._name("two_classes", ""))([other, p])

    def _call(self, layer: Any, within: str, *arguments: Any, **options: Any) -> Any:
        import keras

        options = {name: value for name, value in options.items() if value is not None}
        options.pop("training", None)  # a model that answers overrules what its layers were called with
        if isinstance(layer, keras.Model):
            return self.model(layer, arguments[0] if arguments else options["inputs"], within=layer.name)
        kind = type(layer).__name__
        if kind in IDLE or (kind.startswith("Random") and kind != RESIZES):
            return arguments[0]
        config = layer.get_config()
        is_layer = isinstance(layer, keras.Layer)
        if is_layer or "name" in config:
            config["name"] = self._name(layer.name, within)
        if is_layer:
            config["dtype"] = "float32"
        copy = type(layer).from_config(config)
        outputs = copy(*arguments, **options)
        if is_layer and layer.weights:
            copy_weights(layer, copy)
        return outputs

    def _name(self, name: str, within: str) -> str:
        """The layer's own name where it is free, then one with the nested model's name before it, then a number."""
        free, number = name, 0
        if free in self._names and within:
            free = name = f"{within}_{name}"
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free
