"""The contract inside an exported file, compared with the run's: an app that relies on it must not be misled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.model_files.inspector import head_of, inspector_of
from edgecnn.records import Contract, decode

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.model_files.inspector import Inspector
    from edgecnn.records import GraphTensor, TensorSpec

SAME = {
    "labels": "its labels are others, or in another order",
    "color_space": "it wants another color space",
    "layout": "it wants another layout",
    "value_range": "it wants pixels of another range",
    "resize": "it wants images resized by another rule",
    "output_meaning": "it gives its output another meaning",
}


def differences(path: Path, contract: Contract) -> tuple[str, ...]:
    """In what the contract inside a file differs from the run's, in words; where its kind carries none, its inputs
    and outputs are compared instead."""
    inspector = inspector_of(path, head_of(path))
    if inspector is None:
        return (f"no reader here knows whether a {path.suffix or 'nameless'} file carries the contract",)
    if not inspector.carries_contract:
        return _signature(path, inspector, contract)
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
    if _facts(inside.input) != _facts(contract.input):
        found.append("it describes another input")
    return tuple(found)


def _signature(path: Path, inspector: Inspector, contract: Contract) -> tuple[str, ...]:
    """In what the inputs and outputs of a file differ from the contract's; that they cannot be read is one, too."""
    try:
        inside, _ = inspector.read(path)
    except ModuleNotFoundError as error:
        return (f"its inputs and outputs cannot be read without {error.name}",)
    except InputError as error:
        return (error.reason,)
    wanted = (("inputs", contract.input, inside.inputs), ("outputs", contract.output, inside.outputs))
    return tuple(
        f"its {side} are others than the contract's"
        for side, spec, tensors in wanted
        if [_facts(tensor) for tensor in tensors] != [_facts(spec)]
    )


def _facts(tensor: TensorSpec | GraphTensor) -> tuple[object, ...]:
    return tensor.name, tensor.dtype, tensor.shape[1:]
