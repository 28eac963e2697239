"""TFLite Micro in a process of its own: what it refuses and how it dies, as one sentence."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.errors import InputError, MachineError
from edgecnn.execution.client import ModelWorker
from edgecnn.records import Export
from edgecnn.runtimes import tflm_interpreter
from edgecnn.runtimes.tflm_faults import fault

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

IMAGES = np.zeros((2, 32, 32, 3), np.uint8)
installed = pytest.mark.skipif(not tflm_interpreter.is_installed(), reason="needs tflite-micro")


@installed
def test_it_answers_in_int8_and_knows_its_arena(run: Run) -> None:
    found = tflm_interpreter.measure(run.path("exports/tflite_int8_micro.tflite").read_bytes(), IMAGES)
    assert (found.outputs.dtype, found.outputs.shape) == (np.int8, (2, 3))
    assert found.arena_bytes % tflm_interpreter.ARENA_STEP == 0
    assert 36_000 < found.arena_bytes < 48_000


@installed
def test_a_model_it_cannot_run_is_bad_input(run: Run) -> None:
    float_model = run.path("exports/tflite_float32.tflite").read_bytes()  # it begins with a CAST from uint8
    with pytest.raises(InputError, match=r"TFLite Micro cannot run the model: .*an arena of 64 MiB"):
        tflm_interpreter.measure(float_model, IMAGES)


@pytest.fixture
def deadly(tmp_path: Path, tiny_contract: Contract) -> Path:
    """A model whose softmax TFLite Micro aborts on without a word: the scale of its input is too small."""
    pytest.importorskip("tensorflow")
    from edgecnn.export.format import ExportSource
    from edgecnn.export.formats.tflite_int8_micro import PLUGIN
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 3), name="image"), layers.Conv2D(4, 3, name="conv"), layers.Flatten(name="flatten"),
         layers.Dense(3, name="dense"), layers.Softmax(name="shares")]
    )  # fmt: skip
    model.get_layer("dense").set_weights([model.get_layer("dense").get_weights()[0] * 1e-8, np.zeros(3)])
    pixels = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    source = ExportSource(model, tiny_contract, pixels, pixels[:0], np.zeros(0, np.int64))
    exported = PLUGIN.export(source)
    facts = Export(
        format=PLUGIN.name,
        versions={},
        layers=dict(exported.layers),
        fused_into={},
        calibration=None,
        excluded_from_quantization=(),
    )
    exported.write(replace(tiny_contract, export=facts), tmp_path / "deadly.tflite")
    return tmp_path / "deadly.tflite"


@installed
def test_the_operator_and_the_layer_that_it_dies_of_are_named(deadly: Path) -> None:
    words = "ends its process at the operator SOFTMAX of layer 'shares'"
    assert fault(deadly.read_bytes()).endswith(words)
    with pytest.raises(MachineError, match=rf"The worker for tflite_micro with deadly.tflite died .*{words}\.$"):
        ModelWorker("tflite_micro", deadly, threads=1)


@installed
def test_a_model_that_lives_has_no_fault(run: Run) -> None:
    assert fault(run.path("exports/tflite_int8_micro.tflite").read_bytes()) == ""


@installed
def test_a_death_is_a_sentence_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho last words >&2\nkill -SEGV $$\n")
    dying.chmod(dying.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(MachineError, match=r"died of the model \(SIGSEGV\): last words"):
        tflm_interpreter.measure(b"", IMAGES)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(MachineError, match=r"needs the package tflite_micro: .*\[micro\]"):
        tflm_interpreter.measure(b"", IMAGES)
