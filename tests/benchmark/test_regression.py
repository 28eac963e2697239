"""Latencies of two runs, from the blocks that both kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn.benchmark.latency_stats import FASTER, SAME, SLOWER
from edgecnn.benchmark.regression import latencies
from edgecnn.errors import InputError, UsageError
from edgecnn.run_directory import Run
from tests.factories import MACHINE, measured

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("share", "state"), [(0.5, SAME), (0.53, SLOWER), (0.47, FASTER)])
def test_a_change_is_told_whatever_the_pace_of_the_machine(tmp_path: Path, share: float, state: str) -> None:
    old, new = measured(tmp_path / "old", 1, 1.0), measured(tmp_path / "new", 2, 1.4, share=share)
    found, machines = latencies(old, new, across_machines=False)
    assert [(one.name, one.change.state) for one in found] == [
        ("onnx_float32 on litert (xnnpack), 1 thread", SAME),
        ("tflite_int8 on litert (xnnpack), 1 thread", state),
    ]
    assert len(machines) == 1


def test_different_machines_are_refused_unless_asked_for(tmp_path: Path) -> None:
    other = replace(MACHINE, cpu="B")
    old, new = measured(tmp_path / "old", 1, 1.0), measured(tmp_path / "new", 2, 1.0, machine=other)
    with pytest.raises(UsageError, match=r"different machines \(A, .*; B, .*--across-machines"):
        latencies(old, new, across_machines=False)
    found, machines = latencies(old, new, across_machines=True)
    assert len(found) == len(machines) == 2


def test_a_run_without_latencies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"latency\.json is missing; `edgecnn bench .*empty` writes it"):
        latencies(measured(tmp_path / "old", 1, 1.0), Run(tmp_path / "empty"), across_machines=False)
