"""TFLite Micro in a process of its own: what it refuses and how it dies, as one sentence."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import micro
from edgecnn.errors import InputError, MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.run import Run

IMAGES = np.zeros((2, 32, 32, 3), np.uint8)
installed = pytest.mark.skipif(not micro.is_installed(), reason="pip install 'edgecnn[micro]'")


@installed
def test_it_answers_in_int8_and_knows_its_arena(run: Run) -> None:
    found = micro.measure(run.path("exports/tflite_int8_micro.tflite").read_bytes(), IMAGES)
    assert (found.outputs.dtype, found.outputs.shape) == (np.int8, (2, 3))
    assert found.arena_bytes % micro.ARENA_STEP == 0
    assert 36_000 < found.arena_bytes < 48_000


@installed
def test_a_model_it_cannot_run_is_bad_input(run: Run) -> None:
    float_model = run.path("exports/tflite_float32.tflite").read_bytes()  # it begins with a CAST from uint8
    with pytest.raises(InputError, match=r"TFLite Micro cannot run the model: .*MiB of arena"):
        micro.measure(float_model, IMAGES)


@installed
def test_a_death_is_a_sentence_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho last words >&2\nkill -SEGV $$\n")
    dying.chmod(dying.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(MachineError, match=r"died of the model \(SIGSEGV\): last words"):
        micro.measure(b"", IMAGES)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro, "is_installed", lambda: False)
    with pytest.raises(MachineError, match=r"edgecnn\[micro\]"):
        micro.measure(b"", IMAGES)
