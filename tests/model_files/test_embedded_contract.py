"""The contract inside an exported file is compared with the run's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.model_files.embedded_contract import differences
from edgecnn.pretrained import pretrained_runs
from edgecnn.records import Contract
from edgecnn.run_directory import CONTRACT, Run


def test_the_same_contract_has_no_differences(tiny_onnx: Path, tiny_contract: Contract) -> None:
    assert differences(tiny_onnx, tiny_contract) == ()


def test_other_labels_and_another_model_are_told(tiny_onnx: Path, tiny_contract: Contract) -> None:
    changed = replace(tiny_contract, labels=tiny_contract.labels[::-1], model_sha256="1" * 64)
    assert differences(tiny_onnx, changed) == (
        "it was made from another model",
        "its labels are others, or in another order",
    )


def test_a_contract_of_schema_1_is_told(tiny_onnx: Path, tiny_contract: Contract) -> None:
    tiny_onnx.write_bytes(tiny_onnx.read_bytes().replace(b'"schema": 2', b'"schema": 1'))
    (told,) = differences(tiny_onnx, tiny_contract)
    assert "was written by an older edgecnn" in told and told.endswith("export it again")


def test_an_unknown_kind_of_file_is_a_difference(tmp_path: Path, tiny_contract: Contract) -> None:
    unknown = tmp_path / "model.mnn"
    unknown.write_bytes(b"weights")
    assert differences(unknown, tiny_contract) == ("no reader here knows whether a .mnn file carries the contract",)


def test_a_saved_model_answers_for_itself_with_its_inputs_and_outputs(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    run = Run(pretrained_runs()["cifar10-cnn"])
    contract = run.load(CONTRACT, Contract, "export")
    folder = Path(shutil.copytree(run.path("exports/saved_model"), tmp_path / "saved_model"))
    assert differences(folder, contract) == ()
    small = replace(contract.input, shape=(None, 8, 8, 3))
    assert differences(folder, replace(contract, input=small)) == ("its inputs are others than the contract's",)
    three = replace(contract.output, name="scores")
    assert differences(folder, replace(contract, output=three)) == ("its outputs are others than the contract's",)
    content = (folder / "saved_model.pb").read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"weights"):
        (folder / "saved_model.pb").write_bytes(damaged)
        (told,) = differences(folder, contract)
        assert "is damaged" in told
