"""Pixels in: how an image of any kind and size becomes the model's input. Integers only, so that C, Kotlin
and JavaScript can repeat every step to the bit.

1. Decode; apply the EXIF orientation; composite alpha over white; grey becomes RGB (`decode_image`).
2. Resize to the model's height and width (`resize`, the rule named `RESIZE_RULE`).
3. A model with one channel gets the luma of the resized RGB (`prepare`).
"""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgecnn.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    from edgecnn.records import Contract

    Pixels = npt.NDArray[np.uint8]
    Block = tuple[slice, slice, npt.NDArray[np.float32]]

ImageFile: TypeAlias = "str | Path | bytes | PIL.Image.Image"  # bytes are a whole file's
Source: TypeAlias = "ImageFile | Pixels"

RESIZE_RULE = "antialiased-bilinear-q15"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # to Pillow, JPEG includes the MPO files of some phones
MAX_PIXELS = 100_000_000
MAX_SIDE = 65_535  # JPEG's own limit; keeps the sums behind the resize weights far inside 64 bits

CONTRACT_KEY = "edgecnn.contract"  # under which a file carries its contract

_ORIENTATION_TAG = 0x0112
_BAND = 1 << 18  # values worked on at a time: as float32 they fit a core's cache, and memory stays bounded
_BLOCK = 4  # output pixels computed by one matrix product


def decode_image(source: ImageFile) -> Pixels:
    """The upright RGB pixels of an image: uint8 [H, W, 3], 0 to 255.

    Of an animation it is the first frame. Alpha is composited over white, `(c * a + 255 * (255 - a) + 127) // 255`;
    grey of 16 bits keeps its upper 8; CMYK and other colour spaces are converted by Pillow's rules. EXIF data that
    cannot be read counts as absent, as in every viewer.

    Raises :class:`InputError` for what is no readable image, holds more than `MAX_PIXELS` or a side above
    `MAX_SIDE` (found before decoding), or holds 32-bit or floating-point values.
    """
    from PIL import Image, UnidentifiedImageError

    name = str(source) if isinstance(source, (str, Path)) else "The image"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images and odd metadata; the rules here decide
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


def _readable(source: str | Path | bytes, name: str) -> Path | BytesIO:
    """What Pillow can open; raises InputError for a path that leads to no file with content."""
    if isinstance(source, bytes):
        if not source:
            raise InputError("The image is empty (0 bytes); give the bytes of a whole image file.")
        return BytesIO(source)
    if not os.path.exists(source):  # unlike Path.exists, also False for a name that no file can have
        raise InputError(f"There is no image {name}; check the path.")
    if os.path.isdir(source):
        raise InputError(f"{name} is a directory; give the images in it one by one.")
    if not os.path.isfile(source):  # a device or a pipe might never end
        raise InputError(f"{name} is no regular file; save the image to a file first.")
    if os.path.getsize(source) == 0:
        raise InputError(f"{name} is empty (0 bytes); copy or save it again.")
    return Path(source)


def _check_size(width: int, height: int, name: str) -> None:
    if not width or not height:
        raise InputError(f"{name} has no pixels ({width} x {height}); give an image with content.")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large(name, f"{width} x {height}")


def _too_large(name: str, size: str) -> InputError:
    return InputError(
        f"{name} has {size} pixels, and edgecnn takes up to {MAX_PIXELS // 10**6} million, {MAX_SIDE} a side; "
        "make it smaller."
    )


def _upright_rgb(image: PIL.Image.Image, name: str) -> Pixels:
    import numpy as np

    _check_size(*image.size, name)
    image.load()  # only now are the frame, its mode and metadata that follows the pixels final
    if image.mode.startswith("I;16"):
        pixels = _rgb_of_grey16(image)
    elif image.mode in ("I", "F"):
        raise InputError(f"{name} holds 32-bit or floating-point values; convert it to 8 bits a channel.")
    elif image.has_transparency_data:
        pixels = _over_white(np.asarray(image.convert("RGBA")))
    else:
        pixels = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(_turned(pixels, _orientation(image)))


