"""ONNX in int8 as quantize and dequantize pairs (QDQ): what ONNX Runtime turns into integer operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported, Format, Gate
from edgecnn.export.quantization.onnx_qdq import after_quantization, quantized

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """An .onnx file with a dynamic batch: signed weights per channel, raw pixels into the first DequantizeLinear."""
    import tempfile

    from edgecnn.export.onnx_file import finished, float_graph, outputs_of, run_batch, weighted_nodes
    from edgecnn.export.optimizations.global_pool_to_mean import with_means
    from edgecnn.export.quantization import mixed_precision
    from edgecnn.export.quantization.onnx_biases import with_corrected_biases
    from edgecnn.export.quantization.safe_weights import prove

    source = with_means(source)
    original, layers = float_graph(source)
    nodes, batch = weighted_nodes(original), run_batch(source)
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        model, found = mixed_precision.find(
            source,
            what=PLUGIN.name,
            layers=list(nodes),
            quantize=lambda kept: quantized(source, original, [n for layer in kept for n in nodes[layer]], folder),
            correct_biases=lambda model: with_corrected_biases(source, original, model, batch),
            outputs_of=lambda model, images: outputs_of(model, images, batch),
            reference=lambda images: outputs_of(original, images, batch),
        )
    images = source.selection_images if len(source.selection_images) else source.calibration_images
    return Exported(
        layers=after_quantization(model, layers),
        mixed_precision=found,
        int8_safety=prove(model, images, batch),
        write=lambda contract, path: path.write_bytes(finished(model, contract)),
    )


PLUGIN = Format(
    name="onnx_int8",
    summary="ONNX int8 (static, QDQ), a quarter of the size, faster on CPUs with VNNI: ONNX Runtime",
    suffix=".onnx",
    file_kind="onnx",
    batched=True,
    packages=("tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime"),
    devices=("server", "browser", "phone", "Raspberry Pi"),
    gate=Gate(tolerance_points=1.0, min_agreement=0.9),
    weight_dtype="int8",
    float_counterpart="onnx_float32",
    calibrator="onnxruntime",
    export=export,
)
