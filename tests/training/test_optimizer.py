"""A recipe in Keras' terms."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.errors import InputError
from edgecnn.plugins import pick
from edgecnn.run_directory import Run
from edgecnn.training.architecture import Architecture
from edgecnn.training.recipes import TUTORIAL

if TYPE_CHECKING:
    from pathlib import Path

keras = pytest.importorskip("keras")

from edgecnn.training.optimizer import compile_model, device, label_accuracy, load_model, soft_loss, teacher_run  # noqa: E402

SCHEDULED = replace(TUTORIAL, optimizer="sgd", learning_rate=0.1, lr_schedule=True, warmup_epochs=2)
LABELS = ("balloon", "boat", "butterfly")


def _model() -> keras.Model:
    return keras.Sequential([keras.Input((2,), name="image"), keras.layers.Dense(3, name="dense")])


def _rates(model: keras.Model, steps: int) -> list[float]:
    rate = model.optimizer._learning_rate
    return [float(rate(step)) for step in range(steps)]


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    model = _model()
    compile_model(model, SCHEDULED, steps=5, epochs=6, soft=False)
    rates = _rates(model, 31)
    np.testing.assert_allclose(rates[:11], np.linspace(0, 0.1, 11), atol=1e-6)
    np.testing.assert_allclose(rates[10:], 0.05 * (1 + np.cos(np.linspace(0, np.pi, 21))), atol=1e-6)


def test_a_single_epoch_has_a_rate_too() -> None:
    model = _model()
    compile_model(model, SCHEDULED, steps=1, epochs=1, soft=False)
    assert np.isfinite(_rates(model, 3)).all()


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_a_checkpoint_goes_on_as_if_nothing_had_been(optimizer: str, kind: str, tmp_path: Path) -> None:
    images, shares = np.eye(2, dtype=np.float32), np.eye(3, dtype=np.float32)[:2]
    targets = np.stack([shares, shares], axis=1)
    keras.utils.set_random_seed(1)
    model = _model()
    compile_model(model, replace(SCHEDULED, optimizer=optimizer, weight_decay=0.1), steps=1, epochs=9, soft=True)
    model.fit(images, targets, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    resumed = load_model(tmp_path / "model.keras")
    assert type(resumed.optimizer).__name__ == kind
    for each in (model, resumed):
        history = each.fit(images, targets, epochs=3, verbose=0, shuffle=False).history
        assert set(history) == {"loss", "accuracy"}
    for ours, theirs in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_loss_is_of_the_shares_and_accuracy_of_the_label() -> None:
    targets = np.array([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]], np.float32)
    logits = np.array([[0.0, 0.0, -30.0]], np.float32)
    assert float(soft_loss(targets, logits)[0]) == pytest.approx(np.log(2), abs=1e-6)
    assert float(label_accuracy(targets, logits)[0]) == 0
    assert float(label_accuracy(targets, -logits)[0]) == 1


def test_a_teacher_answers_for_the_same_images_and_labels(golden_run: Path, tmp_path: Path) -> None:
    cnn = pick(Architecture, "cnn")
    assert teacher_run(str(golden_run), cnn, LABELS).root == golden_run
    with pytest.raises(InputError, match="its labels differ"):
        teacher_run(str(golden_run), cnn, ("a", "b"))
    run = Run(shutil.copytree(golden_run, tmp_path / "run"))
    run.save(run_directory.CONTRACT, replace(run.contract(), output_meaning="probabilities"))
    with pytest.raises(InputError, match="probabilities"):
        teacher_run(str(run.root), cnn, LABELS)
    run.path(run_directory.MODEL).unlink()
    run.save(run_directory.CONTRACT, replace(run.contract(), output_meaning="logits"))
    with pytest.raises(InputError, match="missing"):
        teacher_run(str(run.root), cnn, LABELS)


def test_the_device_is_named() -> None:
    assert device()
