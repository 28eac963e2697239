"""The contract inside an exported file is compared with the run's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.model_files.embedded_contract import differences

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract


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


def test_a_saved_model_carries_none_and_an_unknown_kind_of_file_is_a_difference(
    tmp_path: Path, tiny_contract: Contract
) -> None:
    (tmp_path / "saved_model.pb").touch()
    assert differences(tmp_path, tiny_contract) == ()
    unknown = tmp_path / "model.mnn"
    unknown.write_bytes(b"weights")
    assert differences(unknown, tiny_contract) == ("no reader here knows whether a .mnn file carries the contract",)
