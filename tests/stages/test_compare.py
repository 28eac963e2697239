"""Two runs side by side."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.records import Parity
from edgecnn.run_directory import Run
from edgecnn.stages.compare import compare
from edgecnn.stages.parity import ParityOptions, parity
from tests import faults

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("onnx_float32", "tflite_int8")


@pytest.fixture(scope="module")
def old(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(shutil.copytree(golden_run, tmp_path_factory.mktemp("compare") / "old"))
    parity(run, ParityOptions(formats=FORMATS, tolerances={"": 8.0}))
    return run


@pytest.fixture
def new(old: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(old.root, tmp_path / "new"))


def test_a_run_is_no_worse_than_itself(old: Run, new: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["compare", str(old.root), str(new.root)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "no difference shown" in line]
    assert len(told) == 3
    assert all("on the same images" in line for line in told)


def test_a_worse_run_is_named_and_the_command_exits_1(old: Run, new: Run, capsys: pytest.CaptureFixture[str]) -> None:
    faults.export_changed(new, ["onnx_float32"], faults.permute_logits)
    parity(new, ParityOptions(formats=FORMATS, tolerances={"": 8.0}))
    assert command(["compare", str(old.root), str(new.root), "--json"]) == 1
    told = capsys.readouterr()
    reason = "accuracy of onnx_float32 on onnxruntime (cpu): it fails parity now"
    assert f"{new.root} is worse than {old.root}: {reason}." in told.err
    record = json.loads(told.out)
    rows = {row["name"]: row for row in record["rows"]}
    assert record["same_images"]
    assert [(one["kind"], one["name"]) for one in record["regressions"]] == [
        ("accuracy", "onnx_float32 on onnxruntime (cpu)")
    ]
    assert rows["onnx_float32 on onnxruntime (cpu)"]["accuracy_change"]["high_points"] < 0
    assert rows["onnx_float32 on onnxruntime (cpu)"]["new_verdict"] == "fail"
    assert rows["tflite_int8 on litert (xnnpack)"]["state"] == "no difference shown"
    assert compare(new, old).regressions == ()
    assert {row.state for row in compare(new, old).rows} == {"better", "no difference shown"}


def test_other_images_are_compared_as_independent_samples(old: Run, new: Run) -> None:
    with np.load(new.path(run_directory.PREDICTIONS)) as archive:
        changed = {**archive, "images": np.array("other images")}
    np.savez(new.path(run_directory.PREDICTIONS), **changed)
    parity_record = new.load(run_directory.PARITY, Parity, "parity")
    outputs = {**parity_record.origin.outputs, run_directory.PREDICTIONS: new.hash_of(run_directory.PREDICTIONS)}
    new.save(run_directory.PARITY, replace(parity_record, origin=replace(parity_record.origin, outputs=outputs)))
    record = compare(old, new)
    assert not record.same_images
    change = record.rows[0].accuracy_change
    assert change is not None and change.points == 0
    assert change.high_points > 3, "much wider than image by image"


def test_what_only_one_of_them_has_is_said(old: Run, new: Run, capsys: pytest.CaptureFixture[str]) -> None:
    record = new.load(run_directory.PARITY, Parity, "parity")
    new.save(run_directory.PARITY, replace(record, rows=record.rows[:1]))
    assert command(["compare", str(old.root), str(new.root)]) == 1, "what passed before has to be there"
    assert f"Only in {old.root}: tflite_int8 on litert (xnnpack)" in capsys.readouterr().out


def test_a_run_without_parity_is_refused(old: Run, new: Run, capsys: pytest.CaptureFixture[str]) -> None:
    new.path(run_directory.PREDICTIONS).write_bytes(b"no archive")
    assert command(["compare", str(old.root), str(new.root)]) == 4
    assert "does not belong to parity.json" in capsys.readouterr().err
    new.path(run_directory.PREDICTIONS).unlink()
    assert command(["compare", str(old.root), str(new.root)]) == 4
    new.path(run_directory.PARITY).unlink()
    assert command(["compare", str(old.root), str(new.root)]) == 4
    assert command(["compare", str(old.root), "nowhere"]) == 4
