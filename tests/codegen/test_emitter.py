"""The C files as a whole: equal to TFLite Micro's interpreter to the bit, clean, readable, the same twice."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.emitter import c_name, emit
from edgecnn.codegen.reader import read
from edgecnn.codegen.reference import outputs_of
from edgecnn.data.datasets.synthetic import draw
from edgecnn.model_files import c_header
from edgecnn.records import Contract, decode
from edgecnn.runtimes import tflm_interpreter
from tests.codegen.compiled import COMPILERS, CXX, GATE, build, compiled, compiled_together, contract_for
from tests.codegen.networks import Network, random_network

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISHED = Path(__file__).parents[2] / "artifacts"
RUNS = ("cifar10-cnn", "cifar10-resnet8")
NETWORKS, MANY_NETWORKS, TOGETHER = 12, 500, 50
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "{name}.h"

int main(void) {{
    void *arena = malloc({prefix}_ARENA_BYTES);
    int wrong = {name}_selftest(arena);
    free(arena);
    printf("%d\\n", wrong);
    return wrong;
}}
"""

needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no C compiler: apt install gcc")


def _model(run: str) -> bytes:
    return (PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes()


def _contract(run: str) -> Contract:
    return decode((PUBLISHED / run / "contract.json").read_bytes(), Contract, "contract.json")


def _micro(flatbuffer: bytes, images: np.ndarray) -> np.ndarray:
    """What TFLite Micro's own interpreter gives, int8 [N, classes]."""
    pytest.importorskip("tflite_micro", reason="pip install 'edgecnn[micro]'")
    ready = tflm_interpreter.interpreter(flatbuffer, 1 << 22)
    outputs = []
    for image in images:
        ready.set_input(image[None], 0)
        ready.invoke()
        outputs.append(np.array(ready.get_output(0)).ravel())
    return np.stack(outputs)


def _random_images(shape: tuple[int, ...], seed: int, count: int = 6) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    return np.concatenate([noise, np.zeros((1, *shape), np.uint8), np.full((1, *shape), 255, np.uint8)])


@needs_compiler
@pytest.mark.parametrize("run", RUNS)
def test_published_models_equal_tflite_micro_to_the_bit(run: str, tmp_path: Path) -> None:
    images = draw(60, seed=5, split="test")[0]
    made = compiled(_model(run), _contract(run), tmp_path)
    assert made.selftest() == 0
    found, wanted = made.run(images), _micro(_model(run), images)
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(wanted, axis=0)) > 50, "the images differ for it"
    np.testing.assert_array_equal(made.run(images[:5], in_arena=True), wanted[:5])


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("run", RUNS)
def test_published_models_equal_tflite_micro_on_cifar10(run: str, tmp_path: Path) -> None:
    """1,500 test images, or as many as EDGECNN_TEST_IMAGES says."""
    from edgecnn.data.loading import load_data
    from edgecnn.errors import DataUnavailable

    try:
        data = load_data("cifar10", (32, 32))
    except DataUnavailable as error:
        pytest.skip(str(error))
    images = data.test_images[: int(os.environ.get("EDGECNN_TEST_IMAGES", "1500"))]
    found = compiled(_model(run), _contract(run), tmp_path, flags=["-O2"]).run(images)
    np.testing.assert_array_equal(found, _micro(_model(run), images))


def _differences(seeds: Sequence[int], contract: Contract, folder: Path) -> list[str]:
    """Of random networks: those whose C, or whose numpy reference, is not TFLite Micro to the bit."""
    wrong = []
    networks = [random_network(seed) for seed in seeds]
    made = compiled_together([network.bytes() for network in networks], contract, folder)
    for seed, network, model in zip(seeds, networks, made, strict=True):
        images = _random_images(network.shape, seed)
        wanted = _micro(network.bytes(), images)
        if not np.array_equal(outputs_of(read(network.bytes()), images), wanted):
            wrong.append(f"network {seed}, numpy")
        for in_arena in (False, True):
            if not np.array_equal(model.run(images, in_arena=in_arena), wanted) or model.selftest():
                wrong.append(f"network {seed}, C, image in the arena: {in_arena}")
    return wrong


@needs_compiler
def test_random_networks_equal_tflite_micro_to_the_bit(tiny_contract: Contract, tmp_path: Path) -> None:
    assert _differences(range(NETWORKS), tiny_contract, tmp_path) == []


@pytest.mark.slow
@needs_compiler
def test_many_random_networks_equal_tflite_micro_to_the_bit(tiny_contract: Contract, tmp_path: Path) -> None:
    first = int(os.environ.get("EDGECNN_FIRST_NETWORK", "1000"))
    count = int(os.environ.get("EDGECNN_NETWORKS", MANY_NETWORKS))
    seeds = range(first, first + count)
    parts = [seeds[at : at + TOGETHER] for at in range(0, count, TOGETHER)]
    assert [words for part in parts for words in _differences(part, tiny_contract, tmp_path / str(part[0]))] == []


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("run", RUNS)
def test_it_compiles_as_c_and_as_cpp_without_a_warning(run: str, compiler: str, tmp_path: Path) -> None:
    if compiler not in COMPILERS:
        pytest.skip(f"no {compiler}: apt install {compiler}")
    emit(read(_model(run)), _contract(run), tmp_path)
    for source in sorted(tmp_path.glob("*.c")):
        for flags in (GATE, CXX):
            build(compiler, [*flags, "-O2", "-c", str(source), "-o", str(tmp_path / "object.o")])


