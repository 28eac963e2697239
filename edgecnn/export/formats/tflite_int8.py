"""TFLite in full integer arithmetic: uint8 pixels in, float32 out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """A .tflite file for a batch of one whose every compute node is int8, but for layers that int8 would break."""
    from edgecnn.export.quantization.tflite_int8 import export_integer

    return export_integer(source, PLUGIN, for_xnnpack=True)


PLUGIN = Format(
    name="tflite_int8",
    summary="TFLite full integer, a quarter of the size, fastest on most CPUs; phones, Raspberry Pi: LiteRT",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    packages=("tensorflow", "keras", "ai_edge_litert", "flatbuffers"),
    devices=("phone", "Raspberry Pi"),
    gate=Gate(tolerance_points=1.0, min_agreement=0.9),
    weight_dtype="int8",
    float_counterpart="tflite_float32",
    calibrator="tensorflow",
    export=export,
)
