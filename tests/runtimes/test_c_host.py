"""Generated C in a worker: compiled here, compared, and a sentence where that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.emitter import emit
from edgecnn.codegen.reader import read
from edgecnn.codegen.reference import outputs_of
from edgecnn.errors import InputError, MachineError
from edgecnn.execution.client import ModelWorker
from edgecnn.model_files.embedded_contract import differences
from edgecnn.runtimes.c_host import compiler, load
from edgecnn.stages.inspect import describe, inspect
from tests.codegen.compiled import COMPILERS, contract_for
from tests.codegen.networks import random_network

if TYPE_CHECKING:
    from edgecnn.records import Contract

needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no C compiler: apt install gcc")
NETWORK = random_network(3)


@pytest.fixture
def folder(tiny_contract: Contract, tmp_path: Path) -> Path:
    """An export of a small network."""
    graph = read(NETWORK.bytes())
    place = tmp_path / "c_int8"
    place.mkdir()
    emit(graph, contract_for(tiny_contract, graph), place)
    return place


@needs_compiler
def test_a_worker_runs_it_and_dequantizes(folder: Path, tmp_path: Path) -> None:
    graph = read(NETWORK.bytes())
    output = graph.tensors[graph.output]
    images = np.random.default_rng(2).integers(0, 256, (9, *NETWORK.shape), np.uint8)
    np.save(tmp_path / "images.npy", images)
    with ModelWorker("c_host", folder, threads=1) as worker:
        worker.run(tmp_path / "images.npy", tmp_path / "outputs.npy", 4)
        nodes = worker.loaded["placement"]["compute_nodes"]
    found = np.load(tmp_path / "outputs.npy")
    wanted = (outputs_of(graph, images).astype(np.float32) - np.float32(output.zero_point)) * np.float32(output.scale)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    assert list(nodes) == ["generated C"] and nodes["generated C"] >= 1


@needs_compiler
def test_images_of_another_size_are_refused(folder: Path) -> None:
    session = load(folder, 1, "cpu", ())
    with pytest.raises(InputError, match="takes images of"):
        session.run(np.zeros((1, 50, 50, 3), np.uint8))


def test_without_a_compiler_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MachineError, match=r"no C compiler here \(cc, gcc, clang\): install gcc or clang"):
        load(folder, 1, "cpu", ())
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(MachineError, match=r"\(no-such-compiler\)"):
        compiler()


@needs_compiler
def test_broken_source_is_named(folder: Path) -> None:
    (folder / "tiny.c").write_text('#include "tiny.h"\nint broken(\n')
    with pytest.raises(InputError, match=r"tiny\.c does not compile with \w+: .*error"):
        load(folder, 1, "cpu", ())


def test_a_folder_without_a_whole_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no generated C model"):
        load(tmp_path, 1, "cpu", ())
    (folder / "tiny.c").unlink()
    with pytest.raises(InputError, match=r"tiny\.h is not the whole header"):
        load(folder, 1, "cpu", ())


def test_its_contract_is_compared(folder: Path, tiny_contract: Contract) -> None:
    fitted = contract_for(tiny_contract, read(NETWORK.bytes()))
    assert differences(folder, fitted) == ()
    header = folder / "tiny.h"
    header.write_text(header.read_text().replace('"label 0"', '"other"'))
    assert differences(folder, fitted) == ("its labels are others, or in another order",)
    header.write_text(header.read_text().split("/* edgecnn.contract")[0])
    assert differences(folder, fitted) == ("it carries no contract",)


def test_inspect_reads_the_header(folder: Path) -> None:
    found = inspect(folder)
    graph = read(NETWORK.bytes())
    assert found.kind == "C"
    assert sum(found.operators.values()) == sum(len(step.operators) for step in graph.steps)
    assert found.multiply_adds == sum(map(graph.multiply_adds, graph.steps))
    assert found.inputs[0].shape == (1, *NETWORK.shape)
    assert found.outputs[0].zero_point == graph.tensors[graph.output].zero_point
    assert "Nothing is missing." in describe(found)