@needs_compiler
@pytest.mark.parametrize("seed", [None, 3, 8])
def test_sanitizers_find_nothing(seed: int | None, tiny_contract: Contract, tmp_path: Path) -> None:
    flatbuffer = _model("cifar10-resnet8") if seed is None else random_network(seed).bytes()
    graph = read(flatbuffer)
    emit(graph, contract_for(tiny_contract, graph), tmp_path)
    (tmp_path / "main.c").write_text(MAIN.format(name="tiny", prefix="TINY"))
    program = tmp_path / "program"
    sources = [str(tmp_path / name) for name in ("main.c", "tiny.c", "tiny_selftest.c")]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    build(COMPILERS[0], [*GATE, *checks, *sources, "-o", str(program)])
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@needs_compiler
def test_the_self_test_finds_a_changed_weight(tiny_contract: Contract, tmp_path: Path) -> None:
    made = compiled(random_network(3).bytes(), tiny_contract, tmp_path)
    assert made.selftest() == 0
    source = tmp_path / "tiny.c"
    changed = re.sub(r"(_bias\[\d+\] = \{\n\s+)(-?\d+)", lambda found: f"{found[1]}{int(found[2]) + 9000}",
                     source.read_text())  # fmt: skip
    assert changed != source.read_text()
    source.write_text(changed)
    library = tmp_path / "changed.so"
    build(COMPILERS[0], ["-fPIC", "-shared", str(source), str(tmp_path / "tiny_selftest.c"), "-o", str(library)])
    import ctypes

    function = ctypes.CDLL(str(library)).tiny_selftest
    assert 1 <= function(ctypes.create_string_buffer(int(made.header.numbers["ARENA_BYTES"]))) <= 8
    assert function(None) == -1


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        emit(read(_model("cifar10-cnn")), _contract("cifar10-cnn"), tmp_path / folder)
        files.append({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert files[0] == files[1]
    assert set(files[0]) == {"cnn_cifar10.h", "cnn_cifar10.c", "cnn_cifar10_selftest.c"}


def test_the_files_are_readable_and_need_no_library(tmp_path: Path) -> None:
    emit(read(_model("cifar10-cnn")), _contract("cifar10-cnn"), tmp_path)
    source, header = (tmp_path / "cnn_cifar10.c").read_text(), (tmp_path / "cnn_cifar10.h").read_text()
    assert set(re.findall(r"#include (\S+)", source + header)) == {"<stdint.h>", '"cnn_cifar10.h"'}
    assert not re.search(r"\b(malloc|free|float|double|static (?!const|inline))\b", source.split("*/", 1)[1])
    for line in ("conv2d: CONV_2D + MAX_POOL_2D, 32x32x3 -> 15x15x32", "dense: FULLY_CONNECTED, 1x1x1024 -> 1x1x64"):
        assert line in source and line in header
    assert all(len(line) <= 200 for line in (source + header).splitlines())
    assert '"airplane"' in header


def test_the_contract_travels_in_the_header_whatever_it_says(tiny_contract: Contract, tmp_path: Path) -> None:
    from dataclasses import replace

    graph = read(random_network(3).bytes())
    fitted = contract_for(tiny_contract, graph)
    names = ('*/ "quoted" \\', "/* ??/ ünï", *fitted.labels[2:])
    strange = replace(fitted, labels=names)
    emit(graph, strange, tmp_path)
    content = c_header.read(tmp_path).contract
    assert content is not None
    assert decode(content, Contract, "the header") == strange
    if COMPILERS:
        labels = tmp_path / "labels.c"
        labels.write_text('#include "tiny.h"\nconst char *const names[] = TINY_LABELS;\n')
        build(COMPILERS[0], [*GATE, "-c", str(labels), "-o", str(tmp_path / "labels.o")])


@pytest.mark.parametrize(
    ("model", "name"),
    [("cnn-cifar10", "cnn_cifar10"), ("ResNet 8", "resnet_8"), ("8bit", "model_8bit"), ("é", "model")],
)
def test_names_are_c_identifiers(model: str, name: str) -> None:
    assert c_name(model) == name


def test_layers_of_one_c_name_are_told_apart(tiny_contract: Contract, tmp_path: Path) -> None:
    network = Network((4, 4, 3))
    weights = np.full((4, 48), 3, np.int8)
    flat = network.add("RESHAPE", [network.last, network.constant(np.array([1, 48], np.int32))], (48,))
    first = network.weighted("FULLY_CONNECTED", flat, weights, (4,), scales=[0.1], scale=0.3, zero_point=0)
    network.weighted("FULLY_CONNECTED", first, weights[:, :4], (4,), scales=[0.1], scale=0.3, zero_point=0)
    names = [tensor.name for tensor in network.graph.tensors]
    graph = read(network.bytes(), {names[first]: "a/b", names[network.last]: "a_b"})
    emit(graph, contract_for(tiny_contract, graph), tmp_path)
    arrays = re.findall(r"static const \w+ (\w+_weights)\[", (tmp_path / "tiny.c").read_text())
    assert arrays == ["a_b_weights", "a_b_2_weights"]


def test_generation_does_not_take_minutes(tmp_path: Path) -> None:
    """Of a search that grows with the square of the layers; the bound is wide, whatever the machine does."""
    network = Network((8, 8, 3))
    for _ in range(40):
        weights = np.full((3, 1, 1, 3), 1, np.int8)
        network.weighted(
            "CONV_2D", network.last, weights, (8, 8, 3), scales=[0.1], scale=0.01, zero_point=0,
            dilationHFactor=1, dilationWFactor=1,
        )  # fmt: skip
    from edgecnn.codegen.planner import plan

    begun = time.process_time()
    plan(read(network.bytes()))
    assert time.process_time() - begun < 60