def _rgb_of_grey16(image: PIL.Image.Image) -> Pixels:
    """RGB of 16-bit grey; a value that a PNG declares transparent becomes white."""
    import numpy as np

    values = np.asarray(image)
    grey = (values >> 8).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def _over_white(rgba: Pixels) -> Pixels:
    """uint8 [H, W, 4] with straight alpha, composited over white: uint8 [H, W, 3]."""
    import numpy as np

    rgb = np.empty((*rgba.shape[:2], 3), np.uint8)
    rows = max(1, _BAND // rgba[0].size)
    for top in range(0, len(rgba), rows):
        band = rgba[top : top + rows].astype(np.uint16)  # the largest sum, 255 * 255 + 127, fits 16 bits
        colour, alpha = band[..., :3], band[..., 3:]
        rgb[top : top + rows] = (colour * alpha + 255 * (255 - alpha) + 127) // 255
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


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Antialiased bilinear in 15-bit fixed point: uint8 [H, W, C] to uint8 [height, width, C].

    First every row, then every column. For output pixel i of n_out, made from n_in:

        w_j = max(0, 2 * max(n_in, n_out) - |(2 j + 1) * n_out - (2 i + 1) * n_in|)    a triangle around its centre
        Q_k = (2 * (w_0 + ... + w_k) * 2**15 + W) // (2 * W)                           W the sum of all w_j
        q_j = Q_j - Q_(j-1)                                                            so they sum to 2**15 exactly
        out = (sum of p_j * q_j + 2**14) >> 15                                         0 to 255 again

    It is Pillow's BILINEAR but for roundings: within one level. Both sides may be 1 to `MAX_SIDE`; at the right
    size already, the pixels themselves are returned.
    """
    h, w, channels = pixels.shape
    if (h, w) == (height, width):
        return pixels
    rows = _resize_rows(pixels.reshape(h, w * channels), _blocks(w, width, channels), width * channels)
    columns = _resize_rows(rows.T, _blocks(h, height, 1), height)
    return columns.T.copy().reshape(height, width, channels)


def _resize_rows(rows: Pixels, blocks: tuple[Block, ...], size: int) -> Pixels:
    """One pass over uint8 [R, n_in * C], giving uint8 [R, size].

    The products are float32 matrix products, which are fast, and exact here: every partial sum, in whatever
    order, is an integer of at most 255 * 2**15 + 2**14, and float32 holds all integers below 2**24.
    """
    import numpy as np

    out = np.empty((len(rows), size), np.uint8)
    step = min(len(rows), max(1, _BAND // rows.shape[1]))
    buffer = np.empty((step, rows.shape[1]), np.float32)
    for top in range(0, len(rows), step):
        band = buffer[: len(rows) - top]
        band[...] = rows[top : top + step]
        sums = np.empty((len(band), size), np.float32)
        for outputs, inputs, weights in blocks:
            np.matmul(band[:, inputs], weights, out=sums[:, outputs])
        sums += 2**14
        sums *= 2**-15
        out[top : top + step] = sums  # the cast cuts off the fraction, as >> does
    return out


@lru_cache(maxsize=8)
def _blocks(n_in: int, n_out: int, channels: int) -> tuple[Block, ...]:
    """The weights of a pass over interleaved channels, a few neighbouring output pixels a block.

    A block says: the output values of this slice are the input values of that slice times this matrix. Zeros
    outside a block's inputs are never multiplied, and channels need not be taken apart.
    """
    import numpy as np

    blocks = []
    for first in range(0, n_out, _BLOCK):
        last = min(first + _BLOCK, n_out)
        # No weight lies more than max(n_in, n_out) / n_out input pixels from an output pixel's centre.
        reach = -(-max(n_in, n_out) // n_out) + 1
        low = max(0, (2 * first + 1) * n_in // (2 * n_out) - reach)
        high = min(n_in, (2 * last - 1) * n_in // (2 * n_out) + reach + 1)
        weights = np.stack([_weights(i, low, high, n_in, n_out) for i in range(first, last)], axis=1)
        matrix = np.kron(weights, np.eye(channels, dtype=np.float32))
        blocks.append((slice(first * channels, last * channels), slice(low * channels, high * channels), matrix))
    return tuple(blocks)


def _weights(i: int, low: int, high: int, n_in: int, n_out: int) -> npt.NDArray[np.float32]:
    """The q_j of :func:`resize` for output pixel i and the input pixels low to high, outside of which they are 0."""
    import numpy as np

    j = np.arange(low, high, dtype=np.int64)
    w = np.maximum(0, 2 * max(n_in, n_out) - np.abs((2 * j + 1) * n_out - (2 * i + 1) * n_in))
    running = np.cumsum(w)
    rounded = (2 * running * 2**15 + running[-1]) // (2 * running[-1])
    q: npt.NDArray[np.float32] = np.diff(rounded, prepend=0).astype(np.float32)
    return q


def image_shape(contract: Contract) -> tuple[int, int, int]:
    """Height, width and channels of the input; raises InputError for a contract that no image can meet."""
    match contract.image.shape:
        case (_, int(height), int(width), (1 | 3) as channels) if contract.output.shape[1:] == (len(contract.labels),):
            if 0 < min(height, width) <= max(height, width) <= MAX_SIDE:
                return height, width, channels
    raise InputError(
        f"The contract of {contract.model} asks for images of the shape {list(contract.image.shape)} and "
        f"{len(contract.labels)} labels for outputs of the shape {list(contract.output.shape)}; it is damaged."
    )


def prepare(source: Source, contract: Contract) -> Pixels:
    """The model's input for one image: uint8 [height, width, channels] of `contract.image`, without the batch.

    An array is taken as decoded pixels: uint8 [H, W, 3] RGB, [H, W, 1] or [H, W] grey. A model with one
    channel gets their :func:`luma`, after the resize.

    Raises :class:`InputError` as :func:`decode_image` does, for other arrays, and for a contract made by other rules.
    """
    import numpy as np

    if contract.resize != RESIZE_RULE or len(contract.image.shape) != 4 or contract.image.shape[3] not in (1, 3):
        raise InputError(
            f"The model {contract.model} wants images {list(contract.image.shape)} by the rule '{contract.resize}', "
            "which this edgecnn does not know; pip install --upgrade edgecnn."
        )
    _, height, width, channels = contract.image.shape
    assert height is not None and width is not None, "only the batch is open in an image's shape"
    pixels = resize(_as_rgb(source) if isinstance(source, np.ndarray) else decode_image(source), height, width)
    return pixels if channels == 3 else luma(pixels)


def luma(pixels: Pixels) -> Pixels:
    """uint8 RGB [H, W, 3] to grey [H, W, 1]: the luma of ITU-R BT.601 as Pillow computes it,
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
