"""A classifier for Android: a library module of Kotlin with ONNX Runtime, LiteRT or C, tested on a computer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.generated_c import write_code
from edgecnn.bundles.golden import golden_images
from edgecnn.bundles.sources import write_sources
from edgecnn.model_files import c_header
from edgecnn.records.codec import encode

if TYPE_CHECKING:
    from edgecnn.bundles.bundle import BundleSource

HERE = Path(__file__).parent
SOURCES, ENGINES = HERE / "sources", HERE / "engines"
FILE_ENGINES = {
    "onnx_float32": "onnxruntime",
    "onnx_int8": "onnxruntime",
    "tflite_float32": "litert",
    "tflite_float16": "litert",
    "tflite_int8": "litert",
}  # of the formats that the app reads as a file
ASSETS, CPP = "src/main/assets/edgecnn", "src/main/cpp"


def make(source: BundleSource, folder: Path) -> None:
    """Write the module's files into `folder`; raises MachineError without a C compiler where the model becomes C."""
    assets = folder / ASSETS
    assets.mkdir(parents=True)
    facts: dict[str, Any] = {"model": source.contract.model, "format": source.artifact.format}
    if engine := FILE_ENGINES.get(source.artifact.format):
        model = source.path.read_bytes()
        (assets / f"model{source.path.suffix}").write_bytes(model)
        known = golden_images(source)
        facts |= {"engine": engine, "model_bytes": len(model)}
    else:
        write_code(source, folder / CPP)
        header = c_header.read(folder / CPP)
        known = golden_images(source, folder / CPP)
        facts |= {"engine": "c", "c_name": header.name, "prefix": header.name.upper()}
    golden = json.dumps(known, separators=(",", ":")).encode()
    facts |= {"golden_count": len(known["images"]), "golden_bytes": len(golden), "bound": known["bound"]}
    (assets / "golden.json").write_bytes(golden)
    (assets / "contract.json").write_bytes(encode(source.contract))
    write_sources(SOURCES, facts, folder)
    write_sources(ENGINES / facts["engine"], facts, folder)


PLUGIN = Bundle(
    name="android",
    summary="Android library in Kotlin, with ONNX Runtime, LiteRT or as C, tested on a computer",
    formats=(*FILE_ENGINES, "c_int8"),
    make=make,
)
