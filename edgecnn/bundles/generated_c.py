"""What bundles of generated C share: its files in `src/`, and an image with the answer it must give."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from edgecnn.bundles.sources import write_sources
from edgecnn.codegen import image
from edgecnn.model_files import c_header

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.bundles.bundle import BundleSource


def write_bundle(source: BundleSource, sources: Path, folder: Path) -> dict[str, Any]:
    """Write the generated C and a bundle's own files into `folder`; returns the facts of its templates.

    Raises MachineError without a C compiler, which runs the image, and InputError for C that it refuses.
    """
    code = folder / "src"
    write_code(source, code)
    for path in sorted(image.FOLDER.glob("edgecnn_image.*")):
        (code / path.name).write_bytes(path.read_bytes())
    header, pixels = c_header.read(code), source.images[0]
    output = _output(code, header, pixels)
    facts: dict[str, Any] = {
        "name": header.name,
        "prefix": header.name.upper(),
        "contract": source.contract,
        "image": pixels.tobytes(),
        "shape": pixels.shape,
        "output": output.tolist(),
        "answer": _answer(output, header, source.contract.output_meaning),
        "arena_bytes": int(header.numbers["ARENA_BYTES"]),
    }
    write_sources(sources, facts, folder)
    return facts


def write_code(source: BundleSource, folder: Path) -> None:
    """The export itself, or what is generated from a .tflite file of the same graph."""
    from edgecnn.codegen.emitter import emit
    from edgecnn.codegen.reader import read

    if source.path.is_dir():
        shutil.copytree(source.path, folder)
        return
    folder.mkdir()
    layers = {place.tensor: layer for layer, place in source.artifact.layers.items()}
    emit(read(source.path.read_bytes(), layers), source.contract, folder)


def _output(code: Path, header: c_header.CHeader, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """int8 [classes] that the C gives for an image on this computer."""
    import numpy as np

    from edgecnn.runtimes import c_host

    (values,) = c_host.load(code, 1, "cpu", ()).run(image[None]).values()
    numbers = header.numbers
    output: npt.NDArray[np.int8] = np.rint(values[0] / numbers["OUTPUT_SCALE"] + numbers["OUTPUT_ZERO_POINT"]).astype(
        np.int8
    )
    return output


def _answer(output: npt.NDArray[np.int8], header: c_header.CHeader, meaning: str) -> int:
    """Index of the label that is printed first; -1 where none holds."""
    if meaning != "scores":
        return int(output.argmax())
    values = (output - header.numbers["OUTPUT_ZERO_POINT"]) * header.numbers["OUTPUT_SCALE"]
    return next((number for number, value in enumerate(values) if value > 0.5), -1)
