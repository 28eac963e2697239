"""What a .keras file says of its layers, read without Keras."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN")


def recurrent_layers(path: Path) -> tuple[str, ...]:
    """The names of the model's recurrent layers."""
    return tuple(
        layer["config"]["name"] for layer in _model(path)["config"]["layers"] if layer["class_name"] in RECURRENT
    )


def layer_inputs(path: Path) -> dict[str, tuple[str, ...]]:
    """Each layer of a sequential or functional model, in its order -> the layers that it is computed from."""
    model = _model(path)
    layers = model["config"]["layers"]
    names = [layer["config"]["name"] for layer in layers]
    if model["class_name"] == "Sequential":
        return {name: tuple(names[max(0, i - 1) : i]) for i, name in enumerate(names)}
    return {name: tuple(_sources(layer["inbound_nodes"])) for name, layer in zip(names, layers, strict=True)}


def _model(path: Path) -> Any:
    """The model's architecture as its file says it."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


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
