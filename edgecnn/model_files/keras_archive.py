"""Keras' own files, looked at before Keras is, and loaded without running any code of theirs.

A file may declare far more than it holds: archives that unpack to a thousand times their size, weights that are not
there. What it declares is added up before a byte of it is unpacked or allocated.
"""

from __future__ import annotations

import json
import math
import zipfile
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, reason_of
from edgecnn.files import check_unpacked, most_unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HDF5 = (".h5", ".hdf5")
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_CONFIG_BYTES, MOST_LAYERS = 1 << 25, 2_000  # Keras takes milliseconds a layer
FREE_VALUES = 1 << 20  # of weights that a model may have beyond what its file holds, as counters and states of dropout
RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN")


def load(path: Path, hint: str = "", **settings: Any) -> Any:
    """The Keras model in a `.keras` or `.h5` file, in safe mode, without what it was compiled with unless `settings`,
    Keras' own, say so; `hint` goes into the sentence where Keras refuses it.

    Raises InputError for what is no such file, or declares more than it holds.
    """
    import keras

    _, weights = read(path)
    try:
        with _no_more_values_than(weights + FREE_VALUES):
            return keras.saving.load_model(path, **{"compile": False, **settings}, safe_mode=True)
    except InputError:
        raise
    except Exception as error:  # Keras raises whatever its parts raise
        raise InputError(f"{path} cannot be loaded by Keras{hint}: {reason_of(error)}.") from None


def read(path: Path) -> tuple[Any, int]:
    """The model's architecture as its file says it, and the bytes of its weights; raises InputError for a file that
    is damaged, or is not what it declares."""
    import h5py

    try:
        if path.suffix in HDF5:
            with h5py.File(path) as archive:
                text = archive.attrs.get("model_config")
                weights = _declared(archive, most_unpacked(path))
            if text is None:
                raise InputError(f"{path} holds weights without a model; save it with model.save('NAME.keras').")
        else:
            with zipfile.ZipFile(path) as parts:
                check_unpacked(path, parts)
                if parts.getinfo(CONFIG).file_size > MOST_CONFIG_BYTES:
                    raise ValueError(f"{CONFIG} unpacks to more than {MOST_CONFIG_BYTES:,} bytes")
                text = parts.read(CONFIG)
                weights = 0
                if WEIGHTS in parts.namelist():
                    with h5py.File(BytesIO(parts.read(WEIGHTS))) as archive:
                        weights = _declared(archive, most_unpacked(path))
        config = json.loads(text)
        if (count := sum(len(layers) for layers in _lists_of_layers(config))) > MOST_LAYERS:
            raise ValueError(f"it has {count:,} layers; up to {MOST_LAYERS:,} are taken")
        return config, weights
    except InputError:
        raise
    except Exception as error:  # zip, HDF5 and JSON each fail in their own ways
        raise InputError(
            f"{path} is damaged or not a Keras model ({reason_of(error)}); copy or save it again."
        ) from None


def _declared(archive: Any, most: int) -> int:
    """The bytes of all data sets once they are read; raises ValueError for more than `most`, and for what lies in other
    files."""
    import h5py

    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise ValueError(f"{name} lies in another file")
            total += item.nbytes
        elif any(not isinstance(item.get(key, getlink=True), h5py.HardLink) for key in item):
            raise ValueError(f"{name} leads elsewhere")

    add("/", archive)
    archive.visititems(add)
    if total > most:
        raise ValueError(f"its weights would take {total:,} bytes, and {most:,} are taken from a file of its size")
    return total


def _lists_of_layers(config: Any) -> Iterator[list[Any]]:
    pending = [config]
    while pending:
        part = pending.pop()
        pending += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        if isinstance(part, dict) and isinstance(part.get("layers"), list):
            yield part["layers"]


@contextmanager
def _no_more_values_than(most: int) -> Iterator[None]:
    """Raise InputError before layers are given more values for weights, added up: Keras makes them as large as the
    configuration says, and looks only then whether the file has so many."""
    import keras

    total, original = 0, keras.layers.Layer.add_weight

    def counted(layer: Any, shape: Any = None, *others: Any, **settings: Any) -> Any:
        nonlocal total
        total += math.prod([shape] if isinstance(shape, int) else shape or ())
        if total > most:
            raise InputError(f"The layer '{layer.name}' would have more weights than the file holds.")
        return original(layer, shape, *others, **settings)

    keras.layers.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def recurrent_layers(path: Path) -> tuple[str, ...]:
    """The names of the model's recurrent layers."""
    return tuple(
        layer["config"]["name"] for layer in read(path)[0]["config"]["layers"] if layer["class_name"] in RECURRENT
    )


def layer_inputs(path: Path) -> dict[str, tuple[str, ...]]:
    """Each layer of a sequential or functional model, in its order -> the layers that it is computed from."""
    model, _ = read(path)
    layers = model["config"]["layers"]
    names = [layer["config"]["name"] for layer in layers]
    if model["class_name"] == "Sequential":
        return {name: tuple(names[max(0, i - 1) : i]) for i, name in enumerate(names)}
    return {name: tuple(_sources(layer["inbound_nodes"])) for name, layer in zip(names, layers, strict=True)}


def _sources(node: Any) -> Iterator[str]:
    """The layers whose outputs stand anywhere among a call's arguments."""
    if isinstance(node, dict):
        if "keras_history" in node:
            yield node["keras_history"][0]
        for value in node.values():
            yield from _sources(value)
    elif isinstance(node, list):
        for value in node:
            yield from _sources(value)
