"""Say what an exported file is, ours or foreign: what goes in and out, what it is made of, and what it lacks."""

from __future__ import annotations

import importlib
import os
import textwrap
from dataclasses import replace
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.environment import pip_install
from edgecnn.errors import InputError, MachineError, UnsupportedSchema
from edgecnn.files import sha256_of, size_of
from edgecnn.model_files.inspector import Inspector, head_of, inspector_of
from edgecnn.plugins import discover
from edgecnn.records import Contract, GraphLayer, Inspection, decode
from edgecnn.run_directory import ARTIFACTS, CONTRACT, EXPORTS, MODEL, TRAINING, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgecnn.records import Int8Kernels, LayerTensor

WIDTH = 100
MARGIN = 16  # where the facts begin
NAMES = 34  # the most room for a tensor's name
MOST_LABELS = 20  # that are printed
GUESSES = "an app must guess labels, value range, color order and resize rule"
SAVED_MODEL = "saved_model.pb"
UNCOUNTED = (  # operators that multiply with weights, or call graphs that do, and are not looked into
    "If", "Loop", "Scan", "LSTM", "GRU", "RNN", "Einsum", "Attention", "DeformConv", "IF", "WHILE", "StatelessIf",
    "StatelessWhile", "While", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "SVDF",
    "STABLEHLO_COMPOSITE",
)  # fmt: skip
HDF5 = b"\x89HDF\r\n\x1a\n"


def inspect(path: Path) -> Inspection:
    """What the file or SavedModel folder is; raises InputError where it is neither, or damaged."""
    inspector = _inspector(path)
    found, content = inspector.read(path)
    contract, missing = _contract(path, found, content) if inspector.carries_contract else (None, [_outside(path)])
    if found.inputs and found.inputs[0].dtype != "uint8":
        missing.append(
            f"The input is {found.inputs[0].dtype}, not uint8: an app must know how to scale pixels before it."
        )
    if contract is not None and found.kind != "C" and not (contract.export and contract.export.layers):
        missing.append("It has no layer map, so no tool can tell which tensor holds a Keras layer's output.")
    layers = _as_mapped(found, contract)
    each = [layer.multiply_adds for layer in found.layers]
    known = [count for count in each if count is not None]
    if len(known) < len(each):
        missing.append("The shapes of some layers are not known, so their multiply-adds cannot be counted.")
    if uncounted := [kind for kind in found.operators if kind in UNCOUNTED]:
        missing.append(f"The total leaves out the multiply-adds of {', '.join(uncounted)}.")
    missing += _cpu_dependence(found.int8_kernels)
    return replace(
        found,
        path=str(path),
        size_bytes=size_of(path),
        sha256=sha256_of(path),
        multiply_adds=sum(known) if len(known) == len(each) else None,
        layers=layers,
        contract=contract,
        warnings=(*missing, *found.warnings),
    )


def _cpu_dependence(kernels: Int8Kernels | None) -> Iterator[str]:
    """What an app has to cope with where outputs depend on the CPU."""
    if kernels and kernels.overflowing:
        names = ", ".join(kernels.overflowing)
        yield (
            "Outputs depend on the CPU: on x86 without VNNI, int8 kernels of ONNX Runtime can overflow on the weights "
            f"of {names}; quantize again with reduce_range, or set session.x64quantprecision to 1, which is slower."
        )
    if kernels and kernels.unknown:
        yield (
            f"Whether outputs depend on the CPU is not known: the int8 weights of {', '.join(kernels.unknown)} lie "
            "outside the file."
        )


def _inspector(path: Path) -> Inspector:
    """The reader that takes the file; raises InputError with what to do where none does."""
    if not os.path.exists(path):  # unlike Path.exists, also False for a name that no file can have
        raise InputError(f"There is no file or folder at {path}; check the path.")
    if not (path.is_dir() or path.is_file()):  # a pipe or a device might never end
        raise InputError(f"{path} is not a regular file; save the model to a file first.")
    head = head_of(path)
    if not (head or path.is_dir()):
        raise InputError(f"{path} is empty; export or copy it again.")
    if head == HDF5 or (head and path.suffix in (".keras", ".h5", ".hdf5")):
        raise InputError(
            f"{path} is a Keras model, not an exported file: create a run with `edgecnn import`, then run "
            "`edgecnn export`."
        )
    if (found := inspector_of(path, head)) is not None:
        return found
    if path.is_dir():
        raise _no_model(path)
    if path.name == SAVED_MODEL:
        raise InputError(f"{path} is one file of a SavedModel; give its folder, {path.parent}.")
    *others, last = (one.summary for one in discover(Inspector).values())
    raise InputError(f"{path} is not {', '.join(others)} or {last}.")


