"""TFLite dynamic range: int8 weights, activations quantized as they come; no calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """A .tflite file for a batch of one; small weights, and what is between the layers, stay float32."""
    import tensorflow as tf

    from edgecnn.export.tflite_converter import converted, finished, named

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    file, layers = named(source, converted(source, configure), raw_pixels=True)
    return Exported(layers=layers, write=lambda contract, path: path.write_bytes(finished(file, contract)))


# What honest files need: on 10,000 test images the published models lose 0.00 and 0.08 points with 51 and 83 changed
# answers, and the intervals end at -0.13 and -0.23; a half-width is 0.13 to 0.2 for 50 to 100 changed answers, by the
# number of images alone. At 0.3 a model that really loses 0.1 would pass by luck; 0.5 leaves room for a fall of 0.3,
# and is half of what full int8 may lose.
GATE = Gate(tolerance_points=0.5, min_agreement=0.95)
PLUGIN = Format(
    name="tflite_dynamic",
    summary="TFLite dynamic range, int8 weights without calibration, a quarter of the size; phones: LiteRT",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    packages=("tensorflow", "keras", "ai_edge_litert", "flatbuffers"),
    devices=("phone", "Raspberry Pi"),
    gate=GATE,
    weight_dtype="int8",
    float_counterpart="tflite_float32",
    export=export,
)
