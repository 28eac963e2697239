"""Which images a stage gets: fitted to the model, numbered as it answers, kept with the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data import samples as samples_module
from edgecnn.data.dataset import LabelledImages, labelled_images
from edgecnn.data.fitting import align, fit
from edgecnn.data.samples import digests, samples_of, save_samples
from edgecnn.errors import InputError
from edgecnn.preprocessing.decode import prepare
from edgecnn.run_directory import SAMPLES, Run

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract


def _data(train: int, test: int = 6, labels: tuple[str, ...] | None = ("cat", "dog", "frog")) -> LabelledImages:
    random = np.random.default_rng(11)
    splits = {
        name: (random.integers(0, 256, (count, 8, 8, 3), np.uint8), np.arange(count) % 3)
        for name, count in (("train", train), ("test", test))
    }
    return labelled_images(name="npz", spec="data.npz", labels=labels, **splits)


@pytest.mark.parametrize("shape", [(8, 8, 3), (5, 12, 3), (5, 12, 1), (8, 8, 1)])
def test_fit_is_what_an_app_does(shape: tuple[int, int, int], tiny_contract: Contract) -> None:
    data = _data(6)
    contract = replace(tiny_contract, input=replace(tiny_contract.input, shape=(None, *shape)))
    expected = np.stack([prepare(image, contract) for image in data.test_images])
    np.testing.assert_array_equal(fit(data.test_images, shape), expected)


def test_grey_images_are_no_input_of_a_color_model() -> None:
    with pytest.raises(InputError, match="1 channels where the model takes 3"):
        fit(np.zeros((2, 8, 8, 1), np.uint8), (8, 8, 3))


def test_classes_are_renumbered_or_named() -> None:
    data = _data(6)
    turned = align(data, ("frog", "cat", "dog"))
    assert turned.source.labels == ("frog", "cat", "dog")
    assert turned.source.sha256 == data.source.sha256
    assert turned.train_labels.tolist() == [1, 2, 0, 1, 2, 0]
    named = align(_data(6, labels=None), ("frog", "cat", "dog"))
    assert named.source.labels == ("frog", "cat", "dog")
    assert named.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    for wrong, words in (
        (("cat", "dog"), "3 classes where the model has 2 .it has besides frog"),
        (("cat", "dog", "frog", "bee"), "it lacks bee"),
        (("cat", "dog", "a", "b", "c", "d", "e", "f"), r"it lacks a, b, c, d, e \.\.\.; it has besides frog"),
    ):
        with pytest.raises(InputError, match=words):
            align(data, wrong)


def test_samples_are_balanced_and_bounded(
    tmp_path: Path, tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _data(300)
    monkeypatch.setattr(samples_module, "SELECTION_COUNT", 60)
    save_samples(Run(tmp_path), data, 1)
    samples = samples_of(Run(tmp_path), tiny_contract)
    label = dict(zip(digests(data.train_images).tolist(), data.train_labels.tolist(), strict=True))
    calibration, selection = digests(samples.calibration).tolist(), digests(samples.selection).tolist()
    assert np.bincount([label[d] for d in calibration]).tolist() == [50, 50, 50]
    assert np.bincount(samples.selection_labels).tolist() == [20, 20, 20]
    assert [label[d] for d in selection] == samples.selection_labels.tolist()
    assert not set(calibration) & set(selection)
    np.testing.assert_array_equal(samples.test_digests, digests(data.test_images))
    monkeypatch.setattr(samples_module, "MOST_BYTES", 2 * 8 * 8 * 3)
    save_samples(Run(tmp_path), data, 1)
    samples = samples_of(Run(tmp_path), tiny_contract)
    assert len(samples.calibration) == len(samples.selection) == 2, "fewer than there are classes"


def test_test_images_are_passed_over_where_a_class_has_others(tmp_path: Path, tiny_contract: Contract) -> None:
    data = _data(30)
    test = data.train_images.copy()
    test[data.train_labels == 0] = 0  # of class 0 none is a test image, of class 1 some, of class 2 all
    test[(data.train_labels == 1) & (np.arange(30) < 15)] = 0
    save_samples(Run(tmp_path), replace(data, test_images=test, test_labels=data.train_labels), 1)
    samples = samples_of(Run(tmp_path), tiny_contract)
    label = dict(zip(digests(data.train_images).tolist(), data.train_labels.tolist(), strict=True))
    chosen = np.bincount([label[d] for d in digests(samples.calibration).tolist()])
    assert chosen.tolist() == [10, 5, 10]


@pytest.mark.parametrize("missing", ["selection", "selection_labels", "test_digests"])
def test_samples_of_an_older_version_are_refused(missing: str, tmp_path: Path, tiny_contract: Contract) -> None:
    save_samples(Run(tmp_path), _data(30), 1)
    with np.load(tmp_path / SAMPLES) as archive:
        arrays = {name: archive[name] for name in archive.files if name != missing}
    np.savez(tmp_path / SAMPLES, **arrays)
    with pytest.raises(InputError, match=f"damaged .*{missing}"):
        samples_of(Run(tmp_path), tiny_contract)


def test_drawn_samples_are_not_labelled(tmp_path: Path, tiny_contract: Contract) -> None:
    samples = samples_of(Run(tmp_path), tiny_contract)
    assert samples.is_synthetic
    assert (len(samples.selection), len(samples.selection_labels), len(samples.test_digests)) == (0, 0, 0)
