"""A run that begins with a published model."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.data.samples import samples_of
from edgecnn.errors import InputError, MachineError
from edgecnn.records.schema1 import NAMES, SETTINGS, upgraded
from edgecnn.run_directory import Run
from edgecnn.stages.export import export
from edgecnn.stages.from_pretrained import StartOptions, is_current, start
from edgecnn.training.recipes import Recipe
from tests.few_formats import FORMATS

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


def _of_schema_1(run: Run) -> Run:
    """The run with the names of schema 1 in its contract and training record, and that number in every record."""
    former = {new: old for old, new in NAMES.items()}
    for path in run.root.glob("*.json"):
        record = json.loads(path.read_bytes()) | {"schema": 1}
        if path.name in (run_directory.CONTRACT, run_directory.TRAINING):
            record = {former.get(name, name): value for name, value in record.items()}
        run.save(path.name, record)
    onnx = run.path("exports/onnx_float32.onnx")
    onnx.write_bytes(onnx.read_bytes().replace(b'"schema": 2', b'"schema": 1'))
    return run


def test_the_model_of_a_run_of_schema_1_is_taken_as_the_refusal_says(
    golden_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, golden = _of_schema_1(Run(shutil.copytree(golden_run, tmp_path / "old"))), Run(golden_run)
    monkeypatch.chdir(tmp_path)
    for words in (
        ["run"],
        ["train"],
        ["export"],
        ["parity"],
        ["bench"],
        ["report"],
        ["bundle", "--target", "tflite-micro"],
    ):
        assert command([*words, str(old.root)]) == 4, words
        told = capsys.readouterr().err
        assert "was written by an older edgecnn (schema 1, this one reads 2)" in told
    assert command(["predict", str(old.root), str(old.path("curves.png"))]) == 4
    assert "export it again" in capsys.readouterr().err
    (advice,) = re.findall(r"`edgecnn (run NEW --model [^`]*)`", told)
    monkeypatch.setattr("edgecnn.stages.export.default_formats", lambda: list(FORMATS))
    assert command([*shlex.split(advice), "--time-budget", "1"]) == 0, "followed to the letter"
    new = Run(tmp_path / "NEW")
    assert (new.contract(), new.training().confusion_matrix) == (golden.contract(), golden.training().confusion_matrix)
    assert new.hash_of(run_directory.MODEL) == golden.hash_of(run_directory.MODEL)
    assert command(["predict", "NEW", str(old.path("curves.png"))]) == 0


@pytest.mark.parametrize(("old", "new"), SETTINGS.items())
def test_settings_of_schema_1_have_the_names_of_the_recipe(old: str, new: str) -> None:
    assert new.replace(" ", "_") in {field.name for field in fields(Recipe)}
    assert upgraded({"recipe_settings": f"batch size 4, {old} 2, {old}"})["recipe_settings"] == (
        f"batch size 4, {new} 2, {new}"
    )


def test_options_of_a_training_do_not_belong_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["run", str(tmp_path / "r"), "--model", "cifar10-cnn", "--epochs", "3"]) == 2
    assert "--epochs is for training" in capsys.readouterr().err
    assert command(["run", str(tmp_path / "r"), "--allow-synthetic"]) == 2
    assert command(["run", str(tmp_path / "r"), "--model", "nothing"]) == 4
    assert not (tmp_path / "r" / run_directory.TRAINING).exists()
