"""TFLite Micro: the model as a C array, its operators, its arena, and a check of golden images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.sources import write_sources
from edgecnn.console import log
from edgecnn.errors import InputError, MachineError
from edgecnn.model_files.tflite_model import File
from edgecnn.records.contract import image_shape
from edgecnn.runtimes import tflm_interpreter
from edgecnn.runtimes.tflm_faults import fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.bundles.bundle import BundleSource

SOURCES = Path(__file__).parent / "sources"
GOLDEN_IMAGES, GOLDEN_BYTES = 8, 32 << 10  # at most; they have to fit into the device's flash together with the model
IRREGULAR = {  # operators whose method in MicroMutableOpResolver is not called by the rule
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}


def make(source: BundleSource, folder: Path) -> None:
    """Write the bundle's files into `folder`; its outputs are what TFLite Micro's own interpreter gave."""
    model = source.path.read_bytes()
    file = File(model)
    image, output = _quantization(file, file.graph.inputs, "UINT8"), _quantization(file, file.graph.outputs, "INT8")
    images = source.images[: max(1, min(GOLDEN_IMAGES, GOLDEN_BYTES // source.images[0].nbytes))]
    try:
        measured = tflm_interpreter.measure(model, images)
    except MachineError as error:
        cause = fault(model)
        raise InputError(f"{cause}, so a microcontroller's would too.") if cause else error from None
    log(f"TFLite Micro's interpreter ran {len(images)} images: arena {measured.arena_bytes:,} bytes")
    height, width, channels = image_shape(source.contract)
    facts: dict[str, Any] = {
        "contract": source.contract,
        "image": {"height": height, "width": width, "channels": channels, **image},
        "output": output,
        "excluded_from_quantization": source.artifact.mixed_precision.excluded_from_quantization
        if source.artifact.mixed_precision
        else (),
        "operators": sorted({_method(kind) for kind in file.kinds}),
        "arena_bytes": measured.arena_bytes,
        "model": model,
        "sha256": source.artifact.sha256,
        "images": [pixels.tobytes() for pixels in images],
        "outputs": measured.outputs.tolist(),
        "images_are": "synthetic images" if source.is_synthetic else "test images of the run",
    }
    write_sources(SOURCES, facts, folder)


def _quantization(file: File, tensors: Sequence[int], dtype: str) -> dict[str, Any]:
    """Scale and zero point of the only one: a value is `(q - zero_point) * scale`. InputError for another dtype."""
    from ai_edge_litert.schema_py_generated import TensorType

    found = [file.graph.tensors[int(tensor)] for tensor in tensors]
    if len(found) != 1 or found[0].type != getattr(TensorType, dtype):
        raise InputError("For TFLite Micro the model needs one uint8 input and one int8 output; export it again.")
    numbers = found[0].quantization
    return {"scale": float(numbers.scale[0]), "zero_point": int(numbers.zeroPoint[0])}


def _method(kind: str) -> str:
    """The operator's name in MicroMutableOpResolver's methods: DEPTHWISE_CONV_2D is added by AddDepthwiseConv2D."""
    return IRREGULAR.get(kind) or "".join(
        word[:1] + word[1:].lower() if word != "2D" else word for word in kind.split("_")
    )


PLUGIN = Bundle(
    name="tflite-micro",
    summary="C and C++ sources for a microcontroller with TFLite Micro",
    formats=("tflite_int8_micro",),
    make=make,
)
