"""The contract inside an exported file, compared with the run's: an app that relies on it must not be misled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.model_files.inspector import head_of, inspector_of
from edgecnn.records import Contract, decode

if TYPE_CHECKING:
    from pathlib import Path

SAME = {
    "labels": "its labels are others, or in another order",
    "color_space": "it wants another color space",
    "layout": "it wants another layout",
    "value_range": "it wants pixels of another range",
    "resize": "it wants images resized by another rule",
    "output_meaning": "it gives its output another meaning",
}


def differences(path: Path, contract: Contract) -> tuple[str, ...]:
    """In what the contract inside a file differs from the run's, in words; nothing for a kind that carries none."""
    inspector = inspector_of(path, head_of(path))
    if inspector is None:
        return (f"no reader here knows whether a {path.suffix or 'nameless'} file carries the contract",)
    if not inspector.carries_contract:
        return ()
    try:
        _, content = inspector.read(path)
        if content is None:
            return ("it carries no contract",)
        inside = decode(content, Contract, f"The contract inside {path}")
    except InputError as error:
        return (error.reason,)
    found = [words for name, words in SAME.items() if getattr(inside, name) != getattr(contract, name)]
    if inside.model_sha256 != contract.model_sha256:
        found.insert(0, "it was made from another model")
    if (inside.input.name, inside.input.dtype, inside.input.shape[1:]) != (
        contract.input.name,
        contract.input.dtype,
        contract.input.shape[1:],
    ):
        found.append("it describes another input")
    return tuple(found)
