"""TFLite in full integer arithmetic, int8 out too: what TFLite Micro runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """A .tflite file for a batch of one without any float tensor; the output's scale and zero point lie in the file."""
    from edgecnn.export.quantization.tflite_int8 import export_integer

    return export_integer(source, PLUGIN, for_xnnpack=False)


PLUGIN = Format(
    name="tflite_int8_micro",
    summary="TFLite full integer with int8 output too; microcontrollers: TFLite Micro",
    suffix=".tflite",
    file_kind="tflite_micro",
    batched=False,
    packages=("tensorflow", "keras", "ai_edge_litert", "flatbuffers"),
    devices=("microcontroller",),
    gate=Gate(tolerance_points=1.0, min_agreement=0.9),
    weight_dtype="int8",
    output_dtype="int8",
    float_counterpart="tflite_float32",
    calibrator="tensorflow",
    export=export,
)
