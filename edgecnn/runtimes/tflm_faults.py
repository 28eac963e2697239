"""Which operator TFLite Micro's interpreter dies of: it ends its process without a word where others raise an error."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.environment import import_path
from edgecnn.model_files.tflite_model import File, packed
from edgecnn.processes import bound
from edgecnn.records.contract import CONTRACT_KEY
from edgecnn.runtimes.tflm_interpreter import is_installed

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SECONDS = 60  # of one trial


def fault(model: bytes) -> str:
    """The first operator of a .tflite file that ends the interpreter's process, and its layer, in words.

    Found by bisection over files cut short after an operator, each tried in a process of its own; "" where the whole
    file ends none, or TFLite Micro is not installed here.
    """
    if not is_installed() or not _dies(model):
        return ""
    survives, dies = 0, len(File(model).operators)
    while dies - survives > 1:
        middle = (survives + dies) // 2
        survives, dies = (survives, middle) if _dies(_cut(model, middle)) else (middle, dies)
    file = File(model)
    name: str = file.graph.tensors[file.outputs_of(dies - 1)[0]].name.decode()
    layer = _layers(file).get(name, name.split("/")[0])
    return f"TFLite Micro's interpreter ends its process at the operator {file.kinds[dies - 1]} of layer '{layer}'"


def _cut(model: bytes, operators: int) -> bytes:
    """The file with its first operators alone, which gives what the last of them does."""
    file = File(model)
    file.graph.operators = file.operators[:operators]
    file.graph.outputs = file.outputs_of(operators - 1)[:1]
    file.model.signatureDefs = None
    return packed(file.model)


def _dies(model: bytes) -> bool:
    """Whether a signal ends a process that runs the model once; an error that it reports is no death."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        try:
            done = subprocess.run(
                bound([sys.executable, "-P", "-m", "edgecnn.runtimes.tflm_interpreter", str(path)]),
                env={**os.environ, "PYTHONPATH": import_path()},
                capture_output=True,
                check=False,
                timeout=MAX_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode < 0


def _layers(file: File) -> Mapping[str, str]:
    """Tensor -> Keras layer, from the contract in the file; empty without one."""
    from edgecnn.records import Contract, decode

    for entry in file.model.metadata or []:
        if entry.name.decode() == CONTRACT_KEY:
            contract = decode(bytes(file.model.buffers[entry.buffer].data), Contract, "The contract")
            return {place.tensor: layer for layer, place in contract.export.layers.items()} if contract.export else {}
    return {}
