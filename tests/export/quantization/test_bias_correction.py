"""Corrected biases take back what quantization shifts, in both quantized file kinds, and are used where they win."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.export.format import ExportOptions, ExportSource, Format
from edgecnn.export.quantization.bias_correction import moved
from edgecnn.plugins import pick

if TYPE_CHECKING:
    from edgecnn.records import Contract, MixedPrecision

keras = pytest.importorskip("keras")

CHANNELS = 12
STEP = 1 / 127  # of a weight, where the largest is 1


@pytest.fixture
def source(tiny_contract: Contract) -> ExportSource:
    """A model whose small weights all round the same way, which shifts its outputs; it classifies all images right."""
    random = np.random.default_rng(1)
    height, width, colors = tiny_contract.input.shape[1:]
    image = keras.Input((height, width, colors), name="image")
    x = keras.layers.Conv2D(CHANNELS, 1, activation="relu", name="one")(image)
    x = keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", name="two")(x)
    model = keras.Model(image, keras.layers.Dense(3, name="three")(keras.layers.GlobalAveragePooling2D()(x)))
    one = np.abs(random.normal(0.0, 0.5, (1, 1, colors, CHANNELS)))
    model.get_layer("one").set_weights([one, np.zeros(CHANNELS)])
    two = np.empty((3, 3, CHANNELS, CHANNELS))
    two[..., ::2], two[..., 1::2] = 0.6 * STEP, 0.4 * STEP  # rounded up and down
    two[1, 1, range(CHANNELS), range(CHANNELS)] = 1.0
    model.get_layer("two").set_weights([two, np.zeros(CHANNELS)])
    three, bias = random.normal(0.0, 0.5, (CHANNELS, 3)), np.zeros(3)
    three[::2] += [0.3, 0.0, -0.3]
    model.get_layer("three").set_weights([three, bias])
    coarse = random.integers(0, 256, (800, height // 4, width // 4, colors))
    images = np.kron(coarse, np.ones((1, 4, 4, 1), int)).astype(np.uint8)
    outputs = np.asarray(model(images / np.float32(255)))
    model.get_layer("three").set_weights([three, -np.median(outputs, axis=0)])
    labels = np.asarray(model(images / np.float32(255))).argmax(axis=1)
    return ExportSource(
        model, tiny_contract, images[:200], images[200:], labels[200:], ExportOptions(max_accuracy_drop=0.0)
    )


def _search(source: ExportSource, format: str) -> MixedPrecision:
    found = pick(Format, format).export(source).mixed_precision
    assert found is not None
    return found


@pytest.mark.parametrize("format", ["onnx_int8", "tflite_int8"])
def test_biases_are_corrected_where_that_loses_less(source: ExportSource, format: str) -> None:
    plain, corrected = _search(source, format).steps[:2]
    assert (plain.bias_corrected, corrected.bias_corrected) == (False, True)
    assert plain.excluded_from_quantization == corrected.excluded_from_quantization == ()
    assert plain.accuracy_drop_points > 5, "the shift costs"
    assert corrected.accuracy_drop_points < plain.accuracy_drop_points / 3
    enough = _search(replace(source, options=ExportOptions(max_accuracy_drop=corrected.accuracy_drop_points)), format)
    assert enough.bias_corrected
    assert enough.excluded_from_quantization == ()
    assert enough.sensitivity_sqnr_db == {}, "no search for layers was needed"


@pytest.mark.parametrize("format", ["onnx_int8", "tflite_int8"])
def test_a_file_that_keeps_the_budget_stays_as_it_is(source: ExportSource, format: str) -> None:
    found = _search(replace(source, options=ExportOptions(max_accuracy_drop=100.0)), format)
    assert not found.bias_corrected
    assert len(found.steps) == 1


def test_biases_stay_within_32_bits() -> None:
    bias = np.array([5, 2**31 - 2, -(2**31)], np.int32)
    np.testing.assert_array_equal(moved(bias, np.float32([0.5]), np.array([1.24, 9.0, -9.0])), [7, 2**31 - 1, -(2**31)])
