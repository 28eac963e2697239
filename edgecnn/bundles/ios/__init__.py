"""A classifier for iOS: a Swift package with ONNX Runtime or the model as C, whose C is tested on a computer."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.generated_c import write_code
from edgecnn.bundles.golden import golden_images
from edgecnn.bundles.sources import write_sources
from edgecnn.codegen import image
from edgecnn.model_files import c_header
from edgecnn.records.codec import encode

if TYPE_CHECKING:
    from edgecnn.bundles.bundle import BundleSource

HERE = Path(__file__).parent
SOURCES, ENGINES = HERE / "sources", HERE / "engines"
C, SWIFT = "Sources/CEdgeClassifier", "Sources/EdgeClassifier"


def make(source: BundleSource, folder: Path) -> None:
    """Write the package's files into `folder`; raises MachineError without a C compiler where the model becomes C."""
    model = folder / SWIFT / "Model"
    model.mkdir(parents=True)
    _, height, width, channels = source.contract.input.shape
    facts: dict[str, Any] = {
        "model": source.contract.model,
        "format": source.artifact.format,
        "height": height,
        "width": width,
        "channels": channels,
        "label_count": len(source.contract.labels),
    }
    (model / "contract.json").write_bytes(encode(source.contract))
    if source.path.suffix == ".onnx":
        (model / "model.onnx").write_bytes(source.path.read_bytes())
        facts |= {"engine": "onnxruntime", "model_bytes": (model / "model.onnx").stat().st_size}
        known = golden_images(source)
    else:
        write_code(source, folder / C)
        header = c_header.read(folder / C)
        (folder / C / f"{header.name}_selftest.c").unlink()  # the package has its own
        facts |= {"engine": "c", "c_name": header.name, "prefix": header.name.upper()}
        facts["constant_bytes"] = int(header.numbers["CONSTANT_BYTES"])
        known = golden_images(source, folder / C)
    facts |= {
        "golden_count": len(known["images"]),
        "bound": known["bound"],
        "golden_bytes": _write_golden(known, model),
    }
    write_sources(SOURCES, facts, folder)
    write_sources(ENGINES / facts["engine"], facts, folder)
    for path in sorted(image.FOLDER.glob("edgecnn_image.*")):
        place = folder / C / "include" if path.suffix == ".h" else folder / C
        (place / path.name).write_bytes(path.read_bytes())


def _write_golden(known: dict[str, Any], folder: Path) -> int:
    """The golden images as PNG files, and golden.txt, which C and Swift read; returns the bytes of all.

    Its lines are `bound NUMBER`, `file NAME CRC-32`, and `image NAME CRC-32 SCORES`, the checksum that of the pixels.
    """
    lines = [f"bound {known['bound']}"]
    lines += [f"file {path.name} {zlib.crc32(path.read_bytes())}" for path in sorted(folder.iterdir())]
    total = 0
    for number, one in enumerate(known["images"]):
        name, content = f"{number:02}.png", base64.b64decode(one["png"])
        (folder / name).write_bytes(content)
        total += len(content)
        lines.append(" ".join(["image", name, str(one["pixels_crc32"]), *(f"{score:.9g}" for score in one["scores"])]))
    text = "\n".join(lines) + "\n"
    (folder / "golden.txt").write_text(text, encoding="ascii")
    return total + len(text)


PLUGIN = Bundle(
    name="ios",
    summary="Swift package for iOS, with the model as C or ONNX Runtime",
    formats=("c_int8", "onnx_float32", "onnx_int8"),
    make=make,
)
