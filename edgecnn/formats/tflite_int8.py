"""TFLite in full integer arithmetic: uint8 pixels in, float32 logits out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.plugins import Exported, Format, Gate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgecnn.plugins import ExportSource


def export(source: ExportSource, path: Path) -> Exported:
    """Write a .tflite file whose every compute node is int8.

    The converter is given the model that takes [0, 1] and told that its input type is uint8: the input then
    has scale 1/255 and zero point 0, so raw pixels go in without a cast.
    """
    import tensorflow as tf

    from edgecnn.conversion import finish_tflite, to_tflite

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
        converter.representative_dataset = lambda: _representatives(source)

    flatbuffer = to_tflite(source, raw_pixels=False, configure=configure)
    _check_input_scale(flatbuffer)
    path.write_bytes(finish_tflite(flatbuffer, source.contract))
    return Exported(layers={}, calibration=source.calibration)


def _representatives(source: ExportSource) -> Iterator[dict[str, Any]]:
    """A black and a white image, so that the input range is exactly [0, 1], then the calibration images."""
    import numpy as np

    name = source.contract.image.name
    images = source.calibration_images
    ends = [np.zeros_like(images[0]), np.full_like(images[0], 255)]
    for image in [*ends, *images]:
        yield {name: image[np.newaxis].astype(np.float32) / np.float32(255)}


def _check_input_scale(flatbuffer: bytes) -> None:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    scale, zero_point = Interpreter(model_content=flatbuffer).get_input_details()[0]["quantization"]
    if np.float32(scale) != np.float32(1 / 255) or zero_point != 0:
        raise InputError(
            f"The converter gave the int8 input a scale of {scale} and zero point {zero_point} where 1/255 and 0 "
            "are needed, so raw pixels would be misread; this model cannot be exported as tflite_int8."
        )


PLUGIN = Format(
    name="tflite_int8",
    summary="TFLite full integer, a quarter of the size, the fastest on most CPUs",
    suffix=".tflite",
    file_kind="tflite",
    batched=False,
    gate=Gate(max_drop_points=1.0, min_agreement=0.9),
    export=export,
)
