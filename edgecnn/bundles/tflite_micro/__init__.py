"""TFLite Micro: the model as a C array, its operators, its arena, and a check of golden images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import micro
from edgecnn.contract import image_shape
from edgecnn.plugins import Bundle
from edgecnn.rendering import render_source
from edgecnn.tflite_files import File

if TYPE_CHECKING:
    from edgecnn.plugins import BundleSource

SOURCES = Path(__file__).parent / "sources"
GOLDEN_IMAGES = 8
IRREGULAR = {"PADV2": "PadV2"}  # operators whose method in MicroMutableOpResolver is not called by the rule


def make(source: BundleSource, folder: Path) -> None:
    """Write the bundle's files into `folder`; its outputs are what TFLite Micro's own interpreter gave."""
    file = File(source.model)
    images = source.images[:GOLDEN_IMAGES]
    measured = micro.measure(source.model, images)
    height, width, channels = image_shape(source.contract)
    facts: dict[str, Any] = {
        "contract": source.contract,
        "image": {"height": height, "width": width, "channels": channels, **_quantization(file, file.graph.inputs[0])},
        "output": _quantization(file, file.graph.outputs[0]),
        "operators": sorted({_method(kind) for kind in file.kinds}),
        "arena_bytes": measured.arena_bytes,
        "model": source.model,
        "sha256": source.artifact.sha256,
        "images": [image.tobytes() for image in images],
        "outputs": measured.outputs.tolist(),
        "images_are": "drawn images" if source.drawn else "test images of the run",
    }
    for path in sorted(SOURCES.iterdir()):
        if path.suffix == ".j2":
            (folder / path.stem).write_text(render_source(path, facts), encoding="utf-8")
        else:
            (folder / path.name).write_bytes(path.read_bytes())


def _quantization(file: File, tensor: int) -> dict[str, Any]:
    """Scale and zero point: a value is `(q - zero_point) * scale`."""
    found = file.graph.tensors[int(tensor)].quantization
    return {"scale": float(found.scale[0]), "zero_point": int(found.zeroPoint[0])}


def _method(kind: str) -> str:
    """The operator's name in MicroMutableOpResolver's methods: DEPTHWISE_CONV_2D is added by AddDepthwiseConv2D."""
    return IRREGULAR.get(kind) or "".join(
        word[:1] + word[1:].lower() if word != "2D" else word for word in kind.split("_")
    )


PLUGIN = Bundle(
    name="tflite-micro",
    summary="C and C++ sources for a microcontroller with TFLite Micro",
    format="tflite_int8_micro",
    make=make,
)
