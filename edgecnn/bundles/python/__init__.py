"""A classifier for Python on a device: a package of a few files, with ONNX Runtime or LiteRT, without edgecnn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.golden import golden_images
from edgecnn.bundles.sources import package_name, write_sources
from edgecnn.preprocessing import decode, resize
from edgecnn.records.codec import encode

if TYPE_CHECKING:
    from edgecnn.bundles.bundle import BundleSource

HERE = Path(__file__).parent
SOURCES, ENGINES = HERE / "sources", HERE / "engines"
COPIED = (decode, resize)  # modules of edgecnn's own


@dataclass(frozen=True)
class _Engine:
    """What runs a kind of file, by the name of its module in `engines`."""

    module: str
    requirement: str  # as pip calls it
    license: str


ENGINE_OF = {
    ".onnx": _Engine("onnxruntime.py", "onnxruntime", "MIT"),
    ".tflite": _Engine("litert.py", "ai-edge-litert", "Apache-2.0"),
}


def make(source: BundleSource, folder: Path) -> None:
    """Write the project's files into `folder`; raises MachineError where the file's runtime is not installed."""
    suffix = source.path.suffix
    engine, model = ENGINE_OF[suffix], f"model{suffix}"
    known = {"model": model, **golden_images(source)}
    name = package_name(source.contract).replace("-", "_")
    facts = {
        "name": name,
        "model": source.contract.model,
        "format": source.artifact.format,
        "requirement": engine.requirement,
        "license": engine.license,
        "golden_count": len(known["images"]),
        "bound": known["bound"],
    }
    write_sources(SOURCES, facts, folder)
    package = (folder / "package").rename(folder / name)
    for module in COPIED:
        path = Path(module.__file__ or "")
        text = re.sub(r"from edgecnn\.(preprocessing\.)?", "from .", path.read_text(encoding="utf-8"))
        (package / path.name).write_text(text, encoding="utf-8")
    (package / "engine.py").write_bytes((ENGINES / engine.module).read_bytes())
    (package / model).write_bytes(source.path.read_bytes())
    (package / "golden.json").write_text(json.dumps(known, separators=(",", ":")), encoding="utf-8")
    (package / "contract.json").write_bytes(encode(source.contract))


PLUGIN = Bundle(
    name="python",
    summary="Python package with ONNX Runtime or LiteRT, without edgecnn",
    formats=(
        "onnx_float32", "onnx_int8", "tflite_float32", "tflite_float16", "tflite_dynamic", "tflite_int8",
    ),
    make=make,
)  # fmt: skip
