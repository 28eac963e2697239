"""Images on their way into a training: what is drawn, what becomes of the pixels, what the targets say."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.training.recipes import TUTORIAL

tf = pytest.importorskip("tensorflow")

from edgecnn.training.input_pipeline import Feed  # noqa: E402

TOOL = Path(__file__).parent.parent.parent / "tools" / "feed"
COUNT, CLASSES = 21, 3
IMAGES = np.random.default_rng(1).integers(0, 256, (COUNT, 8, 10, 3), np.uint8)
LABELS = np.arange(COUNT) % CLASSES
PLAIN = replace(TUTORIAL, batch_size=8)
MOVING = replace(PLAIN, random_flip=True, random_shift=3)


def _feed(*, soft: bool = False) -> Feed:
    return Feed(IMAGES, LABELS, CLASSES, soft=soft)


def _whole(batches: Any) -> tuple[np.ndarray, np.ndarray]:
    images, targets = zip(*((i.numpy(), t.numpy()) for i, t in batches), strict=True)
    return np.concatenate(images), np.concatenate(targets)


def test_in_order_gives_the_pixels_scaled() -> None:
    images, labels = _whole(_feed().in_order(8))
    np.testing.assert_array_equal(images, IMAGES.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels, LABELS)
    assert _feed().steps(8) == 3


def test_an_epoch_of_the_tutorial_is_shuffled_and_nothing_else() -> None:
    images, labels = _whole(_feed().epoch(PLAIN, seed=5, number=2))
    order = np.random.default_rng([5, 2]).permutation(COUNT)
    np.testing.assert_array_equal(images, IMAGES[order].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels, LABELS[order])


def test_images_are_moved_flipped_and_mirrored_at_the_border() -> None:
    images, labels = _whole(_feed().epoch(MOVING, seed=5, number=2))
    generator = np.random.default_rng([5, 2])
    order = generator.permutation(COUNT)
    down, right = (generator.integers(-3, 4, COUNT) for _ in range(2))
    flipped = generator.random(COUNT) < 0.5
    assert 0 < flipped.sum() < COUNT
    for i, place in enumerate(order):
        mirrored = np.pad(IMAGES[place], ((3, 3), (3, 3), (0, 0)), mode="reflect")
        window = mirrored[3 + down[i] : 11 + down[i], 3 + right[i] : 13 + right[i]]
        window = window[:, ::-1] if flipped[i] else window
        np.testing.assert_array_equal(images[i], window.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels, LABELS[order])


def test_an_epoch_is_drawn_from_seed_and_number_alone() -> None:
    first = _whole(_feed().epoch(MOVING, seed=5, number=2))
    again = _whole(_feed().epoch(MOVING, seed=5, number=2))
    np.testing.assert_array_equal(first[0], again[0])
    for seed, number in ((5, 3), (6, 2)):
        other = _whole(_feed().epoch(MOVING, seed=seed, number=number))
        assert not np.array_equal(first[0], other[0])


def test_smoothed_targets_and_the_label_beside_them() -> None:
    smooth = replace(MOVING, label_smoothing=0.3)
    _, targets = _whole(_feed(soft=True).epoch(smooth, seed=5, number=2))
    assert targets.shape == (COUNT, 2, CLASSES)
    order = np.random.default_rng([5, 2]).permutation(COUNT)
    np.testing.assert_array_equal(targets[:, 1], np.eye(CLASSES)[LABELS[order]])
    np.testing.assert_allclose(targets[:, 0], np.eye(CLASSES)[LABELS[order]] * 0.7 + 0.1, rtol=1e-6)
    _, labels = _whole(_feed(soft=True).in_order())
    np.testing.assert_array_equal(labels[:, 0], labels[:, 1])


def test_a_teacher_sees_the_very_pixels_that_are_learnt() -> None:
    taught = replace(MOVING, distillation_alpha=0.75, distillation_temperature=2.0)

    def teacher(images: Any, training: bool) -> Any:
        assert not training
        return tf.reduce_mean(images, axis=(1, 2)) * 8

    images, targets = _whole(_feed(soft=True).epoch(taught, seed=5, number=2, teacher=teacher))
    opinion = tf.nn.softmax(images.mean(axis=(1, 2)) * 4).numpy()
    np.testing.assert_allclose(targets[:, 0], 0.25 * targets[:, 1] + 0.75 * opinion, atol=1e-5)


@pytest.mark.slow
def test_the_pipeline_is_not_the_bottleneck_of_the_smaller_model() -> None:
    done = subprocess.run([sys.executable, TOOL, "cnn", "tuned", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ratio"] >= 3
