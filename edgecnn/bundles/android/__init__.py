"""A classifier for Android: a library module of Kotlin with ONNX Runtime, and its self-test on a computer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.golden import golden_images
from edgecnn.bundles.sources import write_sources
from edgecnn.records.codec import encode

if TYPE_CHECKING:
    from edgecnn.bundles.bundle import BundleSource

SOURCES = Path(__file__).parent / "sources"
ASSETS = "src/main/assets/edgecnn"


def make(source: BundleSource, folder: Path) -> None:
    """Write the module's files into `folder`."""
    known, model = golden_images(source), source.path.read_bytes()
    golden = json.dumps(known, separators=(",", ":")).encode()
    facts = {
        "model": source.contract.model,
        "format": source.artifact.format,
        "golden_count": len(known["images"]),
        "bound": known["bound"],
        "model_bytes": len(model),
        "golden_bytes": len(golden),
    }
    write_sources(SOURCES, facts, folder)
    assets = folder / ASSETS
    assets.mkdir(parents=True)
    files = {"model.onnx": model, "golden.json": golden, "contract.json": encode(source.contract)}
    for name, content in files.items():
        (assets / name).write_bytes(content)


PLUGIN = Bundle(
    name="android",
    summary="Android library in Kotlin with ONNX Runtime, tested on a computer",
    formats=("onnx_float32", "onnx_int8"),
    make=make,
)
