"""Batches are sized by what a model's widest layer holds, not by its input."""

from __future__ import annotations

import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.data import fitting
from edgecnn.data.fitting import Fitted, fit, save_images
from edgecnn.execution.server import RUN_BATCH
from edgecnn.model_files.activations import MAX_BATCH_BYTES, activations, activations_in, images_per_batch
from edgecnn.stages import features, import_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
RANDOM = np.random.default_rng(4)


@pytest.fixture(scope="module")
def keras() -> Any:
    pytest.importorskip("tensorflow")
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    import keras

    return keras


def _wide(keras: Any, side: int = 64, channels: int = 128) -> Any:
    """Takes 4 * 3 * side² bytes and holds 4 * channels * side²."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((side, side, 3)), layers.Conv2D(channels, 1), layers.Conv2D(8, 1)])
    return keras.Sequential([keras.Input((side, side, 3)), inner, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def test_the_widest_layer_counts_those_of_nested_models_too(keras: Any, tmp_path: Path) -> None:
    model = _wide(keras)
    found = activations(model.get_config())
    assert found.widest_bytes == 64 * 64 * 128 * 4
    assert found.total_bytes >= 64 * 64 * (128 + 128) * 4
    model.save(tmp_path / "wide.keras")
    assert activations_in(tmp_path / "wide.keras").widest_bytes == found.widest_bytes
    assert images_per_batch(found.widest_bytes, RUN_BATCH) == MAX_BATCH_BYTES // found.widest_bytes < RUN_BATCH


def test_what_a_convolution_gives_counts_where_a_pooling_follows(keras: Any) -> None:
    layers = keras.layers
    for convolution, widest in (
        (layers.Conv2D(64, 3, padding="same", activation="relu"), 32 * 32 * 64),
        (layers.Conv2D(64, 3, strides=2, padding="same"), 16 * 16 * 64),
        (layers.Conv2DTranspose(8, 3, strides=2, padding="same"), 64 * 64 * 8),
    ):
        model = keras.Sequential([keras.Input((32, 32, 3)), convolution, layers.MaxPooling2D(4), layers.Conv2D(2, 1)])
        assert activations(model.get_config()).widest_bytes == 4 * widest


def test_attention_counts_its_scores(keras: Any) -> None:
    image = keras.Input((16, 16, 3))
    tokens = keras.layers.Reshape((256, 3))(image)
    model = keras.Model(image, keras.layers.MultiHeadAttention(8, 4)(tokens, tokens))
    assert activations(model.get_config()).widest_bytes == (8 * 256 * 256 + 2 * 256 * 3) * 4


def test_images_of_a_batch_are_one_at_least_and_as_many_as_are_asked_for_at_most() -> None:
    assert images_per_batch(10**12, 64) == 1
    assert images_per_batch(0, 64) == images_per_batch(1, 64) == 64
    assert images_per_batch(MIB, 64, 10 * MIB) == 10


def test_an_import_runs_a_wide_model_in_small_batches(keras: Any) -> None:
    model, sizes = _wide(keras), []
    predict = model.predict_on_batch
    model.predict_on_batch = lambda pixels: sizes.append(len(pixels)) or predict(pixels)
    pixels = RANDOM.integers(0, 256, (70, 64, 64, 3), dtype=np.uint8)
    answers = import_model._predict(model, pixels, [1.0], [0.0])
    assert sum(sizes) == len(answers) == 70
    assert max(sizes) * 64 * 64 * 128 * 4 <= MAX_BATCH_BYTES


def test_an_export_probes_a_wide_model_with_fewer_images(keras: Any) -> None:
    from types import SimpleNamespace

    from edgecnn.export import layer_map, onnx_file

    pixels = np.zeros((5, 256, 256, 3), np.uint8)
    for channels, probed, batch in ((8, 3, 32), (128, 1, 2)):
        source: Any = SimpleNamespace(model=_wide(keras, 256, channels), calibration_images=pixels)
        assert (len(layer_map.probe(source)), onnx_file.run_batch(source)) == (probed, batch)


MEASURED = """
import resource
import numpy as np
from edgecnn.tensorflow_setup import configure_tensorflow
configure_tensorflow()
import keras
from edgecnn.stages.import_model import _predict
layers = keras.layers
model = keras.Sequential([keras.Input((128, 128, 3)), layers.Conv2D(64, 1), layers.ReLU(), layers.Conv2D(64, 1),
                          layers.GlobalAveragePooling2D(), layers.Dense(3)])
pixels = np.zeros((300, 128, 128, 3), np.uint8)
_predict(model, pixels[:1], [1.0], [0.0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_predict(model, pixels, [1.0], [0.0])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_an_import_of_a_wide_model_stays_below_a_gigabyte() -> None:
    """By the input's size all 300 images would be one batch, of 1.2 GB for each of three layers."""
    pytest.importorskip("tensorflow")
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < MIB


def test_pictures_are_not_held_all_at_once(tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.inference.predictor import Predictor

    drawn: list[weakref.ref[Any]] = []
    draw: Callable[..., Any] = features.draw_layer

    def watched(*args: Any, **options: Any) -> Any:
        assert sum(picture() is not None for picture in drawn) <= 1
        picture = draw(*args, **options)
        drawn.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(features, "draw_layer", watched)
    image = np.zeros((8, 8, 3), np.uint8)
    features.features(Predictor(tiny_onnx), image, tmp_path / "out", layers=["all"], channel=None)
    assert len(drawn) == 7


def test_images_are_fitted_as_they_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = RANDOM.integers(0, 256, (9, 10, 8, 3), dtype=np.uint8)
    shape = (16, 20, 1)
    whole, view = fit(pixels, shape), Fitted(pixels, shape)
    assert (view.shape, len(view)) == (whole.shape, 9)
    np.testing.assert_array_equal(view[4], whole[4])
    np.testing.assert_array_equal(view[2:7], whole[2:7])
    np.testing.assert_array_equal(view[np.array([7, 1])], whole[[7, 1]])
    np.testing.assert_array_equal(np.stack(list(view)), whole)
    monkeypatch.setattr(fitting, "WRITTEN_BYTES", 2 * whole[0].nbytes)
    for images in (view, whole):
        save_images(tmp_path / "images.npy", images)  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.load(tmp_path / "images.npy", mmap_mode="r"), whole)