def _no_model(path: Path) -> InputError:
    """What to say of a folder that is no SavedModel."""
    if not any((path / name).is_file() for name in (CONTRACT, MODEL, TRAINING, ARTIFACTS)):
        return InputError(f"{path} is a folder without {SAVED_MODEL}, so not a SavedModel; give the model itself.")
    folder = path / EXPORTS
    exports = sorted(file.name for file in folder.iterdir() if file.name[0] != ".") if folder.is_dir() else []
    if not exports:
        return InputError(f"{path} is a run without exports; {Run(path).command('export')} makes them.")
    return InputError(f"{path} is a run; inspect one of its exports, in {folder}: {', '.join(exports)}.")


def _contract(path: Path, found: Inspection, content: bytes | None) -> tuple[Contract | None, list[str]]:
    """The contract in the file, and what is to be said of it."""
    if content is None:
        return None, [f"It carries no contract: {GUESSES}."]
    try:
        contract = decode(content, Contract, f"The contract in {path}")
    except UnsupportedSchema as error:
        return None, [str(error)]
    except (InputError, RecursionError):
        return None, ["The contract inside cannot be read; export the model again."]
    ours, theirs = contract.input.name, [tensor.name for tensor in found.inputs]
    if ours not in theirs:
        named = ", ".join(theirs) or "none"
        return contract, [f"The contract inside is of another file: its input is {ours}, this file's {named}."]
    return contract, []


def _outside(path: Path) -> str:
    """Where the contract of a kind lies that cannot carry one."""
    if (path.absolute().parent.parent / CONTRACT).is_file():
        place = path.parent.parent / CONTRACT
        return f"A SavedModel cannot carry a contract; it lies in {place} and has to be shipped along."
    return f"A SavedModel cannot carry a contract, and no run's {CONTRACT} is next to it: {GUESSES}."


def _as_mapped(found: Inspection, contract: Contract | None) -> tuple[GraphLayer, ...]:
    """The layers, those called by their tensors as the layer map has them: `dense_1` for `logits`."""
    facts = contract.export if contract else None
    names = {place.tensor: layer for layer, place in facts.layers.items()} if facts else {}
    return tuple(replace(layer, name=names.get(layer.name, layer.name)) for layer in found.layers)


def visualize(path: Path) -> None:
    """Open the file in Model Explorer or Netron; raises MachineError where neither is installed."""
    if _inspector(path).name != "onnx" and find_spec("model_explorer"):  # which reads ONNX with a further package only
        importlib.import_module("model_explorer").visualize(str(path))
        return
    if not find_spec("netron"):
        raise MachineError(f"No viewer for this file is installed: {pip_install()} netron.")
    netron = importlib.import_module("netron")
    netron.start(str(path / SAVED_MODEL if path.is_dir() else path))
    netron.wait()  # its server ends with this process


def describe(found: Inspection) -> list[str]:
    """The inspection as lines of text, at most 100 columns wide."""
    versions = [f"opset {found.opset.get('ai.onnx', '?')}", f"IR {found.ir_version}"] if found.opset else []
    kind = ", ".join([found.kind, *versions, *([f"made by {found.producer}"] if found.producer else [])])
    total = "unknown" if found.multiply_adds is None else f"{found.multiply_adds:,} for one image"
    lines = [
        found.path,
        "",
        *_fact("kind", kind),
        *_fact("bytes", f"{found.size_bytes:,}"),
        *_fact("sha256", found.sha256),
        *_tensors(found),
        *_fact("operators", ", ".join(f"{kind} {count}" for kind, count in found.operators.items())),
        *_fact("parameters", f"{found.parameters:,}"),
        *_fact("multiply-adds", total),
        *(_fact("int8 kernels", _int8_words(found.int8_kernels)) if found.int8_kernels else ()),
    ]
    if found.layers:
        lines += ["", *_layers(found)]
    lines += ["", *_promise(found.contract), ""]
    if not found.warnings:
        lines.append("Nothing is missing.")
    for sentence in found.warnings:
        lines += textwrap.wrap(sentence, WIDTH, initial_indent="missing  ", subsequent_indent=" " * 9)
    return [line.rstrip() for line in lines]


def _int8_words(kernels: Int8Kernels) -> str:
    count = f"{kernels.nodes} node{'' if kernels.nodes == 1 else 's'}"
    if kernels.overflowing or kernels.unknown:
        safe = kernels.nodes - len(kernels.overflowing) - len(kernels.unknown)
        return f"{count}, {safe} of them with the same outputs on every CPU"
    return f"{count}, none can overflow: the same outputs with and without VNNI"


