"""The resize against the rule as it is written down, in Python's own integers."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.arrays import MAX_SIDE
from edgecnn.preprocessing.resize import _blocks, resize

RANDOM = np.random.default_rng(11)


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def slow_weights(n_in: int, n_out: int, i: int) -> list[int]:
    """The rule as it is written down, in Python's own integers."""
    weights = [max(0, 2 * max(n_in, n_out) - abs((2 * j + 1) * n_out - (2 * i + 1) * n_in)) for j in range(n_in)]
    total, running, rounded = sum(weights), 0, [0]
    for weight in weights:
        running += weight
        rounded.append((2 * running * 2**15 + total) // (2 * total))
    return [after - before for before, after in itertools.pairwise(rounded)]


def slow_pass(line: list[int], n_out: int) -> list[int]:
    return [
        (sum(p * q for p, q in zip(line, slow_weights(len(line), n_out, i), strict=True)) + 2**14) >> 15
        for i in range(n_out)
    ]


def slow_resize(pixels: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    planes = []
    for channel in range(pixels.shape[2]):
        rows = [slow_pass(row, width) for row in pixels[:, :, channel].tolist()]
        columns = [slow_pass(list(column), height) for column in zip(*rows, strict=True)]
        planes.append(np.array(columns, np.uint8).T)
    return np.stack(planes, axis=2)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((1, 1), (5, 3)), ((1, 9), (4, 1)), ((2, 3), (3, 2)), ((7, 5), (7, 3)), ((3, 4), (31, 29)), ((17, 13), (1, 1)),
        ((33, 31), (32, 32)), ((31, 33), (32, 32)), ((64, 64), (32, 32)), ((50, 41), (8, 9)), ((97, 6), (8, 8)),
        ((6, 101), (13, 11)), ((23, 29), (24, 10)), ((12, 40), (5, 40)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_is_the_written_rule_to_the_bit(source: tuple[int, int], target: tuple[int, int], channels: int) -> None:
    pixels = noise(*source, channels)
    result = resize(pixels, *target)
    assert result.dtype == np.uint8 and result.flags.c_contiguous
    np.testing.assert_array_equal(result, slow_resize(pixels, *target))


def test_resize_is_the_rule_on_random_sizes_and_extreme_values() -> None:
    for _ in range(40):
        (h, w), (height, width) = RANDOM.integers(1, 48, 2), RANDOM.integers(1, 40, 2)
        pixels = np.where(noise(h, w, 3) < 128, np.uint8(0), np.uint8(255))
        np.testing.assert_array_equal(resize(pixels, height, width), slow_resize(pixels, height, width))


def test_resize_in_bands_is_the_rule() -> None:
    pixels = noise(300, 1201, 3)  # more than one band of rows
    expected = np.stack([slow_pass(row, 3) for row in pixels[:, :, 1].tolist()])
    expected = np.stack([slow_pass(column, 4) for column in expected.T.tolist()], axis=1)
    np.testing.assert_array_equal(resize(pixels, 4, 3)[:, :, 1], expected)


@pytest.mark.parametrize(
    ("source", "target"), [((480, 640), (32, 32)), ((20, 30), (32, 32)), ((333, 500), (224, 224)), ((41, 35), (32, 40))]
)
def test_resize_is_within_one_level_of_pillow(source: tuple[int, int], target: tuple[int, int]) -> None:
    pixels = noise(*source, 3)
    pillow = np.asarray(Image.fromarray(pixels).resize(target[::-1], Image.Resampling.BILINEAR))
    assert np.abs(resize(pixels, *target).astype(int) - pillow).max() <= 1


def test_resize_keeps_white_and_leaves_the_right_size_alone() -> None:
    assert (resize(np.full((9, MAX_SIDE, 1), 255, np.uint8), 3, 7) == 255).all()
    pixels = noise(8, 9, 3)
    assert resize(pixels, 8, 9) is pixels


@pytest.mark.parametrize(
    ("n_in", "n_out"), [(640, 32), (480, 32), (333, 32), (31, 32), (1, 9), (9, 1), (4000, 224), (129, 32), (65, 33)]
)
def test_the_weights_are_the_written_rule(n_in: int, n_out: int) -> None:
    found = np.zeros((n_out, n_in))
    for outputs, inputs, weights in _blocks(n_in, n_out, 1):
        found[outputs, inputs] = weights.T
    np.testing.assert_array_equal(found, [slow_weights(n_in, n_out, i) for i in range(n_out)])


def test_no_product_is_large_enough_to_wait_for_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    # OpenBLAS' interface/gemm.c: one thread up to 4 * 65,536 multiplications.
    sizes, matmul = [], np.matmul

    def counted(a: Any, b: Any, out: Any) -> Any:
        sizes.append(a.size * b.shape[1])
        return matmul(a, b, out=out)

    monkeypatch.setattr(np, "matmul", counted)
    for source, target in (((480, 640), (32, 32)), ((900, 1200), (224, 224)), ((31, 33), (300, 200))):
        resize(noise(*source, 3), *target)
    assert max(sizes) <= 4 * 65_536


def test_threads_resize_at_the_same_time() -> None:
    pixels = [noise(50 + i, 60 + i, 3) for i in range(24)]
    expected = [resize(image, 9, 8) for image in pixels]
    found: list[Any] = [None] * len(pixels)

    def work(first: int) -> None:
        for i in range(first, len(pixels), 4):
            found[i] = resize(pixels[i], 9, 8)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for image, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(image, wanted)
