"""Pixels in: how an image of any kind and size becomes the model's input. Integers only, so that C, Kotlin
and JavaScript can repeat every step to the bit.

1. Decode; apply the EXIF orientation; composite alpha over white; gray becomes RGB (`decode_image`).
2. Resize to the model's height and width (`edgecnn.preprocessing.resize`, the rule named `RESIZE_RULE`).
3. A model with one channel gets the luma of the resized RGB (`prepare`).
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from contextlib import nullcontext, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgecnn.arrays import MAX_PIXELS, MAX_SIDE, fits
from edgecnn.errors import InputError
from edgecnn.preprocessing.resize import resize

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    from edgecnn.arrays import Pixels
    from edgecnn.records import Contract

ImageFile: TypeAlias = "str | Path | bytes | PIL.Image.Image"  # bytes are a whole file's
Source: TypeAlias = "ImageFile | Pixels"

RESIZE_RULE = "antialiased-bilinear-q15"
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # to Pillow, JPEG includes the MPO files of some phones

_ORIENTATION_TAG = 0x0112
_TO_8_BITS: dict[object, Callable[..., object]] = {  # how a PNG stores pixels -> its transparent color as they are read
    "L;2": lambda gray: gray * 85,
    "L;4": lambda gray: gray * 17,
    "RGB;16B": lambda color: tuple(value >> 8 for value in color),
}
_BAND = 1 << 18  # values worked on at a time, so that memory stays bounded


class _Silence:
    """No warnings while any thread is inside: `warnings.catch_warnings` alone is one for the whole process, and threads
    that leave in another order than they came would leave the filters changed for good."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


class _Muted:
    """Nothing goes to stderr while any thread is inside: libtiff prints there, past Python, what is wrong with a
    file, which is told in our own words."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: int | None = None  # stderr; None where it is closed

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                with suppress(OSError):
                    self._kept = os.dup(2)
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, 2)
                    os.close(nowhere)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._kept is not None:
                os.dup2(self._kept, 2)
                os.close(self._kept)
                self._kept = None


_silence, _muted = _Silence(), _Muted()


def decode_image(source: ImageFile) -> Pixels:
    """The upright RGB pixels of an image: uint8 [H, W, 3], 0 to 255.

    Of an animation it is the first frame. Alpha is composited over white, `(c * a + 255 * (255 - a) + 127) // 255`;
    gray of 16 bits keeps its upper 8; CMYK and other color spaces are converted by Pillow's rules. EXIF data that
    cannot be read counts as absent, as in every viewer.

    Raises :class:`InputError` for what is no readable image, holds more than `MAX_PIXELS` or a side above
    `MAX_SIDE` (found before decoding), or holds 32-bit or floating-point values.
    """
    # The first two formats by name, or Pillow loads all forty of its plug-ins to look for them.
    from PIL import Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError  # noqa: F401

    name = str(source) if isinstance(source, (str, Path)) else "The image"
    with _silence:  # Pillow warns of large images and odd metadata; the rules here decide
        try:
            if isinstance(source, Image.Image):
                return _upright_rgb(source, name)
            with Image.open(_readable(source, name), formats=FORMATS) as image:
                return _upright_rgb(image, name)
        except InputError:
            raise
        except UnidentifiedImageError:
            raise InputError(
                f"{name} is not an image, or its beginning is damaged; give a {', '.join(FORMATS[:-1])} "
                f"or {FORMATS[-1]} file."
            ) from None
        except Image.DecompressionBombError:
            raise _too_large(name, "very many") from None
        except PermissionError:
            raise InputError(f"{name} cannot be read; give yourself the right to read it.") from None
        except Exception as error:  # a hostile file makes a decoder raise anything, down to struct.error
            raise InputError(f"{name} is damaged or cut short ({error}); copy or save it again.") from None


def _readable(source: str | Path | bytes, name: str) -> str | BytesIO:
    """What Pillow can open; raises InputError for a path that leads to no file with content."""
    if isinstance(source, bytes):
        if not source:
            raise InputError("The image is empty (0 bytes); give the bytes of a whole image file.")
        return BytesIO(source)
    try:
        status = os.stat(source)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        raise InputError(f"There is no image {name}; check the path.") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a directory; give the images in it one by one.")
    if not stat.S_ISREG(status.st_mode):  # a device or a pipe might never end
        raise InputError(f"{name} is not a regular file; save the image to a file first.")
    if status.st_size == 0:
        raise InputError(f"{name} is empty (0 bytes); copy or save it again.")
    return str(source)


def _check_size(width: int, height: int, name: str) -> None:
    if not width or not height:
        raise InputError(f"{name} has no pixels ({width} x {height}); give an image with content.")
    if not fits(height, width):
        raise _too_large(name, f"{width} x {height}")


def _too_large(name: str, size: str) -> InputError:
    return InputError(
        f"{name} has {size} pixels, and edgecnn takes up to {MAX_PIXELS // 10**6} million, {MAX_SIDE} a side; "
        "make it smaller."
    )


def _upright_rgb(image: PIL.Image.Image, name: str) -> Pixels:
    import numpy as np

    _check_size(*image.size, name)
    tiles = getattr(image, "tile", ())
    stored = tiles[0].args if image.format == "PNG" and tiles else ""
    with _muted if image.format == "TIFF" else nullcontext():
        image.load()  # only now are the frame, its mode and metadata that follows the pixels final
    if stored in _TO_8_BITS and "transparency" in image.info:
        image.info["transparency"] = _TO_8_BITS[stored](image.info["transparency"])
    if image.mode.startswith("I;16"):
        pixels = _rgb_of_grey16(image)
    elif image.mode in ("I", "F"):
        raise InputError(f"{name} holds 32-bit or floating-point values; convert it to 8 bits a channel.")
    elif image.has_transparency_data:
        pixels = _over_white(np.asarray(image.convert("RGBA")))
    else:
        pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return np.ascontiguousarray(_turned(pixels, _orientation(image)))


def _rgb_of_grey16(image: PIL.Image.Image) -> Pixels:
    """RGB of 16-bit gray; a value that a PNG declares transparent becomes white."""
    import numpy as np

    values = np.asarray(image)
    gray = (values >> 8).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        gray[values == transparent] = 255
    return np.repeat(gray[:, :, None], 3, axis=2)


def _over_white(rgba: Pixels) -> Pixels:
    """uint8 [H, W, 4] with straight alpha, composited over white: uint8 [H, W, 3]."""
    import numpy as np

    rgb = np.empty((*rgba.shape[:2], 3), np.uint8)
    rows = max(1, _BAND // rgba[0].size)
    for top in range(0, len(rgba), rows):
        band = rgba[top : top + rows].astype(np.uint16)  # the largest sum, 255 * 255 + 127, fits 16 bits
        color, alpha = band[..., :3], band[..., 3:]
        rgb[top : top + rows] = (color * alpha + 255 * (255 - alpha) + 127) // 255
    return rgb


def _orientation(image: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none that can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # broken EXIF data, in any way a parser can stumble
        return 1


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """The pixels as EXIF orientation 1 to 8 (CIPA DC-008, 4.6.5) wants them shown; any other number is as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def prepare(source: Source, contract: Contract) -> Pixels:
    """The model's input for one image: uint8 [height, width, channels] of `contract.input`, without the batch.

    `source` is as in :func:`fitted`. Raises :class:`InputError` as it does, and for a contract made by other rules.
    """
    check_rules(contract)
    _, height, width, channels = contract.input.shape
    assert height is not None and width is not None and channels is not None, "only the batch is open"
    return fitted(source, height, width, channels)


