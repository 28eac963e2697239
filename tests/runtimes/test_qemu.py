"""Generated C on emulated boards: the same bytes as on this computer, and instructions that are counted exactly."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.emitter import emit
from edgecnn.codegen.reader import read
from edgecnn.codegen.reference import outputs_of
from edgecnn.codegen.target import TARGETS
from edgecnn.data.datasets.synthetic import draw
from edgecnn.errors import InputError, MachineError
from edgecnn.model_files import c_header
from edgecnn.records import Contract, decode
from edgecnn.run_directory import Run
from edgecnn.runtimes import bare_metal, linux_user
from edgecnn.runtimes.bare_metal import BOARDS, PACKAGES, Program
from edgecnn.runtimes.qemu import load
from edgecnn.stages.parity import ParityOptions, parity
from tests.codegen.compiled import contract_for
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.codegen.graph import Graph

PUBLISHED = Path(__file__).parents[2] / "artifacts"
PAIRS = [(board.name, target) for board in BOARDS.values() for target in board.targets]


@pytest.fixture
def _tools() -> None:
    _need(PACKAGES)


def _published(run: str, target: str, folder: Path) -> tuple[Graph, c_header.CHeader]:
    contract = decode((PUBLISHED / run / "contract.json").read_bytes(), Contract, "contract.json")
    graph = read((PUBLISHED / run / "exports" / "tflite_int8_micro.tflite").read_bytes())
    emit(graph, contract, folder, TARGETS[target])
    return graph, c_header.read(folder)


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path, _tools: None) -> Iterator[tuple[Graph, Program]]:
    """The published CNN, for a board and a target."""
    board, target = request.param
    graph, header = _published("cifar10-cnn", target, tmp_path)
    made = Program(header, BOARDS[board])
    yield graph, made


@pytest.mark.parametrize("program", PAIRS, indirect=True)
def test_every_board_gives_the_same_bytes_and_counts_the_same_twice(program: tuple[Graph, Program]) -> None:
    graph, made = program
    images = draw(4, seed=5, split="test")[0]
    outputs, instructions = made.run(images)
    np.testing.assert_array_equal(outputs, outputs_of(graph, images))
    assert instructions.min() > 500_000
    np.testing.assert_array_equal(made.run(images)[1], instructions)
    assert np.ptp(instructions) < 0.01 * instructions[0], "what an image shows hardly matters"


@pytest.mark.usefixtures("_tools")
@pytest.mark.parametrize(("board", "target"), [("cortex-m4", "cortex-m-dsp"), ("cortex-m55", "cortex-m-mve")])
def test_the_larger_model_too(board: str, target: str, tmp_path: Path) -> None:
    graph, header = _published("cifar10-resnet8", target, tmp_path)
    images = draw(3, seed=5, split="test")[0]
    np.testing.assert_array_equal(Program(header, BOARDS[board]).run(images)[0], outputs_of(graph, images))


@pytest.mark.usefixtures("_tools")
@pytest.mark.parametrize(("board", "target"), [("cortex-m4", "cortex-m-dsp"), ("cortex-m55", "cortex-m-mve")])
def test_random_networks_give_the_same_bytes(board: str, target: str, tiny_contract: Contract, tmp_path: Path) -> None:
    for seed in range(10):
        network, folder = random_network(seed), tmp_path / str(seed)
        graph = read(network.bytes())
        folder.mkdir()
        emit(graph, contract_for(tiny_contract, graph), folder, TARGETS[target])
        images = np.random.default_rng(seed).integers(0, 256, (6, *network.shape), np.uint8)
        images[:2] = np.array([0, 255])[:, None, None, None]
        found, _ = Program(c_header.read(folder), BOARDS[board]).run(images)
        np.testing.assert_array_equal(found, outputs_of(graph, images))


@pytest.mark.usefixtures("_tools")
def test_what_does_not_fit_is_said_in_bytes(tmp_path: Path) -> None:
    _, header = _published("cifar10-resnet8", "portable", tmp_path)
    with pytest.raises(InputError, match=r"does not fit micro:bit, Cortex-M0: it needs [\d,]+ bytes more of RAM"):
        Program(header, BOARDS["microbit"])
    small = replace(BOARDS["microbit"], flash_bytes=64 * 1024)
    _, header = _published("cifar10-cnn", "portable", tmp_path)
    with pytest.raises(InputError, match="bytes more of flash"):
        Program(header, small)


def test_c_for_other_instructions_is_refused(tmp_path: Path) -> None:
    _published("cifar10-cnn", "x86-vnni", tmp_path)
    with pytest.raises(MachineError, match="is written for x86-vnni, which micro:bit, Cortex-M0 does not run"):
        load(tmp_path, 1, "microbit", ())


def _need(packages: dict[str, str]) -> None:
    for tool, package in packages.items():
        if not shutil.which(tool):
            pytest.skip(f"no {tool}: apt install {package}")


@pytest.mark.parametrize("target", linux_user.TARGETS)
def test_aarch64_gives_the_same_bytes(target: str, tmp_path: Path) -> None:
    _need(linux_user.PACKAGES)
    graph, header = _published("cifar10-cnn", target, tmp_path)
    images = draw(8, seed=5, split="test")[0]
    session = load(tmp_path, 1, "aarch64", ())
    np.testing.assert_array_equal(session.run(images)["output"], header.dequantized(outputs_of(graph, images)))
    assert session.placement.instructions_per_image is None


@pytest.mark.parametrize("tool", PACKAGES)
def test_a_missing_tool_is_named_with_its_package(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, header = _published("cifar10-cnn", "portable", tmp_path)
    for name in PACKAGES:
        if name != tool:
            (tmp_path / name).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=rf"{tool} is not installed; install Debian's package {PACKAGES[tool]}"):
        Program(header, BOARDS["cortex-m4"])


@pytest.mark.slow
@pytest.mark.usefixtures("_tools")
def test_parity_counts_instructions_where_it_is_named(every_format_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(every_format_run, tmp_path / "run")))
    record = parity(run, ParityOptions(formats=("c_int8", "tflite_int8_micro"), max_images=20))
    assert not any(row.runtime == "qemu" for row in record.rows), "only where it is named"
    record = parity(run, ParityOptions(formats=("c_int8",), runtimes=("qemu", "c_host"), max_images=20))
    rows = {row.provider: row for row in record.rows if row.runtime == "qemu"}
    assert set(rows) == {*BOARDS, "aarch64"}
    for provider, row in rows.items():
        assert row.images == 20
        assert (row.placement.instructions_per_image is None) == (provider == "aarch64")
        assert len(row.bit_equal_to) >= len(BOARDS), "the others, and this computer where it ran as many images"


def test_a_tick_is_worth_a_whole_number_of_instructions_times_a_fraction() -> None:
    """A loop of two instructions a round fits into the counter of 24 bits on every board."""
    assert 2 * bare_metal.LOOP_ROUNDS / 31.25 < 2**24
