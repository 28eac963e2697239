"""Decoding, orientation and resize, against references written another way."""

from __future__ import annotations

import dataclasses
import os
import struct
import sys
import threading
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgecnn.arrays import MAX_SIDE
from edgecnn.errors import InputError
from edgecnn.preprocessing.decode import decode_image, prepare
from edgecnn.preprocessing.resize import resize

if TYPE_CHECKING:
    from edgecnn.records import Contract

RANDOM = np.random.default_rng(11)


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int, color_type: int = 2) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    chunks = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)), (b"IDAT", b"x")):
        chunks += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return chunks


# Decode


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG"])
def test_decode_takes_each_format_as_path_bytes_and_image(tmp_path: Path, kind: str) -> None:
    image = Image.fromarray(noise(6, 5, 3)).convert("P" if kind == "GIF" else "RGB")
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    (tmp_path / "image").write_bytes(data)
    with Image.open(BytesIO(data)) as opened:
        assert opened.format == kind
        pixels = decode_image(opened)
    assert pixels.shape == (6, 5, 3) and pixels.dtype == np.uint8
    if kind != "JPEG":
        np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    for source in (data, tmp_path / "image", str(tmp_path / "image")):
        np.testing.assert_array_equal(decode_image(source), pixels)


@pytest.mark.parametrize("kind", ["GIF", "MPO", "TIFF", "WEBP"])
def test_decode_takes_the_first_frame(kind: str) -> None:
    red, blue = Image.new("RGB", (4, 3), "red"), Image.new("RGB", (4, 3), "blue")
    data = encoded(red, kind, save_all=True, append_images=[blue])
    with Image.open(BytesIO(data)) as opened:
        assert (opened.format, getattr(opened, "n_frames", 1)) == (kind, 2)
    assert np.abs(decode_image(data).astype(int) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_applies_the_exif_orientation(kind: str, orientation: int) -> None:
    image = Image.fromarray(np.kron(noise(2, 3, 3), np.ones((8, 8, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, kind, exif=exif)
    with Image.open(BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert expected.shape == ((16, 24, 3) if orientation < 5 else (24, 16, 3))
    np.testing.assert_array_equal(decode_image(data), expected)


def test_orientation_6_turns_the_camera_upright() -> None:
    # CIPA DC-008: the 0th row is the right-hand side of the scene, the 0th column its top.
    stored = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode_image(encoded(Image.fromarray(stored), "PNG", exif=exif))
    np.testing.assert_array_equal(upright[0, :], stored[::-1, 0])
    np.testing.assert_array_equal(upright[:, -1], stored[0])


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_unreadable_or_senseless_exif_counts_as_absent(exif: bytes) -> None:
    image = Image.new("RGB", (4, 2), "red")
    assert decode_image(encoded(image, "JPEG", exif=exif)).shape == (2, 4, 3)
    senseless = Image.Exif()
    senseless[0x0112] = 99
    assert decode_image(encoded(image, "JPEG", exif=senseless)).shape == (2, 4, 3)


def test_alpha_is_composited_over_white_in_integers() -> None:
    rgba = noise(40, 50, 4)
    rgba[0, :3, 3] = 0, 255, 128
    expected = [
        [[(int(c) * int(a) + 255 * (255 - int(a)) + 127) // 255 for c in (r, g, b)] for r, g, b, a in row]
        for row in rgba
    ]
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(rgba), "PNG")), expected)


def test_alpha_is_composited_in_every_mode() -> None:
    la = Image.fromarray(noise(5, 7, 2))
    assert la.mode == "LA"
    for image in (la, Image.fromarray(noise(5, 7, 4)).convert("RGBa"), la.convert("RGBA").convert("PA")):
        expected = decode_image(image.convert("RGBA"))
        np.testing.assert_array_equal(decode_image(image), expected)
        assert (expected != np.asarray(image.convert("RGBA"))[:, :, :3]).any()


def test_palettes_with_and_without_transparency() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    plain = [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG")), plain)
    see_through = [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG", transparency=1)), see_through)
    np.testing.assert_array_equal(decode_image(encoded(image, "GIF", transparency=1)), see_through)
    half = [[[10, 20, 30], [(40 * 128 + 255 * 127 + 127) // 255, 152, 157], [255, 255, 255]]]
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG", transparency=bytes([255, 128, 0]))), half)


def test_a_transparent_color_without_an_alpha_channel_is_white() -> None:
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    pixels = decode_image(encoded(Image.fromarray(rgb), "PNG", transparency=(4, 5, 6)))
    np.testing.assert_array_equal(pixels, [[[1, 2, 3], [255, 255, 255]]])
    gray16 = Image.fromarray(np.array([[0x1234, 0x12FF]], np.uint16))
    pixels = decode_image(encoded(gray16, "PNG", transparency=0x12FF))
    np.testing.assert_array_equal(pixels[0, :, 0], [0x12, 255])


def test_grey_of_1_8_and_16_bits() -> None:
    gray = noise(4, 5)
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(gray), "PNG")), np.stack([gray] * 3, axis=2))
    bits = Image.fromarray(gray).convert("1")
    np.testing.assert_array_equal(decode_image(encoded(bits, "PNG"))[:, :, 2], np.asarray(bits) * 255)
    deep = RANDOM.integers(0, 65536, (4, 5), dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        pixels = decode_image(encoded(Image.fromarray(deep), kind))
        np.testing.assert_array_equal(pixels, np.stack([deep >> 8] * 3, axis=2))
    big_endian = Image.frombytes("I;16B", (5, 4), deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode_image(big_endian)[:, :, 0], deep >> 8)


def test_cmyk_is_converted() -> None:
    image = Image.fromarray(noise(16, 16, 4), mode="CMYK")
    data = encoded(image, "TIFF")
    np.testing.assert_array_equal(decode_image(data), np.asarray(image.convert("RGB")))
    assert decode_image(encoded(image, "JPEG")).shape == (16, 16, 3)


# Bad input: one sentence, naming the file


def refused(source: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            decode_image(source)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_truncated_image_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cut.image"
    data = encoded(Image.fromarray(noise(40, 40, 3)), kind)
    path.write_bytes(data[: len(data) // 2])
    assert "damaged" in (message := refused(path)) and str(path) in message


def test_what_is_no_image_file_is_refused(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.png", tmp_path / "empty.png"
    text.write_text("this is no picture\n" * 100)
    empty.touch()
    assert "no image" in (message := refused(tmp_path / "missing.png")) and "missing.png" in message
    assert "no image" in refused("nul\0.png")
    assert "no image" in refused("x" * 5000)
    assert "directory" in refused(tmp_path)
    assert "0 bytes" in (message := refused(empty)) and str(empty) in message
    assert "0 bytes" in refused(b"")
    assert "not an image" in (message := refused(text)) and str(text) in message
    assert "not an image" in refused(encoded(Image.new("RGB", (2, 2)), "PPM"))  # a format that is not admitted
    if os.path.exists("/dev/zero"):
        assert "regular file" in refused("/dev/zero")


@pytest.mark.parametrize(
    ("width", "height"), [(20_000, 20_000), (10_001, 10_000), (MAX_SIDE + 1, 1), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1)]
)
def test_a_too_large_image_is_refused_before_decoding(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))  # decoding would say "damaged"
    assert "100 million" in (message := refused(path)) and str(path) in message


def test_just_below_the_limit_pillow_does_not_warn() -> None:
    assert "damaged" in refused(png_header(10_000, 10_000))


def test_an_image_without_pixels_or_of_deep_values_is_refused() -> None:
    assert "no pixels" in refused(Image.new("RGB", (0, 4)))
    assert "floating-point" in refused(Image.new("F", (4, 4)))
    assert "32-bit" in refused(Image.new("I", (4, 4)))
    assert "floating-point" in refused(encoded(Image.new("F", (4, 4)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_bytes_changed_at_random_give_pixels_or_one_sentence(kind: str) -> None:
    data = bytearray(encoded(Image.fromarray(noise(24, 24, 3)), kind))
    random = np.random.default_rng(5)
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(4):
            broken[random.integers(0, min(len(data), 200))] = random.integers(0, 256)
        try:
            assert decode_image(bytes(broken)).dtype == np.uint8
        except InputError:
            continue


# Prepare


def test_prepare_is_decode_then_resize(tiny_contract: Contract) -> None:
    pixels = noise(20, 30, 3)
    expected = resize(pixels, 8, 8)
    np.testing.assert_array_equal(prepare(pixels, tiny_contract), expected)
    np.testing.assert_array_equal(prepare(encoded(Image.fromarray(pixels), "PNG"), tiny_contract), expected)
    gray = noise(9, 10)
    np.testing.assert_array_equal(prepare(gray, tiny_contract), resize(np.stack([gray] * 3, axis=2), 8, 8))


def test_one_channel_is_the_luma_of_the_resized_pixels(tiny_contract: Contract) -> None:
    image = dataclasses.replace(tiny_contract.input, shape=(None, 8, 8, 1))
    contract = dataclasses.replace(tiny_contract, input=image, color_space="grayscale")
    pixels = noise(8, 8, 3)
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(prepare(pixels, contract), luma[:, :, None])
    gray = noise(21, 13)
    np.testing.assert_array_equal(prepare(gray, contract), resize(gray[:, :, None], 8, 8))
    np.testing.assert_array_equal(prepare(gray[:, :, None], contract), prepare(gray, contract))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, MAX_SIDE + 1), np.uint8),
    ],
)  # fmt: skip
def test_prepare_refuses_other_arrays(tiny_contract: Contract, pixels: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError):
        prepare(pixels, tiny_contract)


def test_prepare_refuses_a_contract_of_other_rules(tiny_contract: Contract) -> None:
    with pytest.raises(InputError, match="nearest"):
        prepare(noise(8, 8, 3), dataclasses.replace(tiny_contract, resize="nearest"))
    image = dataclasses.replace(tiny_contract.input, shape=(None, 8, 8, 2))
    with pytest.raises(InputError, match="update edgecnn"):
        prepare(noise(8, 8, 3), dataclasses.replace(tiny_contract, input=image))


def test_warnings_stay_as_they_were_however_threads_overlap() -> None:
    from edgecnn.preprocessing.decode import _silence

    before = list(warnings.filters)
    first, second = threading.Event(), threading.Event()

    def inner() -> None:
        with _silence:
            first.set()
            second.wait()

    thread = threading.Thread(target=inner)
    thread.start()
    first.wait()
    with _silence, warnings.catch_warnings(record=True) as caught:
        warnings.warn("not shown", stacklevel=1)
        second.set()
        thread.join()
        assert not caught
    assert list(warnings.filters) == before


def test_libtiff_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    content = BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(content, "TIFF", compression="tiff_lzw")
    data = content.getvalue()
    with pytest.raises(InputError):
        decode_image(data[:8] + bytes(255 - byte for byte in data[8:60]) + data[60:])
    print("heard", file=sys.stderr)
    assert capfd.readouterr().err == "heard\n"
