"""Each rounding against the runtime whose outputs it gives: LiteRT with XNNPACK, without, and its reference kernels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgecnn.codegen.reader import read
from edgecnn.codegen.reference import outputs_of
from edgecnn.codegen.rounding import ROUNDINGS, pick_rounding
from edgecnn.data.datasets.synthetic import draw
from edgecnn.errors import InputError, UsageError
from edgecnn.records import Contract, decode
from tests.codegen.compiled import COMPILERS, compiled
from tests.codegen.networks import Network, random_network

if TYPE_CHECKING:
    from collections.abc import Iterable

PUBLISHED = Path(__file__).parents[2] / "artifacts"
RUNS = ("cifar10-cnn", "cifar10-resnet8")
RESOLVERS = {
    "litert-reference": OpResolverType.BUILTIN_REF,
    "litert-builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.AUTO,
}
NETWORKS = 60

needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no C compiler: apt install gcc")


def _litert(flatbuffer: bytes, rounding: str, images: np.ndarray) -> np.ndarray:
    """What LiteRT gives with the kernels of that name, int8 [N, classes]."""
    ready = Interpreter(model_content=flatbuffer, experimental_op_resolver_type=RESOLVERS[rounding], num_threads=1)
    ready.allocate_tensors()
    image, output = ready.get_input_details()[0]["index"], ready.get_output_details()[0]["index"]
    outputs = []
    for one in images:
        ready.set_tensor(image, one[None])
        ready.invoke()
        outputs.append(ready.get_tensor(output).ravel().copy())
    return np.stack(outputs)


def _model(run: str) -> tuple[bytes, Contract]:
    folder = PUBLISHED / run
    contract = decode((folder / "contract.json").read_bytes(), Contract, "contract.json")
    return (folder / "exports" / "tflite_int8_micro.tflite").read_bytes(), contract


@needs_compiler
@pytest.mark.parametrize("rounding", RESOLVERS)
@pytest.mark.parametrize("run", RUNS)
def test_published_models_equal_litert_to_the_bit(run: str, rounding: str, tmp_path: Path) -> None:
    images = draw(60, seed=5, split="test")[0]
    model, contract = _model(run)
    made = compiled(model, contract, tmp_path, rounding=rounding)
    assert made.selftest() == 0
    np.testing.assert_array_equal(made.run(images), _litert(model, rounding, images))


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("rounding", RESOLVERS)
@pytest.mark.parametrize("run", RUNS)
def test_published_models_equal_litert_on_cifar10(run: str, rounding: str, tmp_path: Path) -> None:
    """2,000 test images, or as many as EDGECNN_TEST_IMAGES says."""
    from edgecnn.data.loading import load_data
    from edgecnn.errors import DataUnavailable

    try:
        data = load_data("cifar10", (32, 32))
    except DataUnavailable as error:
        pytest.skip(str(error))
    images = data.test_images[: int(os.environ.get("EDGECNN_TEST_IMAGES", "2000"))]
    model, contract = _model(run)
    found = compiled(model, contract, tmp_path, rounding=rounding, flags=["-O2"]).run(images)
    np.testing.assert_array_equal(found, _litert(model, rounding, images))


@pytest.mark.parametrize("rounding", RESOLVERS)
def test_random_networks_equal_litert_to_the_bit(rounding: str) -> None:
    """By the numpy reference, to which other tests hold the C."""
    first = int(os.environ.get("EDGECNN_FIRST_NETWORK", "0"))
    compared, wrong = _compared(range(first, first + int(os.environ.get("EDGECNN_NETWORKS", NETWORKS))), rounding)
    assert wrong == []
    assert compared > NETWORKS / 4


def _compared(seeds: Iterable[int], rounding: str) -> tuple[int, list[int]]:
    """How many random networks the rounding takes, and which of them differ."""
    compared, wrong = 0, []
    for seed in seeds:
        network = random_network(seed)
        model = network.bytes()
        images = np.random.default_rng(seed).integers(0, 256, (8, *network.shape), np.uint8)
        images[:2] = np.array([0, 255])[:, None, None, None]
        try:
            graph = read(model, rounding=ROUNDINGS[rounding])
        except InputError:
            continue
        compared += 1
        if not np.array_equal(outputs_of(graph, images), _litert(model, rounding, images)):
            wrong.append(seed)
    return compared, wrong


@needs_compiler
@pytest.mark.parametrize("rounding", RESOLVERS)
def test_random_networks_in_c_equal_numpy(rounding: str, tiny_contract: Contract, tmp_path: Path) -> None:
    compared = 0
    for seed in range(24):
        network = random_network(seed)
        try:
            graph = read(network.bytes(), rounding=ROUNDINGS[rounding])
        except InputError:
            continue
        compared += 1
        images = np.random.default_rng(seed).integers(0, 256, (8, *network.shape), np.uint8)
        made = compiled(network.bytes(), tiny_contract, tmp_path / str(seed), rounding=rounding)
        np.testing.assert_array_equal(made.run(images), outputs_of(graph, images))
    assert compared > 5


def test_the_roundings_differ_and_the_file_says_which_it_has(tmp_path: Path) -> None:
    from edgecnn.codegen.emitter import emit

    model, contract = _model("cifar10-cnn")
    images = draw(600, seed=5, split="test")[0]
    found = {}
    for name, rounding in ROUNDINGS.items():
        graph, folder = read(model, rounding=rounding), tmp_path / name
        folder.mkdir()
        emit(graph, contract, folder)
        assert f"Outputs equal those of {rounding.runtime} to the bit." in next(folder.glob("*.h")).read_text()
        found[name] = outputs_of(graph, images).tobytes()
    assert len(set(found.values())) == len(ROUNDINGS)


@pytest.mark.parametrize("kind", ["QUANTIZE", "SOFTMAX"])
def test_what_another_runtime_computes_otherwise_is_refused_by_layer(kind: str) -> None:
    network = Network((1, 1, 3))
    scale = {"scale": 1 / 256, "zero_point": -128}
    network.add(kind, [network.last], (1, 1, 3), **scale, options={"beta": 1.0} if kind == "SOFTMAX" else None)
    read(network.bytes())
    with pytest.raises(InputError, match=rf"'{kind.lower()}_1' .* {kind} has no kernel that rounds as LiteRT with XNN"):
        read(network.bytes(), rounding=ROUNDINGS["xnnpack"])


def test_a_mean_whose_last_channels_litert_rounds_otherwise_is_refused() -> None:
    network = Network((4, 4, 3))
    axes = network.constant(np.array([1, 2], np.int32))
    network.add("MEAN", [network.last, axes], (1, 1, 3), scale=0.1, zero_point=0, options={"keepDims": True})
    with pytest.raises(InputError, match="LiteRT without a delegate rounds the last of 3 means otherwise"):
        read(network.bytes(), rounding=ROUNDINGS["litert-builtin"])


def test_an_unknown_rounding_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="No rounding is called 'xnpack'; did you mean xnnpack"):
        pick_rounding("xnpack")
