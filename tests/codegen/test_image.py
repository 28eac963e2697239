"""C that brings a frame to the model's input: Python's pixels, of every format and size, and within its memory."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.codegen import image
from edgecnn.preprocessing.decode import _over_white, fitted
from tests import pages
from tests.frames import rgb_of_yuv

if TYPE_CHECKING:
    from edgecnn.arrays import Pixels

SOURCE = image.FOLDER / "edgecnn_image.c"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
FORMATS = ("gray8", "rgb888", "rgba8888", "rgb565", "yuyv", "nv12", "nv21")  # in the order of the header's enum
GUARD = 64  # bytes around the scratch memory and the image that have to stay as they are

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no C compiler: apt install gcc")


class Frame(ctypes.Structure):
    """edgecnn_frame."""

    _fields_ = [
        ("format", ctypes.c_int), ("height", ctypes.c_uint32), ("width", ctypes.c_uint32),
        ("pixels", ctypes.c_void_p), ("stride", ctypes.c_size_t),
        ("chroma", ctypes.c_void_p), ("chroma_stride", ctypes.c_size_t),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("image") / "image.so"
    subprocess.run(["gcc", "-std=c99", "-O2", "-fPIC", "-shared", *STRICT, SOURCE, "-o", path], check=True)
    found = ctypes.CDLL(str(path))
    found.edgecnn_resize_scratch.restype = ctypes.c_size_t
    return found


def _resized(library: Any, frame: Frame, height: int, width: int, channels: int) -> Pixels:
    """What the C gives; fails where it writes outside its memory."""
    size = library.edgecnn_resize_scratch(frame.height, frame.width, height, width)
    scratch = np.full(size + 2 * GUARD, 0xA5, np.uint8)
    out = np.full(height * width * channels + 2 * GUARD, 0xA5, np.uint8)
    code = library.edgecnn_resize(
        ctypes.byref(frame), ctypes.c_void_p(out.ctypes.data + GUARD), height, width, channels,
        ctypes.c_void_p(scratch.ctypes.data + GUARD),
    )  # fmt: skip
    assert code == 0
    for guarded in (scratch, out):
        assert (guarded[:GUARD] == 0xA5).all() and (guarded[-GUARD:] == 0xA5).all()
    return out[GUARD:-GUARD].reshape(height, width, channels)


def _frame(kind: str, height: int, width: int, random: np.random.Generator) -> tuple[Frame, Pixels, list[Pixels]]:
    """A frame with random values and padded rows, the RGB it stands for, and what holds its memory."""
    sizes = {"gray8": 1, "rgb888": 3, "rgba8888": 4, "rgb565": 2, "yuyv": 2, "nv12": 1, "nv21": 1}
    stride = width * sizes[kind] + int(random.integers(0, 5))
    memory = random.integers(0, 256, (height, stride), np.uint8)
    values = memory[:, : width * sizes[kind]].reshape(height, width, sizes[kind])
    frame = Frame(FORMATS.index(kind), height, width, memory.ctypes.data, stride, None, 0)
    kept = [memory]
    if kind == "gray8":
        rgb = np.repeat(values, 3, axis=2)
    elif kind == "rgb888":
        rgb = values
    elif kind == "rgba8888":
        rgb = _over_white(values)
    elif kind == "rgb565":
        whole = np.ascontiguousarray(values).view("<u2")[..., 0].astype(int)
        r, g, b = whole >> 11, whole >> 5 & 63, whole & 31
        rgb = np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], axis=-1).astype(np.uint8)
    elif kind == "yuyv":
        pairs = values.reshape(height, width // 2, 4).repeat(2, axis=1)
        rgb = rgb_of_yuv(values[..., 0], pairs[..., 1], pairs[..., 3])
    else:
        chroma = random.integers(0, 256, ((height + 1) // 2, 2 * ((width + 1) // 2) + 3), np.uint8)
        frame.chroma, frame.chroma_stride = chroma.ctypes.data, chroma.shape[1]
        pairs = chroma[:, :-3].reshape(len(chroma), -1, 2).repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        u, v = (0, 1) if kind == "nv12" else (1, 0)
        rgb = rgb_of_yuv(values[..., 0], pairs[..., u], pairs[..., v])
        kept.append(chroma)
    return frame, np.ascontiguousarray(rgb), kept


@pytest.mark.parametrize("kind", FORMATS)
def test_any_frame_becomes_python_s_pixels(kind: str, library: Any) -> None:
    random = np.random.default_rng(FORMATS.index(kind))
    for _ in range(25):
        h, w, height, width = (int(side) for side in np.exp(random.uniform(0, 5, 4)))
        w += w % 2 if kind == "yuyv" else 0
        channels = int(random.choice([1, 3]))
        frame, rgb, _memory = _frame(kind, h, w, random)
        expected = fitted(rgb, height, width, channels)
        np.testing.assert_array_equal(_resized(library, frame, height, width, channels), expected)


@pytest.mark.parametrize("sides", [(1, 65_535, 2, 32), (65_535, 1, 32, 2), (1, 1, 300, 200), (480, 640, 96, 96)])
def test_extreme_sizes_become_python_s_pixels(sides: tuple[int, int, int, int], library: Any) -> None:
    h, w, height, width = sides
    frame, rgb, _memory = _frame("rgb888", h, w, np.random.default_rng(1))
    np.testing.assert_array_equal(_resized(library, frame, height, width, 3), fitted(rgb, height, width, 3))


def test_the_test_images_become_the_pixels_that_are_listed(library: Any) -> None:
    import zlib

    from edgecnn.preprocessing.decode import decode_image

    for one in pages.corpus():
        rgb = decode_image(pages.ROOT / "docs" / "corpus" / one["file"])
        frame = Frame(FORMATS.index("rgb888"), *rgb.shape[:2], rgb.ctypes.data, rgb.shape[1] * 3, None, 0)
        for size, checksum in one["input_crc32"].items():
            found = _resized(library, frame, *map(int, size.split("x")))
            assert f"{zlib.crc32(found.tobytes()):08x}" == checksum, (one["file"], size)


def test_arguments_that_cannot_be_are_refused(library: Any) -> None:
    pixels = np.zeros(3072, np.uint8)
    place, scratch = ctypes.c_void_p(pixels.ctypes.data), (ctypes.c_uint32 * 4000)()

    def call(frame: Frame | None, height: int = 32, width: int = 32, channels: int = 3, out: Any = place) -> int:
        given = ctypes.byref(frame) if frame else None
        code: int = library.edgecnn_resize(given, out, height, width, channels, scratch)
        return code

    good = (1, 32, 32, pixels.ctypes.data, 96, None, 0)
    assert call(Frame(*good)) == 0
    assert call(None) == call(Frame(*good), out=None) == call(Frame(*good), channels=2) == -1
    assert call(Frame(*good), height=0) == call(Frame(*good), width=65_536) == -1
    for changed in (
        (7, *good[1:]),
        (5, *good[1:]),
        (1, 0, *good[2:]),
        (1, 32, 65_536, *good[3:]),
        (1, 32, 32, None, 96, None, 0),
    ):
        assert call(Frame(*changed)) == -1


@pytest.mark.parametrize("command", [["gcc", "-std=c99"], ["clang", "-std=c99"], ["g++", "-std=c++17", "-x", "c++"]])
def test_it_compiles_without_a_warning(command: list[str], tmp_path: Path) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    subprocess.run([*command, "-O2", *STRICT, "-c", SOURCE, "-o", tmp_path / "image.o"], check=True)


MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "edgecnn_image.h"
int main(void) {
  for (uint32_t n = 1; n < 60; n += 3) for (uint32_t m = 1; m < 60; m += 7) {
    for (int format = EDGECNN_GRAY8; format <= EDGECNN_NV21; format++) {
      const uint32_t w = m + m % 2;
      edgecnn_frame frame = {(edgecnn_format)format, n, w, malloc(4u * n * w), 4u * w, malloc(w * n + w), w};
      for (uint32_t i = 0; i < 4u * n * w; i++) ((uint8_t *)frame.pixels)[i] = (uint8_t)(i * 7u);
      for (uint32_t i = 0; i < w * n + w; i++) ((uint8_t *)frame.chroma)[i] = (uint8_t)(i * 255u);
      uint8_t *image = malloc(3u * m * n);
      void *scratch = malloc(edgecnn_resize_scratch(n, w, m, n));
      if (edgecnn_resize(&frame, image, m, n, 3, scratch)) return 1;
      free((void *)frame.pixels), free((void *)frame.chroma), free(image), free(scratch);
    }
  }
  return puts("clean") < 0;
}
"""


def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(MAIN)
    flags = ["-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{image.FOLDER}"]
    subprocess.run(["gcc", *flags, tmp_path / "main.c", SOURCE, "-o", tmp_path / "main"], check=True)
    assert subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout == "clean\n"
