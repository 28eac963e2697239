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

from edgecnn import run as files
from edgecnn.checkpoint import STATE
from edgecnn.errors import UsageError
from edgecnn.run import Run
from edgecnn.stages.train import TrainOptions, plan, train

if TYPE_CHECKING:
    from pathlib import Path

EPOCHS = 8


def _weights(run: Run) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(run.path(files.MODEL)).get_weights()


def test_what_a_training_leaves(run: Run) -> None:
    training, contract = run.training(), run.contract()
    assert len(training.history) == EPOCHS
    assert training.history[-1].loss < training.history[0].loss
    assert training.accuracy.total == training.data.test_count == sum(map(sum, training.confusion))
    assert training.accuracy.correct == sum(training.confusion[i][i] for i in range(3))
    assert training.accuracy.low < training.accuracy.share < training.accuracy.high
    assert training.history[-1].val_accuracy == pytest.approx(training.accuracy.share, abs=1e-6)
    assert training.accuracy.share > 0.5, "the golden run must have learnt something, or parity proves nothing"
    assert contract.labels == ("balloon", "boat", "butterfly")
    assert contract.model_sha256 == run.hash_of(files.MODEL)
    assert run.path(files.MODEL).stat().st_size < 1.2 * 4 * training.parameters, "weights, and no optimizer"
    assert training.data.spec.endswith("small.npz")
    assert contract.data.spec == "npz", "the contract travels, and names no path of this machine"
    for picture in ("curves.png", "class_accuracy.png", "confusion.png"):
        from PIL import Image

        with Image.open(run.path(picture)) as image:
            assert min(image.size) > 200


def test_samples_are_training_images_for_calibration_and_test_images_for_timing(run: Run, small_data: Path) -> None:
    with np.load(run.path(files.SAMPLES)) as samples, np.load(small_data) as data:
        training = {image.tobytes(): int(label) for image, label in zip(data["x_train"], data["y_train"], strict=True)}
        labels = [training[image.tobytes()] for image in samples["calibration"]]
        assert np.bincount(labels).tolist() == [50, 50, 50]
        np.testing.assert_array_equal(samples["images"], data["x_test"][:64])


def test_the_cnn_is_the_tutorials() -> None:
    import keras

    from edgecnn.plugins import Architecture, pick

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
    assert not run.path(files.TRAINING).is_file(), "the kill came too late to test anything"
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Resuming after epoch" in resumed.stderr
    assert "122," not in resumed.stderr
    assert "Total params" in resumed.stdout
    for ours, golden in zip(_weights(run), _weights(Run(golden_run)), strict=True):
        np.testing.assert_array_equal(ours, golden)


@pytest.mark.parametrize("what", ["state", "model"])
def test_a_damaged_checkpoint_is_not_resumed_from(
    what: str, run: Run, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run.path(STATE) if what == "state" else next(run.path(files.CHECKPOINT).glob("*.keras"))
    path.write_bytes(path.read_bytes()[:-10])
    with run.lock():
        train(run, TrainOptions(data=str(small_data), epochs=EPOCHS))
    assert "damaged" in capsys.readouterr().err


def test_training_again_gives_the_same_file(run: Run, small_data: Path) -> None:
    before = run.hash_of(files.MODEL)
    run.path("curves.png").unlink()
    with run.lock():
        train(run, TrainOptions(data=str(small_data), epochs=EPOCHS))
    assert run.hash_of(files.MODEL) == before


def test_another_seed_starts_anew_and_more_epochs_go_on(
    run: Run, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = TrainOptions(data=str(small_data), epochs=EPOCHS + 1)
    with run.lock():
        longer = train(run, options)
        assert "Resuming after epoch 8" in capsys.readouterr().err
        other = train(run, replace(options, seed=2, epochs=1))
        assert "starting anew" in capsys.readouterr().err
    assert len(longer.history) == EPOCHS + 1
    assert len(other.history) == 1
    assert other.history[0] != longer.history[0]
