"""TFLite dynamic range: int8 weights, activations quantized as they come; no calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.plugins import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.plugins import ExportSource


def export(source: ExportSource) -> Exported:
    """A .tflite file for a batch of one; small weights, and what is between the layers, stay float32."""
    import tensorflow as tf

    from edgecnn.tflite_files import converted, finished, named

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    file, layers = named(source, converted(source, configure), raw_pixels=True)
    return Exported(layers=layers, write=lambda contract, path: path.write_bytes(finished(file, contract)))


PLUGIN = Format(
    name="tflite_dynamic",
    summary="TFLite dynamic range, int8 weights without calibration, a quarter of the size; phones: LiteRT",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    gate=Gate(tolerance_points=0.3, min_agreement=0.95),
    numbers="int8",
    weighed_against="tflite_float32",
    export=export,
)