def check_rules(contract: Contract) -> None:
    """Raises InputError unless this module knows how images become the contract's input."""
    if contract.resize != RESIZE_RULE or len(contract.input.shape) != 4 or contract.input.shape[3] not in (1, 3):
        raise InputError(
            f"The model {contract.model} wants images {list(contract.input.shape)} by the rule '{contract.resize}', "
            "which this edgecnn does not know; update edgecnn."
        )


def fitted(source: Source, height: int, width: int, channels: int) -> Pixels:
    """An image in a model's size: uint8 [height, width, channels], of 1 or 3 channels.

    An array is taken as decoded pixels: uint8 [H, W, 3] RGB, [H, W, 1] or [H, W] gray. A model with one
    channel gets their :func:`luma`, after the resize.

    Raises :class:`InputError` as :func:`decode_image` does, and for other arrays.
    """
    import numpy as np

    if isinstance(source, np.ndarray) and source.shape == (height, width, channels) and source.dtype == np.uint8:
        return source  # what all the rest would make of it too
    pixels = resize(_as_rgb(source) if isinstance(source, np.ndarray) else decode_image(source), height, width)
    return pixels if channels == 3 else luma(pixels)


def luma(pixels: Pixels) -> Pixels:
    """uint8 RGB [H, W, 3] to gray [H, W, 1]: the luma of ITU-R BT.601 as Pillow computes it,
    `(19595 * R + 38470 * G + 7471 * B + 32768) >> 16`."""
    import numpy as np

    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 32768) >> 16).astype(np.uint8)[:, :, None]


def _as_rgb(pixels: npt.NDArray[np.uint8]) -> Pixels:
    """Decoded pixels given as an array; raises InputError unless it is uint8 [H, W, 3], [H, W, 1] or [H, W]."""
    import numpy as np

    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,)):
        raise InputError(
            "An image given as an array has to be uint8 [height, width, 3], [height, width, 1] or [height, width], "
            f"and this one is {pixels.dtype} {list(pixels.shape)}."
        )
    _check_size(pixels.shape[1], pixels.shape[0], "The image")
    return pixels if pixels.shape[2:] == (3,) else np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
