"""Plain C in int8, a folder: a header and a source file without dependencies, and a self-test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.export.format import ExportSource
    from edgecnn.records import Contract


def export(source: ExportSource) -> Exported:
    """C99 files that compute what a runtime, by default TFLite Micro, does of `tflite_int8_micro`, equal to the bit.

    Raises InputError, with the layer's name, for what the C kernels cannot compute.
    """
    from edgecnn.codegen.emitter import emit
    from edgecnn.codegen.reader import read
    from edgecnn.codegen.rounding import pick_rounding
    from edgecnn.codegen.target import pick_target
    from edgecnn.export.quantization.tflite_int8 import integer_file
    from edgecnn.model_files.tflite_model import packed

    file, layers, found = integer_file(source, PLUGIN)
    names = {place.tensor: layer for layer, place in layers.items()}
    graph = read(packed(file.model), names, pick_rounding(source.options.rounding))
    target = pick_target(source.options.target)

    def write(contract: Contract, path: Path) -> None:
        path.mkdir()
        emit(graph, contract, path, target)

    return Exported(layers={}, mixed_precision=found, write=write)


PLUGIN = Format(
    name="c_int8",
    summary="Plain C99 in int8, two files, no interpreter; microcontrollers: any C compiler",
    suffix="",
    file_kind="c",
    batched=False,
    packages=("tensorflow", "keras", "ai_edge_litert", "flatbuffers", "jinja2"),
    devices=("microcontroller",),
    gate=Gate(tolerance_points=1.0, min_agreement=0.9),
    weight_dtype="int8",
    output_dtype="int8",
    calibrator="tensorflow",
    options=("rounding", "target"),
    default=False,
    export=export,
)
