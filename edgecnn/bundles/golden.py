"""Golden images of a bundle: files that need all of preprocessing, their pixels' checksums, and their outputs."""

from __future__ import annotations

import base64
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

from edgecnn.preprocessing.decode import prepare
from edgecnn.runtimes import c_host, litert, onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgecnn.arrays import Floats, Pixels
    from edgecnn.bundles.bundle import BundleSource
    from edgecnn.runtimes.runtime import Session

COUNT = 16
TOLERANCE = 1e-4  # a float sum's order differs between CPUs
INTEGER_TOLERANCE = 5e-2  # kernels for integers round otherwise: two steps of an int8 output
INTEGER_FORMATS = ("onnx_int8", "tflite_dynamic", "tflite_int8")
LARGER, SMALLER = (48, 64), (17, 23)  # height, width of the images that have to be resized
ROTATED = 6  # an EXIF orientation


def golden_images(source: BundleSource, code: Path | None = None, *, same_kernels: bool = False) -> dict[str, Any]:
    """What the self-test knows: the model's checksum, the labels, and of each image its file, the checksum of its
    prepared pixels, and its float32 outputs in ONNX Runtime or LiteRT, of int8 models on kernels that do not saturate.
    With `code`, a folder of generated C, they are that code's, and the model is no file.

    The bound says how far outputs may be from those; it is wider for integers unless all devices have the same kernels.
    """
    import numpy as np

    files = list(_files(source.images))
    pixels = [prepare(file, source.contract) for file in files]
    outputs = _outputs(code or source.path, np.stack(pixels))
    is_wide = source.artifact.format in INTEGER_FORMATS and not same_kernels
    tolerance = INTEGER_TOLERANCE if is_wide else TOLERANCE
    return {
        "model_crc32": None if code else zlib.crc32(source.path.read_bytes()),
        "labels": source.contract.labels,
        "bound": float(f"{tolerance * max(1.0, float(np.abs(outputs).max())):.1e}"),  # two digits
        "images": [
            {
                "png": base64.b64encode(file).decode(),
                "pixels_crc32": zlib.crc32(image.tobytes()),
                "scores": [float(score) for score in row],
            }
            for file, image, row in zip(files, pixels, outputs, strict=True)
        ],
    }


def _outputs(path: Path, pixels: Pixels) -> Floats:
    """float32 [N, labels] of the runtime that the file is for."""
    session: Session
    if path.is_dir():
        session = c_host.load(path, 1, "cpu", ())
    elif path.suffix == ".onnx":
        session = onnxruntime.load(path, 1, "cpu", (), exact_int8=True)
    else:
        session = litert.load(path, 1, "xnnpack", ())
    return next(iter(session.run(pixels).values()))


def _files(images: Pixels) -> Iterator[bytes]:
    """PNG files: of images as they are, but the last ones larger, smaller, gray, with alpha, turned."""
    from PIL import Image

    special = [_scaled(LARGER), _scaled(SMALLER), _gray, _with_alpha, _turned]
    chosen = [Image.fromarray(_rgb(images[number % len(images)])) for number in range(COUNT)]
    for number, image in enumerate(chosen):
        place = number - (COUNT - len(special))
        changed, options = special[place](image) if place >= 0 else (image, {})
        buffer = BytesIO()
        changed.save(buffer, "PNG", optimize=True, **options)
        yield buffer.getvalue()


def _rgb(image: Pixels) -> Pixels:
    import numpy as np

    return image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)


def _scaled(size: tuple[int, int]) -> Any:
    from PIL import Image

    return lambda image: (image.resize(size[::-1], Image.Resampling.NEAREST), {})


def _gray(image: Any) -> tuple[Any, dict[str, Any]]:
    return image.convert("L"), {}


def _with_alpha(image: Any) -> tuple[Any, dict[str, Any]]:
    from PIL import Image

    changed = image.copy()
    changed.putalpha(Image.linear_gradient("L").resize(image.size))
    return changed, {}


def _turned(image: Any) -> tuple[Any, dict[str, Any]]:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = ROTATED
    return image, {"exif": exif}
