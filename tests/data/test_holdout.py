"""Images held out of training, to choose by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgecnn.data.dataset import LabelledImages, labelled_images
from edgecnn.data.holdout import held_out
from edgecnn.data.samples import digests
from edgecnn.errors import InputError


def _data() -> LabelledImages:
    random = np.random.default_rng(11)
    train, test = ((random.integers(0, 256, (count, 8, 8, 3), np.uint8), np.arange(count) % 3) for count in (30, 6))
    return labelled_images(name="npz", spec="data.npz", labels=("cat", "dog", "frog"), train=train, test=test)


def test_images_are_held_out_of_training_and_the_test_images_are_gone() -> None:
    data = _data()
    aside = held_out(data, 9)
    assert (aside.source.train_count, aside.source.test_count) == (21, 9)
    assert "not of the test images" in aside.source.notice
    assert np.bincount(aside.test_labels).tolist() == [3, 3, 3]
    whole = np.concatenate([digests(aside.train_images), digests(aside.test_images)])
    assert sorted(whole) == sorted(digests(data.train_images))
    again = held_out(data, 9)
    np.testing.assert_array_equal(aside.test_images, again.test_images)


def test_too_many_to_hold_out() -> None:
    data = _data()
    with pytest.raises(InputError, match="cannot be held out"):
        held_out(data, 30)
    rare = replace(data, train_labels=np.minimum(np.arange(30) // 13, 2))
    with pytest.raises(InputError, match="a class would be left"):
        held_out(rare, 12)
