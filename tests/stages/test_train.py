"""Training: what it writes, and that a killed one ends as if it had not been killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.errors import UsageError
from edgecnn.records import Training
from edgecnn.run_directory import Run
from edgecnn.stages.train import TrainOptions, is_current, plan, train
from edgecnn.training.checkpoint import STATE
from edgecnn.training.epoch_log import LOG

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Epoch

pytestmark = pytest.mark.slow

EPOCHS = 8


def _weights(run: Run) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(run.path(run_directory.MODEL)).get_weights()


def test_what_a_training_leaves(run: Run) -> None:
    training, contract = run.training(), run.contract()
    assert len(training.history) == EPOCHS
    assert training.history[-1].loss < training.history[0].loss
    assert training.accuracy.total == training.data.test_count == sum(map(sum, training.confusion_matrix))
    assert training.accuracy.correct == sum(training.confusion_matrix[i][i] for i in range(3))
    assert training.accuracy.low < training.accuracy.share < training.accuracy.high
    assert training.history[-1].val_accuracy == pytest.approx(training.accuracy.share, abs=1e-6)
    assert training.accuracy.share > 0.5, "the golden run must have learnt something, or parity proves nothing"
    assert contract.labels == ("balloon", "boat", "butterfly")
    assert contract.model_sha256 == run.hash_of(run_directory.MODEL)
    assert run.path(run_directory.MODEL).stat().st_size < 1.2 * 4 * training.parameters, "weights, and no optimizer"
    assert training.data.spec.endswith("small.npz")
    assert contract.data.spec == "npz", "the contract travels, and names no path of this machine"
    for picture in ("curves.png", "class_accuracy.png", "confusion.png"):
        from PIL import Image

        with Image.open(run.path(picture)) as image:
            assert min(image.size) > 200


def test_samples_are_training_images_for_calibration_and_test_images_for_timing(run: Run, small_data: Path) -> None:
    with np.load(run.path(run_directory.SAMPLES)) as samples, np.load(small_data) as data:
        training = {image.tobytes(): int(label) for image, label in zip(data["x_train"], data["y_train"], strict=True)}
        labels = [training[image.tobytes()] for image in samples["calibration"]]
        assert np.bincount(labels).tolist() == [50, 50, 50]
        np.testing.assert_array_equal(samples["images"], data["x_test"][:64])


def test_the_cnn_is_the_tutorials() -> None:
    import keras

    from edgecnn.plugins import pick
    from edgecnn.training.architecture import Architecture

    cnn = pick(Architecture, "cnn")
    model = cnn.build(cnn.image_shape, 10)
    assert isinstance(model, keras.Model)
    assert model.count_params() == 122_570
    assert [layer.name for layer in model.layers] == [
        "conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "conv2d_2", "flatten", "dense", "dense_1",
    ]  # fmt: skip
    assert model.output_shape == (None, 10)


def test_unknown_names_are_usage_errors(small_data: Path, tmp_path: Path) -> None:
    options = TrainOptions(data=str(small_data))
    for wrong in (replace(options, architecture="cn"), replace(options, recipe="tutorail")):
        with pytest.raises(UsageError, match="did you mean"):
            plan(Run(tmp_path), wrong)
    with pytest.raises(UsageError, match="takes no teacher"):
        plan(Run(tmp_path), replace(options, teacher="cifar10-cnn"))


def test_killed_and_resumed_gives_the_same_weights_to_the_bit(
    golden_run: Path, small_data: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "killed")
    command = [
        sys.executable, "-m", "edgecnn", "train", str(run.root), "--data", str(small_data), "--epochs", str(EPOCHS),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not run.path(STATE).is_file():
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not run.path(run_directory.TRAINING).is_file(), "the kill came too late to test anything"
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Resuming after epoch" in resumed.stderr
    assert "122," not in resumed.stderr
    assert "Total params" in resumed.stdout
    for ours, golden in zip(_weights(run), _weights(Run(golden_run)), strict=True):
        np.testing.assert_array_equal(ours, golden)


@pytest.fixture(scope="module")
def best_options(small_data: Path, golden_run: Path) -> TrainOptions:
    return TrainOptions(data=str(small_data), recipe="tuned", epochs=4, teacher=str(golden_run))


@pytest.fixture(scope="module")
def best_run(best_options: TrainOptions, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("best") / "run")
    with run.lock():
        train(run, best_options)
    return run


def test_a_best_training_looks_at_the_test_images_once(best_run: Run, best_options: TrainOptions) -> None:
    training = best_run.training()
    assert all(epoch.val_loss is epoch.val_accuracy is None for epoch in training.history)
    assert training.history[-1].loss < training.history[0].loss
    assert training.history[-1].learning_rate == pytest.approx(0, abs=1e-7)
    assert training.accuracy.total == training.data.test_count
    assert "distillation alpha" in training.recipe_settings
    assert training.teacher == best_options.teacher
    assert training.origin.outputs[LOG] == best_run.hash_of(LOG)
    assert len(best_run.path(LOG).read_text().splitlines()) == 5


def test_a_best_training_interrupted_ends_with_the_same_weights(
    best_run: Run, best_options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "interrupted")

    def interrupt(run: Run, history: tuple[Epoch, ...], split: str) -> None:
        if len(history) == 2:
            raise KeyboardInterrupt

    with run.lock(), monkeypatch.context() as patch:
        patch.setattr("edgecnn.stages.train.write_log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(run, best_options)
    with run.lock():
        resumed = train(run, best_options)
    for ours, theirs in zip(_weights(run), _weights(best_run), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in best_run.training().history]


def test_what_changes_the_schedule_or_the_teacher_starts_anew(best_run: Run, best_options: TrainOptions) -> None:
    assert is_current(best_run, best_options)
    _, inputs = plan(best_run, best_options)
    for other in (replace(best_options, epochs=5), replace(best_options, teacher=None)):
        assert not is_current(best_run, other)
        assert plan(best_run, other)[1] != inputs
    assert "teacher" not in plan(best_run, replace(best_options, teacher=None))[1]["recipe_settings"]


def test_held_out_images_stand_in_for_the_test_images(small_data: Path, tmp_path: Path) -> None:
    """With other test images nothing changes but the data's hash."""
    from edgecnn.records import decode

    with np.load(small_data) as data:
        other = dict(data.items())
    other["x_test"] = 255 - other["x_test"]
    np.savez(tmp_path / "other.npz", **other)
    found = []
    for name, spec in (("one", small_data), ("two", tmp_path / "other.npz")):
        run = Run(tmp_path / name)
        with run.lock():
            found.append(train(run, TrainOptions(data=str(spec), recipe="tuned", epochs=2, validation_images=90)))
        assert decode(run.path(run_directory.TRAINING).read_bytes(), Training, "") == found[-1]
    one, two = found
    assert one.accuracy.split == "held-out"
    assert one.accuracy.total == one.validation_images == 90
    assert "held out" in one.data.notice
    assert one.history[-1].val_accuracy == pytest.approx(one.accuracy.share, abs=1e-6)
    assert (one.accuracy, one.confusion_matrix) == (two.accuracy, two.confusion_matrix)
    assert one.data.sha256 != two.data.sha256
    for hold_out, notice in ((0, ""), (90, one.data.notice)):  # going on with the data of a run begun
        data, _ = plan(Run(tmp_path / "one"), TrainOptions(recipe="tuned", validation_images=hold_out))
        assert data.source.notice == notice


