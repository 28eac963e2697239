"""TFLite with float32 weights and arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """A .tflite file for a batch of one, built-in operators only."""
    from edgecnn.export.tflite_converter import finished, float_file, named

    file, layers = named(source, float_file(source), raw_pixels=True)
    return Exported(layers=layers, write=lambda contract, path: path.write_bytes(finished(file, contract)))


PLUGIN = Format(
    name="tflite_float32",
    summary="TFLite float32, when no class may change; phones, Raspberry Pi: LiteRT",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    packages=("tensorflow", "keras", "ai_edge_litert", "flatbuffers"),
    devices=("phone", "Raspberry Pi"),
    gate=Gate(tolerance_points=0.05, min_agreement=0.999),
    export=export,
)
