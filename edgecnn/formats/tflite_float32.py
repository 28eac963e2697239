"""TFLite with float32 weights and arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.plugins import Exported, Format, Gate

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.plugins import ExportSource


def export(source: ExportSource, path: Path) -> Exported:
    """Write a .tflite file for a batch of one, built-in operators only."""
    from edgecnn.conversion import finish_tflite, to_tflite

    flatbuffer = to_tflite(source, raw_pixels=True, configure=lambda converter: None)
    path.write_bytes(finish_tflite(flatbuffer, source.contract))
    return Exported(layers={})


PLUGIN = Format(
    name="tflite_float32",
    summary="TFLite float32 for phones and the Raspberry Pi, on LiteRT",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    gate=Gate(max_drop_points=0.05, min_agreement=0.9998),
    export=export,
)
