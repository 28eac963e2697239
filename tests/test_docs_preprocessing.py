"""The preprocessing page: its code is the program's resize, and its vectors are right."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from edgecnn.preprocessing.decode import decode_image, fitted
from edgecnn.preprocessing.resize import resize
from tests import pages
from tests.pages import PAGES, ROOT, blocks


@lru_cache
def _page_code() -> dict[str, Any]:
    """The functions of the preprocessing page."""
    (block,) = (block for block in blocks("python") if block.mark == "resize")
    names: dict[str, Any] = {}
    exec(compile(block.code, block.where, "exec"), names)
    names["weights"] = lru_cache(maxsize=None)(names["weights"])
    return names


def _by_page(image: np.ndarray, height: int, width: int) -> np.ndarray:
    channels = [_page_code()["resize"](image[..., c].tolist(), height, width) for c in range(image.shape[2])]
    return np.stack([np.array(channel, np.uint8) for channel in channels], axis=-1)


@pytest.mark.parametrize("seed", range(12))
def test_the_resize_on_the_page_is_the_program_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    h, w, height, width = (int(side) for side in random.integers(1, 60, 4))
    image = random.integers(0, 256, (h, w, 3), np.uint8)
    np.testing.assert_array_equal(_by_page(image, height, width), resize(image, height, width))


def _sides(cell: str) -> tuple[int, int]:
    height, width = cell.split(" x ")
    return int(height), int(width)


@pytest.mark.parametrize(
    "row", pages.table("docs/preprocessing.md", "vectors"), ids=lambda row: f"{row[0]} to {row[1]}"
)
def test_the_vectors_are_what_the_program_and_the_page_give(row: list[str]) -> None:
    (h, w), (height, width) = _sides(row[0]), _sides(row[1])
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
    image = eval(_formula(), {"x": x, "y": y, "c": c}).astype(np.uint8)
    results = [resize(image, height, width)]
    if h * w <= 1 << 14:  # plain Python takes seconds for more
        results.append(_by_page(image, height, width))
    for result in results:
        assert f"{zlib.crc32(np.ascontiguousarray(result).tobytes()):08x}" == row[2]
        assert str(result[0, 0].tolist()) == row[3]


def _formula() -> str:
    """The pixel's formula as the page has it, as Python writes it."""
    found = re.search(r"^`(.+) mod (256)`", PAGES["docs/preprocessing.md"], re.MULTILINE)
    assert found
    return f"{found[1]} % {found[2]}"


@pytest.mark.parametrize("one", pages.corpus(), ids=lambda one: one["file"])
def test_the_test_images_become_the_pixels_that_are_listed(one: dict[str, Any]) -> None:
    path = ROOT / "docs" / "corpus" / one["file"]
    decoded = decode_image(path)
    assert [*decoded.shape[:2]] == one["size"]
    assert f"{zlib.crc32(decoded.tobytes()):08x}" == one["decoded_crc32"]
    for size, checksum in one["input_crc32"].items():
        height, width, channels = map(int, size.split("x"))
        assert f"{zlib.crc32(fitted(path, height, width, channels).tobytes()):08x}" == checksum
