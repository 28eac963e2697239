"""A format that a model cannot be exported to costs that format alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.errors import InputError
from edgecnn.execution.targets import pairs
from edgecnn.export.conversion_worker import Converter
from edgecnn.export.format import ExportOptions, Format, default_formats
from edgecnn.plugins import pick
from edgecnn.records import Artifacts, ExportFailure, Parity
from edgecnn.report.render import escape_markdown
from edgecnn.run_directory import Run
from edgecnn.stages.export import is_current

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.slow

REFUSED = "tflite_int8"  # of a model with an LSTM, which TensorFlow's converter cannot quantize
FINE = "tflite_float32"


@pytest.fixture(scope="module")
def rows_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a foreign model that reads an image row by row with an LSTM, exported as far as it can be."""
    import keras

    from edgecnn.data.datasets.synthetic import LABELS, draw

    folder = tmp_path_factory.mktemp("rows")
    arrays: dict[str, np.ndarray] = {"labels": np.array(LABELS[:3])}
    for split, count in (("train", 900), ("test", 300)):
        images, labels = draw(count, seed=1, split=split)
        few = labels < 3
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images[few, ::2, ::2], labels[few]
    np.savez(folder / "data.npz", **arrays)
    (folder / "labels.txt").write_text("\n".join(LABELS[:3]))
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    rows = keras.layers.Reshape((16, 48))(image)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.LSTM(8, name="reader")(rows)))
    model.save(folder / "model.keras")
    run = Run(folder / "run")
    words = ["import", str(folder / "model.keras"), "--labels", str(folder / "labels.txt")]
    words += ["--data", str(folder / "data.npz"), "--input-range", "0..1", "--out", str(run.root)]
    assert command(words) == 0
    run.path(run_directory.EXPORTS).mkdir()
    run.path(f"{run_directory.EXPORTS}/{REFUSED}.tflite").write_bytes(b"of an earlier model")
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "export", str(run.root), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 4, done.stderr
    (folder / "told").write_text(done.stderr)
    (folder / "record").write_text(done.stdout)
    return run


@pytest.fixture
def rows(rows_run: Run, tmp_path: Path) -> Run:
    """A copy of it."""
    return Run(shutil.copytree(rows_run.root, tmp_path / "run"))


def test_the_other_formats_are_exported_and_the_reason_is_told_and_recorded(rows_run: Run) -> None:
    record = rows_run.artifacts()
    failures = {failure.format: failure.reason for failure in record.failures}
    exported = {artifact.format for artifact in record.artifacts}
    assert exported | failures.keys() == set(default_formats())
    assert not exported & failures.keys()
    assert FINE in exported
    assert "reader" in failures[REFUSED], "the layer is named"
    told = (rows_run.root.parent / "told").read_text()
    for format, reason in failures.items():
        assert f"{format} cannot be exported: {reason}\n" in told
    count = f"{len(failures)} of {len(default_formats())} formats"
    assert told.endswith(f"Error: {count} could not be exported: {', '.join(failures)}; see the reasons above "
                         f"and in {run_directory.ARTIFACTS}.\n")  # fmt: skip
    printed = json.loads((rows_run.root.parent / "record").read_text())
    assert {failure["format"] for failure in printed["failures"]} == failures.keys()
    for artifact in record.artifacts:
        rows_run.artifact_path(artifact)
    assert {path.name for path in rows_run.path(run_directory.EXPORTS).iterdir()} == {
        artifact.path.rpartition("/")[2] for artifact in record.artifacts
    }, "of a format that fails no earlier export is left, nor half of a new one"


def test_what_failed_is_up_to_date_until_the_model_changes(rows: Run) -> None:
    assert is_current(rows)
    before = rows.artifacts()
    assert command(["export", str(rows.root), "--format", FINE]) == 0, "what was asked for could be exported"
    assert rows.artifacts().failures == before.failures
    assert is_current(rows)


def test_a_format_alone_that_fails_exits_4(rows: Run, capsys: pytest.CaptureFixture[str]) -> None:
    rows.path(run_directory.ARTIFACTS).unlink()
    assert command(["export", str(rows.root), "--format", REFUSED]) == 4
    assert f"1 of 1 format could not be exported: {REFUSED}" in capsys.readouterr().err
    record = rows.artifacts()
    assert record.artifacts == ()
    assert [failure.format for failure in record.failures] == [REFUSED]


def test_a_failure_is_compared_as_exports_are(rows: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", str(rows.root), "--check", "--format", REFUSED, "--format", FINE]
    assert command(words) == 0
    assert f"{FINE}, {REFUSED}" in capsys.readouterr().out
    record = rows.artifacts()
    failed = ExportFailure(format=FINE, reason="it was so")
    record = replace(record, artifacts=(), failures=(failed, *record.failures))
    rows.save(run_directory.ARTIFACTS, record)
    assert command(words) == 1
    assert f"Exporting again gave other files for {FINE}" in capsys.readouterr().err


def test_a_converter_that_dies_of_a_recurrent_model_names_the_layers(rows: Run, tmp_path: Path) -> None:
    with Converter(rows, ExportOptions()) as converter:
        assert converter._process is not None
        os.kill(converter._process.pid, signal.SIGSEGV)
        with pytest.raises(InputError, match=r"SIGSEGV.*likely because of the recurrent layers: reader"):
            converter.convert(pick(Format, FINE), tmp_path / "draft.tflite")


def test_what_needs_the_export_says_why_there_is_none(rows: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=f"{REFUSED} could not be exported: .*reader"):
        pairs(rows, [REFUSED])
    failures = {failure.format: failure.reason for failure in rows.artifacts().failures}
    assert command(["bundle", str(rows.root), "--target", "tflite-micro"]) == 4
    assert failures["tflite_int8_micro"] in capsys.readouterr().err


def test_run_goes_on_with_what_there_is_and_says_it_again(rows: Run) -> None:
    model = shutil.copytree(rows.root, rows.root.with_name("model"))
    words = [sys.executable, "-m", "edgecnn", "run", str(rows.root), "--model", str(model), "--time-budget", "1"]
    told = [subprocess.run(words, capture_output=True, text=True) for _ in range(2)]
    assert [done.returncode for done in told] == [0, 0], told[0].stderr
    failures = {failure.format: failure.reason for failure in rows.artifacts().failures}
    assert REFUSED in failures
    assert "[export] up to date" in told[1].stderr
    for format, reason in failures.items():
        for done in told:
            assert f"{format} cannot be exported: {reason}\n" in done.stderr
        assert re.search(rf"\| {format} +\| {re.escape(escape_markdown(reason))} ", rows.path("report.md").read_text())
        assert f"{format} could not be exported: " in rows.path("report.html").read_text()
    record = rows.load(run_directory.PARITY, Parity, "parity")
    assert {row.format for row in record.rows} == {artifact.format for artifact in rows.artifacts().artifacts}
    assert not [reason for reason in record.reasons if "on no runtime" in reason]


def test_a_run_without_any_export_exits_4(run: Run, small_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = run.load(run_directory.ARTIFACTS, Artifacts, "export")
    failures = tuple(ExportFailure(format=artifact.format, reason="it is odd") for artifact in record.artifacts)
    origin = replace(record.origin, outputs={})
    run.save(run_directory.ARTIFACTS, replace(record, origin=origin, artifacts=(), failures=failures))
    assert command(["run", str(run.root), "--data", str(small_data), "--epochs", "8"]) == 4
    told = capsys.readouterr().err
    assert "[export] up to date\nonnx_float32 cannot be exported: it is odd\n" in told
    assert "The model could not be exported to any format; onnx_float32: it is odd." in told
