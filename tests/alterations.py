"""Faults that are built into a copy of a bundle, which its self-test has to find."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def replacing(name: str, old: str, new: str) -> Callable[[Path], None]:
    """A change of a text that a file in the folder has once."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert text.count(old) == 1, (name, old)
        (folder / name).write_text(text.replace(old, new))

    return change


def swapping_labels(name: str) -> Callable[[Path], None]:
    """An exchange of two labels in the contract at that place in the folder."""

    def change(folder: Path) -> None:
        contract = json.loads((folder / name).read_text())
        contract["labels"][3:5] = contract["labels"][4:2:-1]
        (folder / name).write_text(json.dumps(contract))

    return change


def change_weight(folder: Path) -> None:
    """Flip a bit in the middle of model.onnx."""
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)