def _fact(name: str, text: str) -> list[str]:
    """A name and what is to be said of it, wrapped under itself."""
    indent = " " * MARGIN
    return textwrap.wrap(text or "none", WIDTH, initial_indent=f"{name:{MARGIN}}", subsequent_indent=indent)


def _shape(sides: Sequence[int | str | None]) -> str:
    return f"[{', '.join('?' if side is None else str(side) for side in sides)}]"


def _tensors(found: Inspection) -> Iterator[str]:
    rows = [(side, tensor) for side, given in (("input", found.inputs), ("output", found.outputs)) for tensor in given]
    names = max((len(tensor.name) for _, tensor in rows), default=0)
    for side, tensor in rows:
        name = f"{_short(tensor.name, NAMES):{min(names, NAMES)}}"
        line = f"{side:{MARGIN}}{name}  {tensor.dtype:7}  {_shape(tensor.shape)}"
        scale = "" if tensor.scale is None else f"scale {tensor.scale:.9g}, zero point {tensor.zero_point}"
        yield from [f"{line}  {scale}"] if len(line) + len(scale) < WIDTH - 1 else [line, " " * MARGIN + scale]


def _short(name: str, width: int) -> str:
    """The name, with its middle left out where it is longer than `width`."""
    return name if len(name) <= width else f"{name[: width // 2 - 2]}..{name[-(width - width // 2) :]}"


def _shared(names: Sequence[str]) -> str:
    """The path that several names begin with: `block` for `block/a` and `block/b/c`."""
    folders = [name.split("/")[:-1] for name in names]
    same = takewhile(lambda words: len(set(words)) == 1, zip(*folders, strict=False))
    return "/".join(words[0] for words in same) if len(names) > 1 else ""


def _layers(found: Inspection) -> list[str]:
    """A table of what multiplies with weights; a column is as wide as it has to be."""
    shared = _shared([layer.name for layer in found.layers])
    inside = len(shared) + 1 if shared else 0
    head = ("layer", "operator", "output", "weights", "parameters", "multiply-adds")
    rows = [
        (
            _short(layer.name[inside:], 30),
            _short(layer.operator, 21),
            _short(_shape(layer.output_shape), 20),
            layer.weights,
            f"{layer.parameters:,}",
            "?" if layer.multiply_adds is None else f"{layer.multiply_adds:,}",
        )
        for layer in found.layers
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    spare = WIDTH - sum(widths) - 2 * (len(head) - 1)
    if spare < 0:
        widths[0] += spare
        rows = [(_short(row[0], widths[0]), *row[1:]) for row in rows]
    left = 4  # columns of words; the others are numbers
    return (_fact("layers of", shared) if inside else []) + [
        "  ".join(cell.ljust(widths[i]) if i < left else cell.rjust(widths[i]) for i, cell in enumerate(row))
        for row in (head, *rows)
    ]


def _promise(contract: Contract | None) -> list[str]:
    """The contract and the facts of the export, a line a thing."""
    if contract is None:
        return _fact("contract", "none")
    low, high = contract.value_range
    rest = len(contract.labels) - MOST_LABELS
    more = f" and {rest:,} more" if rest > 0 else ""
    lines = [
        *_fact("contract", f"{contract.model}, of model.keras {contract.model_sha256[:12]}"),
        *_fact("pixels", f"{contract.layout}, {contract.color_space}, {low} to {high}, resized by {contract.resize}"),
        *_fact("outputs", contract.output_meaning),
        *_fact("labels", f"{len(contract.labels)}: {', '.join(contract.labels[:MOST_LABELS])}{more}"),
        *_fact("data", f"{contract.data.name}, sha256 {contract.data.sha256[:12]}"),
    ]
    facts = contract.export
    if facts is None:
        return lines
    lines += [*_fact("format", facts.format), *_layer_map(facts.layers)]
    if facts.fused_into:
        lines += _fact("fused", ", ".join(f"{layer} in {into}" for layer, into in facts.fused_into.items()))
    if facts.calibration is not None:
        known = facts.calibration
        lines += _fact("calibration", f"{known.images:,} {known.source}, {known.method}, {known.tool}")
        lines += _fact("not quantized", ", ".join(facts.excluded_from_quantization))
    return [*lines, *_fact("versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items()))]


def _layer_map(layers: Mapping[str, LayerTensor]) -> Iterator[str]:
    """A line for each Keras layer: the tensor that holds its output, and how it lies there."""
    rows = [(_short(name, NAMES), _short(place.tensor, NAMES), place.layout) for name, place in layers.items()]
    names, tensors = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    for number, (name, tensor, layout) in enumerate(rows):
        title = "" if number else "layer map"
        yield f"{title:{MARGIN}}{name:{names}}  {tensor:{tensors}}  {layout}"
