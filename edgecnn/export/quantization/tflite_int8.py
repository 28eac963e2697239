"""What the full-integer TFLite formats share: quantization with the layers that int8 would break kept in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported
from edgecnn.export.optimizations.global_pool_to_mean import with_means
from edgecnn.export.optimizations.tflite_pack_pixel_pairs import pair_pixels
from edgecnn.export.quantization import mixed_precision
from edgecnn.export.quantization.tflite_biases import with_corrected_biases
from edgecnn.export.tflite_converter import (
    finished,
    float_answers,
    float_tensors,
    named,
    outputs_of,
    quantized,
    weighted_layers,
)

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource, Format
    from edgecnn.model_files.tflite_model import File
    from edgecnn.records import LayerTensor, MixedPrecision


def export_integer(source: ExportSource, format: Format, *, for_xnnpack: bool) -> Exported:
    """The full-integer file of a format, whose output has the format's dtype; see
    :mod:`edgecnn.export.optimizations.tflite_pack_pixel_pairs`."""
    file, layers, found = integer_file(source, format)
    if for_xnnpack:
        pair_pixels(file)
    return Exported(
        layers=layers,
        mixed_precision=found,
        write=lambda contract, path: path.write_bytes(finished(file, contract, standard_metadata=for_xnnpack)),
    )


def integer_file(source: ExportSource, format: Format) -> tuple[File, dict[str, LayerTensor], MixedPrecision | None]:
    """The quantized file with an output of the format's dtype, its layer map, and the search for layers to exclude."""
    source = with_means(source)
    flatbuffer, found = mixed_precision.find(
        source,
        what=format.name,
        layers=list(weighted_layers(source)),
        quantize=lambda kept: quantized(source, format.output_dtype, float_tensors(source, kept)),
        correct_biases=lambda model: with_corrected_biases(source, model),
        outputs_of=outputs_of,
        reference=lambda images: float_answers(source)[: len(images)],
    )
    file, layers = named(source, flatbuffer, raw_pixels=False)
    return file, layers, found
