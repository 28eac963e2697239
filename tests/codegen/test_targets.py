"""Every target gives the same bytes as whole-number arithmetic, also on the worst inputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.emitter import emit
from edgecnn.codegen.reader import read
from edgecnn.codegen.reference import outputs_of
from edgecnn.codegen.rounding import ROUNDINGS
from edgecnn.codegen.target import TARGETS, pick_target
from edgecnn.errors import UsageError
from edgecnn.model_files import c_header
from edgecnn.records import Contract, decode
from tests.codegen.compiled import COMPILERS, CXX, GATE, build, contract_for
from tests.codegen.networks import RELU, SAME, Network, random_network
from tests.codegen.programs import PLACES, launcher, outputs, program

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISHED = Path(__file__).parents[2] / "artifacts"
HERE = [name for name in TARGETS if name in PLACES]  # tests/runtimes/test_qemu.py has the others
DEPTH = 148 * 148 * 3  # of the deepest dense layer whose sums fit


def _images(shape: Sequence[int]) -> np.ndarray:
    """The worst: all 0, all 255, both in turns; and noise."""
    turns = np.arange(math.prod(shape)).reshape(shape) % 2 * 255
    noise = np.random.default_rng(7).integers(0, 256, (4, *shape))
    return np.concatenate([np.stack([0 * turns, 0 * turns + 255, turns, 255 - turns]), noise]).astype(np.uint8)


def _weights(shape: Sequence[int]) -> np.ndarray:
    """Of channels in turn: all 127, all -127, both in turns, noise."""
    turns = np.arange(math.prod(shape[1:])).reshape(shape[1:]) % 2 * 254 - 127
    noise = np.random.default_rng(1).integers(-127, 128, shape[1:])
    kinds = [0 * turns + 127, 0 * turns - 127, turns, noise]
    return np.stack([kinds[channel % 4] for channel in range(shape[0])]).astype(np.int8)


def _same(network: Network, target: str, contract: Contract, folder: Path, rounding: str = "tflite-micro") -> None:
    """Hold the compiled program to numpy, each image by itself."""
    graph, images = read(network.bytes(), rounding=ROUNDINGS[rounding]), _images(network.shape)
    wanted = outputs_of(graph, images)
    found = outputs(program(graph, target, contract, folder), images, wanted.shape[1])
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(wanted, axis=0)) > 2


@pytest.mark.parametrize("target", HERE)
@pytest.mark.parametrize(
    ("shape", "size", "stride", "same", "out", "pool"),
    [
        ((9, 7, 3), (1, 1), (1, 1), False, 5, 1), ((9, 11, 3), (3, 3), (1, 1), True, 16, 1),
        ((9, 8, 3), (5, 3), (2, 3), True, 17, 1), ((14, 13, 3), (7, 7), (1, 2), True, 33, 1),
        ((13, 11, 1), (3, 3), (1, 1), False, 40, 2), ((14, 14, 3), (3, 3), (1, 1), False, 16, 2),
        ((14, 14, 3), (3, 3), (1, 1), False, 33, 3), ((19, 11, 3), (3, 3), (1, 1), True, 20, 4),
    ],
)  # fmt: skip
def test_convolutions_on_the_worst_inputs(
    shape: tuple[int, int, int], size: tuple[int, int], stride: tuple[int, int], same: bool, out: int, pool: int,
    target: str, tiny_contract: Contract, tmp_path: Path,
) -> None:  # fmt: skip
    network, weights = Network(shape), _weights((out, *size, shape[2]))
    sides = zip(shape, size, stride, strict=False)
    made = [-(-seen // step) if same else (seen - side) // step + 1 for seen, side, step in sides]
    depth = math.prod(weights.shape[1:])
    source = network.weighted(
        "CONV_2D", network.last, weights, (*made, out), np.arange(out, dtype=np.int32) * 500,
        scales=[0.002 + 0.0007 * c for c in range(out)], scale=depth * 127 * 0.002 / 90, zero_point=-3,
        padding=SAME if same else 1, strideH=stride[0], strideW=stride[1], dilationHFactor=1, dilationWFactor=1,
        fusedActivationFunction=RELU if out % 2 else 0,
    )  # fmt: skip
    if pool > 1:
        options = {"filterHeight": pool, "filterWidth": pool, "strideH": pool, "strideW": pool, "padding": 1}
        network.add("MAX_POOL_2D", [source], (made[0] // pool, made[1] // pool, out), options=options)
        assert len(read(network.bytes()).steps) == 1, "they are one step"
    _same(network, target, tiny_contract, tmp_path)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("target", HERE)
def test_dense_layers_on_the_worst_inputs(target: str, rounding: str, tiny_contract: Contract, tmp_path: Path) -> None:
    """An input of all 255, weights of all 127, and the largest depth whose sums are refused no more."""
    network = Network((148, 148, 3))
    flat = network.add("RESHAPE", [network.last, network.constant(np.array([1, DEPTH], np.int32))], (DEPTH,))
    network.weighted(
        "FULLY_CONNECTED", flat, _weights((18, DEPTH)), (18,), scales=[0.001] * 18, scale=100.0, zero_point=1
    )
    _same(network, target, tiny_contract, tmp_path, rounding)


@pytest.mark.parametrize("target", HERE)
def test_random_networks(target: str, tiny_contract: Contract, tmp_path: Path) -> None:
    launcher(target)
    for seed in range(10):
        network = random_network(seed)
        graph = read(network.bytes())
        (tmp_path / str(seed)).mkdir()
        wanted = outputs_of(graph, _images(network.shape))
        command = program(graph, target, tiny_contract, tmp_path / str(seed))
        np.testing.assert_array_equal(outputs(command, _images(network.shape), wanted.shape[1]), wanted)


@pytest.mark.parametrize("run", ["cifar10-cnn", "cifar10-resnet8"])
@pytest.mark.parametrize("target", HERE)
def test_published_models(target: str, run: str, tiny_contract: Contract, tmp_path: Path) -> None:
    from edgecnn.data.datasets.synthetic import draw

    graph = read((PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes())
    images = draw(24, seed=5, split="test")[0]
    command = program(graph, target, tiny_contract, tmp_path, ["-O3"])
    np.testing.assert_array_equal(outputs(command, images, 10), outputs_of(graph, images))


@pytest.mark.parametrize("target", HERE)
def test_it_is_clean_with_sanitizers_and_as_cpp(target: str, tiny_contract: Contract, tmp_path: Path) -> None:
    compiler, start = launcher(target)
    graph = read(random_network(3).bytes())
    if not start:
        checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
        assert len(outputs(program(graph, target, tiny_contract, tmp_path, checks), _images((2, 2, 3))[:0], 1)) == 0
    emit(graph, contract_for(tiny_contract, graph), tmp_path, TARGETS[target])
    flags = [*TARGETS[target].flags, "-O2", "-c", str(tmp_path / "tiny.c"), "-o", str(tmp_path / "tiny.o")]
    for one in {compiler, *(COMPILERS if not start else ())}:
        build(one, [*GATE, *flags])
        if one in COMPILERS:
            build(one, [*CXX, *flags])


def test_plain_c_without_vectors_gives_the_same_bytes(tiny_contract: Contract, tmp_path: Path) -> None:
    graph = read((PUBLISHED / "cifar10-cnn" / "exports" / "tflite_int8_micro.tflite").read_bytes())
    images = np.random.default_rng(3).integers(0, 256, (6, 32, 32, 3), np.uint8)
    command = program(graph, "portable", tiny_contract, tmp_path, ["-O2", "-U__SSE2__", "-U__ARM_NEON"])
    np.testing.assert_array_equal(outputs(command, images, 10), outputs_of(graph, images))


def test_vnni_falls_back_to_avx2_where_the_compiler_is_not_told(tiny_contract: Contract, tmp_path: Path) -> None:
    compiler, _ = launcher("x86-avx2")
    graph = read(random_network(3).bytes())
    contents = {}
    for name in ("x86-avx2", "x86-vnni"):
        (tmp_path / name).mkdir()
        emit(graph, contract_for(tiny_contract, graph), tmp_path / name, TARGETS[name])
        place = tmp_path / name / "tiny.o"
        build(compiler, [*GATE, "-mavx2", "-O1", "-c", str(tmp_path / name / "tiny.c"), "-o", str(place)])
        contents[name] = place.read_bytes()
    assert contents["x86-avx2"] == contents["x86-vnni"]


def test_the_header_names_the_target_and_its_stack(tmp_path: Path) -> None:
    folder = PUBLISHED / "cifar10-cnn"
    contract = decode((folder / "contract.json").read_bytes(), Contract, "contract.json")
    graph = read((folder / "exports" / "tflite_int8_micro.tflite").read_bytes())
    emit(graph, contract, tmp_path, TARGETS["x86-vnni"])
    header = c_header.read(tmp_path)
    assert header.target == "x86-vnni"
    # Four windows of 3 x 3 x 64 inputs in 16 bits, and four sums of 32 channels.
    assert f"{4 * 576 * 2 + 4 * 32 * 4:,} bytes of buffers on the stack" in header.text


def test_an_unknown_target_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="No target is called 'x86-vni'; did you mean x86-vnni"):
        pick_target("x86-vni")
