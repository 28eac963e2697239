"""What is rearranged for speed answers as before, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.samples import samples_of
from edgecnn.export import onnx_file, tflite_converter
from edgecnn.export.format import ExportOptions, ExportSource
from edgecnn.export.optimizations.tflite_pack_pixel_pairs import pair_pixels, paired_weights
from edgecnn.export.quantization import onnx_qdq

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def source(golden_run: Path) -> ExportSource:
    from edgecnn.export.exporter import load_model
    from edgecnn.run_directory import Run

    run = Run(golden_run)
    contract = run.contract()
    samples = samples_of(run, contract)
    return ExportSource(
        model=load_model(run, contract),
        contract=contract,
        calibration_images=samples.calibration,
        selection_images=samples.selection,
        selection_labels=samples.selection_labels,
        options=ExportOptions(max_accuracy_drop=0.5),
    )


def test_a_convolution_over_pairs_is_the_same_convolution() -> None:
    random = np.random.default_rng(5)
    image, kernel = random.integers(-9, 9, (6, 10, 3)), random.integers(-9, 9, (4, 3, 3, 3), dtype=np.int8)

    def convolved(pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(pixels, weights.shape[1:3], axis=(0, 1))
        return np.einsum("yxchw,ohwc->yxo", windows, weights.astype(int))

    paired = convolved(image.reshape(6, 5, 6), paired_weights(kernel))
    np.testing.assert_array_equal(paired.reshape(4, 8, 4), convolved(image, kernel))


def test_paired_pixels_answer_to_the_bit_as_single_ones(source: ExportSource) -> None:
    plain = tflite_converter.quantized(source, "float32")
    file, _ = tflite_converter.named(source, plain, raw_pixels=False)
    operators = len(file.operators)
    pair_pixels(file)
    assert len(file.operators) == operators + 2
    paired = tflite_converter.finished(file, source.contract)
    images = source.selection_images
    np.testing.assert_array_equal(
        tflite_converter.outputs_of(paired, images), tflite_converter.outputs_of(plain, images)
    )


def test_a_widened_image_answers_to_the_bit_as_the_image(
    source: ExportSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, _ = onnx_file.float_graph(source)
    wide = onnx_qdq.quantized(source, original, [], str(tmp_path))
    monkeypatch.setattr(onnx_qdq, "widen_image", lambda proto: None)
    plain = onnx_qdq.quantized(source, original, [], str(tmp_path))
    assert len(wide) > len(plain)
    images = source.selection_images
    np.testing.assert_array_equal(onnx_file.outputs_of(wide, images), onnx_file.outputs_of(plain, images))


def test_a_normalisation_of_the_models_own_is_kept(source: ExportSource, tmp_path: Path) -> None:
    """A factor of 2 behind the scaling by 1/255 becomes one multiplication with it on the way to ONNX."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((32, 32, 3), name="image"),
            keras.layers.Rescaling(2.0, -1.0, name="normalisation"),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv2d"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(3, name="dense"),
        ]
    )
    own = replace(source, model=model)
    original, _ = onnx_file.float_graph(own)
    images = source.selection_images[:100]
    wanted = onnx_file.outputs_of(original, images)
    noise = onnx_file.outputs_of(onnx_qdq.quantized(own, original, [], str(tmp_path)), images) - wanted
    assert np.square(wanted).sum() > 300 * np.square(noise).sum()


def test_a_first_convolution_that_is_called_twice_is_not_widened(source: ExportSource, tmp_path: Path) -> None:
    import keras

    image = keras.Input((32, 32, 3), name="image")
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    scores = keras.layers.Dense(3, name="dense")(keras.layers.Flatten(name="flatten")(shared(shared(image))))
    own = replace(source, model=keras.Model(image, scores))
    original, _ = onnx_file.float_graph(own)
    images = source.selection_images[:100]
    wanted = onnx_file.outputs_of(original, images)
    noise = onnx_file.outputs_of(onnx_qdq.quantized(own, original, [], str(tmp_path)), images) - wanted
    assert np.square(wanted).sum() > 100 * np.square(noise).sum()