@pytest.mark.parametrize("what", ["state", "model"])
def test_a_damaged_checkpoint_is_not_resumed_from(
    what: str, run: Run, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run.path(STATE) if what == "state" else next(run.path(run_directory.CHECKPOINT).glob("*.keras"))
    path.write_bytes(path.read_bytes()[:-10])
    with run.lock():
        train(run, TrainOptions(data=str(small_data), epochs=EPOCHS))
    assert "damaged" in capsys.readouterr().err


def test_training_again_gives_the_same_file(run: Run, small_data: Path) -> None:
    before = run.hash_of(run_directory.MODEL)
    run.path("curves.png").unlink()
    with run.lock():
        train(run, TrainOptions(data=str(small_data), epochs=EPOCHS))
    assert run.hash_of(run_directory.MODEL) == before


def test_another_seed_starts_anew_and_more_epochs_go_on(
    run: Run, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = TrainOptions(data=str(small_data), epochs=EPOCHS + 1)
    with run.lock():
        longer = train(run, options)
        assert "Resuming after epoch 8" in capsys.readouterr().err
        other = train(run, replace(options, seed=2, epochs=1))
        assert "starting again" in capsys.readouterr().err
    assert len(longer.history) == EPOCHS + 1
    assert len(other.history) == 1
    assert other.history[0] != longer.history[0]
