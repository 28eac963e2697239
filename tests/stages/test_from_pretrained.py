"""A run that begins with a published model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.data.samples import samples_of
from edgecnn.errors import InputError, MachineError
from edgecnn.run_directory import Run
from edgecnn.stages.export import export
from edgecnn.stages.from_pretrained import StartOptions, is_current, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def published(golden_run: Path, tmp_path: Path) -> Run:
    """The golden run without its samples, as published runs are."""
    run = Run(shutil.copytree(golden_run, tmp_path / "published"))
    run.path(run_directory.SAMPLES).unlink()
    return run


def _without_data(run: Run) -> None:
    training = run.training()
    run.save(run_directory.TRAINING, replace(training, data=replace(training.data, spec="/nowhere/data.npz")))


def test_with_its_data_it_is_the_same_run_again(published: Run, golden_run: Path, tmp_path: Path) -> None:
    run, options = Run(tmp_path / "run"), StartOptions(model=str(published.root))
    assert not is_current(run, options)
    start(run, options)
    assert is_current(run, options)
    assert run.contract() == Run(golden_run).contract()
    for name, sha256 in run.training().origin.outputs.items():
        assert run.hash_of(name) == sha256
    again = {a.format: a.content_sha256 for a in export(run, ["onnx_int8", "tflite_int8"]).artifacts}
    before = {a.format: a.content_sha256 for a in Run(golden_run).artifacts().artifacts}
    assert again == {name: before[name] for name in again}


def test_without_its_data_drawn_images_stand_in_only_where_allowed(published: Run, tmp_path: Path) -> None:
    _without_data(published)
    run = Run(tmp_path / "run")
    with pytest.raises(MachineError, match="is unavailable"):
        start(run, StartOptions(model=str(published.root)))
    assert not run.path(run_directory.TRAINING).exists()
    start(run, StartOptions(model=str(published.root), allow_synthetic=True))
    assert "Synthetic images replace" in run.contract().data.notice
    assert "Synthetic images replace" in run.training().data.notice
    assert samples_of(run, run.contract()).is_synthetic
    (artifact,) = export(run, ["onnx_int8"]).artifacts
    assert artifact.calibration is not None
    assert artifact.calibration.source == "synthetic images"


def test_a_run_of_another_model_is_left_alone(published: Run, run: Run) -> None:
    run.save(run_directory.CONTRACT, replace(run.contract(), model_sha256="0" * 64))
    with pytest.raises(InputError, match="a run of another model"):
        is_current(run, StartOptions(model=str(published.root)))


def test_options_of_a_training_do_not_belong_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["run", str(tmp_path / "r"), "--model", "cifar10-cnn", "--epochs", "3"]) == 2
    assert "--epochs is for training" in capsys.readouterr().err
    assert command(["run", str(tmp_path / "r"), "--allow-synthetic"]) == 2
    assert command(["run", str(tmp_path / "r"), "--model", "nothing"]) == 4
    assert not (tmp_path / "r" / run_directory.TRAINING).exists()
