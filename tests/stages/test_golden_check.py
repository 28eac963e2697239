"""A published run answers as published, and one that does not is told."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from edgecnn import pretrained, run_directory
from edgecnn.cli import _run as command
from edgecnn.errors import InputError
from edgecnn.records import Golden, GoldenRow
from edgecnn.run_directory import Run
from edgecnn.runtimes.runtime import Runtime
from edgecnn.stages.golden_check import COUNT, check, make
from tests import faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def small(golden_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A small run published under the name `small`."""
    run = Run(shutil.copytree(golden_run, tmp_path / "small"))
    make(run)
    monkeypatch.setattr(pretrained, "PLACES", (tmp_path,))
    monkeypatch.setattr(pretrained, "NAMES", ("small",))
    monkeypatch.chdir(tmp_path.parent)
    return run


def test_the_outputs_of_everything_are_kept_and_found_again(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    record = small.load(run_directory.GOLDEN, Golden, "parity")
    names = {target.name for target in record.targets}
    assert len(names) == len(record.targets) >= len(small.artifacts().artifacts)
    assert {len(rows) for rows in (record.reference, *(target.outputs for target in record.targets))} == {COUNT}
    before = {path: path.stat().st_mtime_ns for path in small.root.rglob("*")}
    assert command(["parity", "small", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "pass"
    rows = [GoldenRow(**row) for row in told["rows"]]
    assert {row.name for row in rows} == {*names, "keras"}
    assert {row.format for row in rows} == {*(artifact.format for artifact in small.artifacts().artifacts), "keras"}
    assert all(row["sqnr_db"] is None for row in told["rows"]), "here it is the same machine: equal to the bit"
    assert {path: path.stat().st_mtime_ns for path in small.root.rglob("*")} == before


def test_a_file_that_answers_otherwise_is_named(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    faults.scale_layer(small.path("exports/onnx_float32.onnx"), "conv2d")
    shutil.copy(small.path("exports/tflite_float32.tflite"), small.path("exports/tflite_float16.tflite"))
    assert command(["parity", "small"]) == 1
    told = capsys.readouterr()
    assert "small does not give its published outputs: onnx_float32 on onnxruntime (cpu): its outputs are" in told.err
    assert "tflite_float16 on litert (xnnpack): it is not the file that was published" in told.err
    assert "tflite_float32 on litert (xnnpack): as published (equal to the bit)" in told.out
    assert "Accuracy was not measured" in told.out


def test_a_broken_file_fails_and_one_nobody_can_be_asked_about_is_not_proven(
    small: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = small.path("exports/onnx_int8.onnx")
    whole = onnx.read_bytes()
    onnx.write_bytes(whole[: len(whole) // 2])
    assert command(["parity", "small"]) == 1
    assert "onnx_int8 on onnxruntime (cpu): it does not run" in capsys.readouterr().err
    monkeypatch.setattr(Runtime, "missing", lambda runtime: "onnxruntime" * (runtime.name == "onnxruntime"))
    assert command(["parity", "small"]) == 1
    assert "onnx_int8: it is not the file that was published" in capsys.readouterr().err
    onnx.write_bytes(whole)
    assert command(["parity", "small"]) == 1
    assert "small is not proven: onnx_float32, onnx_int8 could not run here." in capsys.readouterr().err


def test_options_of_ones_own_run_are_refused(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["parity", "small", "--remote", "ssh://pi"]) == 2
    assert "--remote needs a run of your own" in capsys.readouterr().err


def test_other_drawn_images_are_refused(small: Run) -> None:
    record = json.loads(small.path(run_directory.GOLDEN).read_bytes())
    small.save(run_directory.GOLDEN, {**record, "images_sha256": "0" * 64})
    with pytest.raises(InputError, match="for other synthetic images"):
        check(small)
    small.path(run_directory.GOLDEN).unlink()
    with pytest.raises(InputError, match=r"golden\.json is missing"):
        check(small)
