"""TFLite with float16 weights and float32 arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """A .tflite file for a batch of one, half the size; runtimes widen the weights when they load it."""
    import tensorflow as tf

    from edgecnn.export.tflite_converter import converted, finished, named

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    file, layers = named(source, converted(source, configure), raw_pixels=True)
    return Exported(layers=layers, write=lambda contract, path: path.write_bytes(finished(file, contract)))


PLUGIN = Format(
    name="tflite_float16",
    summary="TFLite float16 weights, half the size, outputs nearly as float32; phones with GPU: LiteRT",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    packages=("tensorflow", "keras", "ai_edge_litert", "flatbuffers"),
    devices=("phone", "Raspberry Pi"),
    gate=Gate(tolerance_points=0.2, min_agreement=0.995),
    weight_dtype="float16",
    float_counterpart="tflite_float32",
    export=export,
)
