"""Every kernel on the worst inputs, against whole-number arithmetic written here."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen import kernels
from edgecnn.codegen.reader import read
from edgecnn.codegen.target import TARGETS
from edgecnn.errors import InputError
from tests.codegen.compiled import COMPILERS, CXX, GATE, build, compiled
from tests.codegen.networks import RELU6, SAME, Network

if TYPE_CHECKING:
    from edgecnn.records import Contract

# Those of blocks need a target's header; test_targets.py compiles them.
FILES = sorted(path.name for path in kernels.FOLDER.glob("*.c") if not path.stem.endswith("_blocked"))


@pytest.fixture(autouse=True)
def _needs_a_compiler() -> None:
    if not COMPILERS:
        pytest.skip("no C compiler: apt install gcc")


@pytest.mark.parametrize("language", ["C99", "C++17"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_each_kernel_file_stands_alone_without_a_warning(compiler: str, language: str) -> None:
    if compiler not in COMPILERS:
        pytest.skip(f"no {compiler}: apt install {compiler}")
    flags = [*(GATE if language == "C99" else CXX), "-O2", "-fsyntax-only", "-Wno-unused-function"]
    for name in FILES:
        as_source = [] if language == "C++17" else ["-x", "c"]
        build(compiler, [*as_source, *flags, str(kernels.FOLDER / name)])


def _rounded(total: int, real: float) -> int:
    """total * real as TFLite Micro rounds it: to 31 bits a tie up, then a tie away from zero."""
    significand, exponent = math.frexp(real)
    multiplier = round(significand * 2**31)
    product = total * 2 ** max(0, exponent) * multiplier
    high = (2 * product + 2**31) // 2**32
    places = 2 ** max(0, -exponent)
    whole, rest = divmod(abs(high), places)
    return (whole + (2 * rest >= places)) * (1 if high >= 0 else -1)


def _images(shape: tuple[int, int, int]) -> np.ndarray:
    """The worst: all 0, all 255, and both in turns, in two phases."""
    turns = np.arange(math.prod(shape)).reshape(shape) % 2 * 255
    return np.stack([np.zeros(shape), np.full(shape, 255), turns, 255 - turns]).astype(np.uint8)


def _worst_weights(shape: tuple[int, ...]) -> np.ndarray:
    """For output channels in turn: all 127, all -127, the two by turns."""
    weights = np.empty(shape, np.int8)
    turns = np.arange(math.prod(shape[1:])).reshape(shape[1:]) % 2 * 254 - 127
    for channel in range(shape[0]):
        weights[channel] = [127, -127, turns, -turns][channel % 4] if channel % 4 != 0 else 127
    return weights


def _window_sums(
    image: np.ndarray, weights: np.ndarray, stride: tuple[int, int], before: tuple[int, int], made: tuple[int, int]
) -> np.ndarray:
    """int64 [H, W, out]: an uint8 image, whose padding is 0, with weights [out, height, width, in]."""
    out, height, width, _ = weights.shape
    sums = np.zeros((*made, out), np.int64)
    wide = np.zeros((image.shape[0] + 40, image.shape[1] + 40, image.shape[2]), np.int64)
    wide[20 : 20 + image.shape[0], 20 : 20 + image.shape[1]] = image
    for y, x, c in itertools.product(range(made[0]), range(made[1]), range(out)):
        top, left = 20 + y * stride[0] - before[0], 20 + x * stride[1] - before[1]
        sums[y, x, c] = (wide[top : top + height, left : left + width] * weights[c].astype(np.int64)).sum()
    return sums


def _expected(sums: np.ndarray, scales: list[float], scale: float, zero_point: int, low: int = -128) -> np.ndarray:
    """int8 of sums [..., out] of bytes times weights, with the input's scale 1/255."""
    real = [float(np.float32(1 / 255)) * float(np.float32(one)) / float(np.float32(scale)) for one in scales]
    flat = sums.reshape(-1, sums.shape[-1]).tolist()
    values = [[_rounded(total, factor) + zero_point for total, factor in zip(row, real, strict=True)] for row in flat]
    return np.clip(np.array(values).reshape(sums.shape), low, 127)


