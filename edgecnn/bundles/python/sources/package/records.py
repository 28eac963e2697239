"""What the model's file says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Input:
    """The model's input: uint8 [N, height, width, channels]."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Contract:
    """What an app has to know of the model."""

    model: str
    input: Input
    resize: str  # the name of the rule
    output_meaning: str  # "logits", "probabilities", or "scores": in [0, 1], each of its own label
    labels: tuple[str, ...]


def read_contract(path: Path) -> Contract:
    """The contract in a JSON file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    given = Input(found["input"]["name"], tuple(found["input"]["shape"]))
    return Contract(found["model"], given, found["resize"], found["output_meaning"], tuple(found["labels"]))
