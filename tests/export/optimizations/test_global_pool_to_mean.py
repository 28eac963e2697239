"""A pooling over the whole image becomes a mean before quantization, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.export.format import ExportOptions, ExportSource
from edgecnn.export.optimizations.global_pool_to_mean import with_means
from edgecnn.export.saved_model import save_model
from edgecnn.plugins import pick
from edgecnn.training.architecture import Architecture

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract

keras = pytest.importorskip("keras")


def _source(model: Any, contract: Contract) -> ExportSource:
    empty = np.zeros((0, 32, 32, 3), np.uint8)
    return ExportSource(
        model=model, contract=contract, calibration_images=empty, selection_images=empty,
        selection_labels=np.zeros(0, np.int64), options=ExportOptions(max_accuracy_drop=1.0),
    )  # fmt: skip


def _built(name: str) -> Any:
    architecture = pick(Architecture, name)
    return architecture.build(architecture.image_shape, 10)


def test_resnet8_answers_the_same_with_the_same_layers(tiny_contract: Contract) -> None:
    source = _source(_built("resnet8"), tiny_contract)
    other = with_means(source)
    ours, theirs = source.model, other.model
    assert [layer.name for layer in theirs.layers] == [layer.name for layer in ours.layers]
    assert type(theirs.get_layer("average_pooling2d")).__name__ == "GlobalAveragePooling2D"
    assert theirs.get_layer("average_pooling2d").output.shape == (None, 1, 1, 64)
    images = np.random.default_rng(1).random((4, 32, 32, 3), np.float32)
    np.testing.assert_allclose(theirs(images), ours(images), atol=1e-5)
    assert with_means(source) is other, "made once for all formats"


def test_a_model_without_such_a_pooling_stays_as_it_is(tiny_contract: Contract) -> None:
    source = _source(_built("cnn"), tiny_contract)
    assert with_means(source) is source
    image = keras.Input((32, 32, 3), name="image")
    partial = keras.Model(image, keras.layers.AveragePooling2D(16, name="pool")(image))
    source = replace(source, model=partial)
    assert with_means(source) is source


def test_adapted_statistics_come_along(tiny_contract: Contract, tmp_path: Path) -> None:
    """`Normalization` answers with what it derives from its weights, in the copies made for exports and for the run."""
    norm = keras.layers.Normalization(name="statistics")
    images = np.random.default_rng(1).random((8, 16, 16, 3), np.float32)
    norm.adapt(images * 3 + 1)
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), norm, keras.layers.Conv2D(4, 3), keras.layers.AveragePooling2D(14, name="pool")]
    )
    source = _source(model, tiny_contract)
    assert with_means(source) is not source
    save_model(model, tmp_path / "model.keras")
    for copy in (with_means(source).model, keras.saving.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(copy(images), model(images), atol=1e-5)