@pytest.mark.parametrize(
    ("shape", "size", "stride", "same"),
    [
        ((9, 7, 3), (1, 1), (1, 1), False), ((9, 7, 3), (3, 3), (1, 1), True), ((9, 8, 3), (5, 3), (2, 3), True),
        ((10, 11, 3), (7, 7), (1, 2), True), ((8, 9, 1), (2, 4), (3, 1), False), ((3, 3, 1), (7, 7), (1, 1), True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("out", [1, 4, 7])
def test_convolutions(
    shape: tuple[int, int, int], size: tuple[int, int], stride: tuple[int, int], same: bool, out: int,
    tiny_contract: Contract, tmp_path: Path,
) -> None:  # fmt: skip
    network = Network(shape)
    made = tuple(
        -(-seen // step) if same else (seen - side) // step + 1
        for seen, side, step in zip(shape, size, stride, strict=False)
    )
    before = tuple(
        max(0, (count - 1) * step + side - seen) // 2 if same else 0
        for count, step, side, seen in zip(made, stride, size, shape, strict=False)
    )
    weights = _worst_weights((out, *size, shape[2]))
    scales = [0.004 + 0.003 * channel for channel in range(out)]
    scale = float(np.float32(math.prod(size) * shape[2] * 127 * 0.004 / 100))
    network.weighted(
        "CONV_2D", network.last, weights, (*made, out), scales=scales, scale=scale, zero_point=-5,
        padding=SAME if same else 1, strideH=stride[0], strideW=stride[1], dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip
    found = compiled(network.bytes(), tiny_contract, tmp_path).run(_images(shape))
    for image, output in zip(_images(shape), found, strict=True):
        sums = _window_sums(image, weights, stride, before, made)
        np.testing.assert_array_equal(output.reshape(sums.shape), _expected(sums, scales, scale, -5))


@pytest.mark.parametrize(("pool", "step"), [(2, 2), (3, 3), (2, 3)])
def test_a_pooling_on_accumulators_is_exact(pool: int, step: int, tiny_contract: Contract, tmp_path: Path) -> None:
    shape, out = (11, 12, 3), 6
    network, weights = Network(shape), _worst_weights((out, 3, 3, 3))
    scales = [0.003] * out
    source = network.weighted(
        "CONV_2D", network.last, weights, (9, 10, out), scales=scales, scale=0.1, zero_point=-128,
        fusedActivationFunction=RELU6, dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip
    made = (9 - pool) // step + 1, (10 - pool) // step + 1
    options = {"filterHeight": pool, "filterWidth": pool, "strideH": step, "strideW": step, "padding": 1}
    network.add("MAX_POOL_2D", [source], (*made, out), options=options)
    images = np.concatenate([_images(shape), np.random.default_rng(4).integers(0, 256, (4, *shape), np.uint8)])
    assert len(read(network.bytes()).steps) == 1, "they are one step"
    found = compiled(network.bytes(), tiny_contract, tmp_path).run(images, in_arena=True)
    for image, output in zip(images, found, strict=True):
        whole = np.minimum(
            _expected(_window_sums(image, weights, (1, 1), (0, 0), (9, 10)), scales, 0.1, -128), 60 - 128
        )
        largest = [
            whole[y * step : y * step + pool, x * step : x * step + pool].max(axis=(0, 1))
            for y, x in itertools.product(range(made[0]), range(made[1]))
        ]
        np.testing.assert_array_equal(output, np.array(largest).ravel())


@pytest.mark.parametrize("multiple", [1, 2, 3])
def test_depthwise_convolutions(multiple: int, tiny_contract: Contract, tmp_path: Path) -> None:
    shape, out = (8, 7, 3), 3 * multiple
    network = Network(shape)
    weights = np.moveaxis(_worst_weights((out, 3, 5, 1)), 0, 3).reshape(1, 3, 5, out)
    scales = [0.004 + 0.001 * channel for channel in range(out)]
    network.weighted(
        "DEPTHWISE_CONV_2D", network.last, weights, (4, 4, out), scales=scales, scale=0.09, zero_point=3,
        padding=SAME, strideH=2, strideW=2, depthMultiplier=multiple, dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip
    images = _images(shape)
    found = compiled(network.bytes(), tiny_contract, tmp_path).run(images)
    for image, output in zip(images, found, strict=True):
        each = [
            _window_sums(image[..., c // multiple, None], weights[:, ..., c, None], (2, 2), (0, 2), (4, 4))
            for c in range(out)
        ]
        expected = _expected(np.concatenate(each, axis=2), scales, 0.09, 3)
        np.testing.assert_array_equal(output.reshape(4, 4, out), expected)


def _dense(side: int, out: int = 5) -> Network:
    """A dense layer over all of an image, the deepest that there can be."""
    network = Network((side, side, 3))
    depth = side * side * 3
    flat = network.add("RESHAPE", [network.last, network.constant(np.array([1, depth], np.int32))], (depth,))
    weights = _worst_weights((out, depth))
    network.weighted("FULLY_CONNECTED", flat, weights, (out,), scales=[0.001] * out, scale=100.0, zero_point=1)
    return network


def test_accumulators_hold_up_to_their_bound(tiny_contract: Contract, tmp_path: Path) -> None:
    network = _dense(148)
    images = _images((148, 148, 3))
    depth = 148 * 148 * 3
    sums = np.array([[int((image.ravel() * row.astype(np.int64)).sum()) for row in _worst_weights((5, depth))]
                     for image in images])  # fmt: skip
    assert 2**31 - 2**25 < np.abs(sums).max() < 2**31, "near the edge"
    found = compiled(network.bytes(), tiny_contract, tmp_path).run(images)
    np.testing.assert_array_equal(found, _expected(sums, [0.001] * 5, 100.0, 1))


def test_an_accumulator_beyond_its_bound_is_refused() -> None:
    with pytest.raises(InputError, match=r"'fully_connected_2' .* accumulator may reach 2,1\d\d,\d+"):
        read(_dense(149).bytes())


def test_every_kernel_is_included_once_and_includes_are_gone() -> None:
    text = kernels.amalgamated(["convolution", "add", "softmax", "convolution"], "litert-builtin", TARGETS["portable"])
    assert "#include" not in text
    assert text.count("ALWAYS_INLINE int32_t multiplied(") == 1
    assert text.count("ALWAYS_INLINE void convolution(") == 2, "by blocks, and else one output after the other"
    assert text.count("multiplier_t;") == 1
    assert text.index("int8_t clamped(") < text.index("int32_t multiplied(") < text.index("void convolution(")
