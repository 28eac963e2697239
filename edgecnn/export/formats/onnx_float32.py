"""ONNX with float32 weights and arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from edgecnn.export.format import ExportSource


def export(source: ExportSource) -> Exported:
    """An .onnx file with a dynamic batch."""
    from edgecnn.export.onnx_file import finished, float_graph

    model, layers = float_graph(source)
    return Exported(layers=layers, write=lambda contract, path: path.write_bytes(finished(model, contract)))


PLUGIN = Format(
    name="onnx_float32",
    summary="ONNX float32, when no class may change; servers, desktops, browsers, phones: ONNX Runtime",
    suffix=".onnx",
    file_kind="onnx",
    batched=True,
    packages=("tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime"),
    devices=("server", "browser", "phone", "Raspberry Pi"),
    gate=Gate(tolerance_points=0.05, min_agreement=0.999),
    export=export,
)
