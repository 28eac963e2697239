"""A published run answers as published, and one that does not is told."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from edgecnn import pretrained, run_directory
from edgecnn.cli import _run as command
from edgecnn.errors import InputError
from edgecnn.records import Golden, Parity, decode
from edgecnn.run_directory import Run
from edgecnn.runtimes.runtime import Runtime
from edgecnn.stages.golden_check import COUNT, PUBLISHED, GoldenOptions, check, make
from tests import faults
from tests.conftest import made_once

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def published_run(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden run with its published outputs; copy it before changing it."""
    return made_once(tmp_path_factory, "published", lambda path: make(Run(shutil.copytree(golden_run, path))))


@pytest.fixture
def small(published_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A small run published under the name `small`."""
    run = Run(shutil.copytree(published_run, tmp_path / "small"))
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
    told = decode(capsys.readouterr().out.encode(), Parity, "what parity prints")  # the shape of any run's parity
    assert told.verdict == "pass" and told.reference == PUBLISHED and told.reference_accuracy is None
    assert {row.name for row in told.rows} == {"keras on keras (cpu)", *names}
    assert all(row.sqnr_db is None and PUBLISHED in row.bit_equal_to for row in told.rows), "the same machine"
    assert len(told.agreement_matrix) == len(told.rows) + 1
    assert {path: path.stat().st_mtime_ns for path in small.root.rglob("*")} == before


def test_formats_runtimes_and_providers_are_chosen(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def names(*words: str) -> list[str]:
        assert command(["parity", "small", *words, "--json"]) == 0
        return [row.name for row in decode(capsys.readouterr().out.encode(), Parity, "what parity prints").rows]

    assert names("--format", "onnx_int8") == ["onnx_int8 on onnxruntime (cpu)"]
    assert names("--format", "keras", "--format", "tflite_float32") == [
        "keras on keras (cpu)", "tflite_float32 on litert (xnnpack)",
    ]  # fmt: skip
    assert {name.split(" on ")[1] for name in names("--runtime", "saved_model")} == {"saved_model (cpu)"}
    assert names("--format", "tflite_int8", "--ep", "builtin") == ["tflite_int8 on litert (builtin)"], (
        "a provider that did not run when the run was published is compared with one that did"
    )
    assert command(["parity", "small", "--format", "onnx_int9"]) == 2
    assert command(["parity", "small", "--format", "onnx_int8", "--runtime", "litert"]) == 2
    assert "None of these exports runs on litert" in capsys.readouterr().err
    assert command(["parity", "small", "--ep", "cuda"]) == 3
    assert "cuda was chosen and did not run" in capsys.readouterr().err


def test_a_chosen_format_is_checked_without_tensorflow(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Runtime.missing
    monkeypatch.setattr(
        Runtime, "missing", lambda self: "tensorflow" if "tensorflow" in self.packages else missing(self)
    )
    assert check(small, GoldenOptions(formats=("onnx_int8",))).verdict == "pass"
    everything = check(small)
    assert everything.verdict == "not proven"
    assert everything.reasons == ("keras, saved_model run on no runtime here",)


def test_a_file_that_answers_otherwise_is_named(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    faults.scale_layer(small.path("exports/onnx_float32.onnx"), "conv2d")
    shutil.copy(small.path("exports/tflite_float32.tflite"), small.path("exports/tflite_float16.tflite"))
    assert command(["parity", "small"]) == 1
    told = capsys.readouterr()
    assert "Parity failed:\n  onnx_float32 on onnxruntime (cpu): its outputs are" in told.err, "one line each"
    assert "  tflite_float16 on litert (xnnpack): it is not the file that was published" in told.err
    assert re.search(r"tflite_float32 on litert \(xnnpack\) .* equal  pass", told.out)
    assert "accuracy is not measured" in told.out


def test_a_broken_file_fails_and_one_nobody_can_be_asked_about_is_not_proven(
    small: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = small.path("exports/onnx_int8.onnx")
    whole = onnx.read_bytes()
    onnx.write_bytes(whole[: len(whole) // 2])
    assert command(["parity", "small", "--format", "onnx_int8"]) == 1
    assert "onnx_int8 on onnxruntime (cpu) does not run" in capsys.readouterr().err
    monkeypatch.setattr(Runtime, "missing", lambda runtime: "onnxruntime" * (runtime.name == "onnxruntime"))
    few = ["--format", "onnx_float32", "--format", "onnx_int8", "--format", "tflite_int8"]
    assert command(["parity", "small", *few]) == 1
    assert "onnx_int8: it is not the file that was published" in capsys.readouterr().err
    onnx.write_bytes(whole)
    assert command(["parity", "small", *few]) == 1
    assert "Parity is not proven: onnx_float32, onnx_int8 run on no runtime here." in capsys.readouterr().err


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
