"""Latencies of two runs, from the blocks that both kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.benchmark.latency_stats import FASTER, SAME, SLOWER
from edgecnn.benchmark.regression import latencies
from edgecnn.errors import UsageError
from edgecnn.records import (
    SCHEMA,
    DataSource,
    Interval,
    Latency,
    LatencyRow,
    Machine,
    Noise,
    Placement,
    PreprocessingLatency,
    Ratio,
)
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from pathlib import Path

DATA = DataSource(name="x", spec="x", sha256="0" * 64, labels=("a", "b"), train_count=1, test_count=1)
ANY = Interval(low=0, high=1)
MACHINE = Machine(cpu="A", cores=2, memory_bytes=1 << 33, system="Linux", python="3.11")
BLOCKS, CALLS = 60, 20


def row(format: str, pace_ns: float, first: int, generator: np.random.Generator, ratio: Ratio | None) -> LatencyRow:
    samples = np.abs(pace_ns * generator.normal(1, 0.01, BLOCKS * CALLS)).astype(int)
    return LatencyRow(
        format=format, runtime="litert", provider="xnnpack", artifact_sha256="f" * 64, threads=1, batch=1,
        p50_ms=pace_ns / 1e6, p90_ms=pace_ns / 1e6, p99_ms=pace_ns / 1e6, iterations=len(samples), warmup_iterations=1,
        load_ms=1.0, peak_memory_bytes=1, placement=Placement(device="cpu", compute_nodes={}, other_nodes={}),
        samples_ns=tuple(samples.tolist()), calls_per_block=CALLS, block_positions=tuple(range(first, 2 * BLOCKS, 2)),
        restarts=1, p50_interval_ms=ANY, p90_interval_ms=ANY, p99_interval_ms=ANY, images_per_s=1e9 / pace_ns,
        ratio=ratio, first_call_ms=1.0, warm=True, busy_cores=1.0, cpu_affinity=(0,),
    )  # fmt: skip


def measured(root: Path, seed: int, pace: float, *, share: float = 0.5, machine: Machine = MACHINE) -> Run:
    """A run on a machine of that pace, in which the target takes `share` of the baseline's time."""
    root.mkdir()
    run, generator = Run(root), np.random.default_rng(seed)
    ratio = Ratio(value=share, low=share, high=share, state=FASTER)
    rows = (row("onnx_float32", 50_000 * pace, 0, generator, None),
            row("tflite_int8", 50_000 * pace * share, 1, generator, ratio))  # fmt: skip
    noise = Noise(noise_probe_ns=(int(400_000 * pace),) * 9, spread=0.0, load_before=0, load_after=0, noisy=False)
    origin = replace(run.origin("bench", {}, []), machine=machine)
    run.save(run_directory.LATENCY, Latency(
        schema=SCHEMA, origin=origin, data=DATA, measured_on="x", rows=rows, skipped={}, baseline="x", noise=noise,
        preprocessing=PreprocessingLatency(image="x", decode_ms=None, resize_ms=1.0), timer_resolution_ns=40,
    ))  # fmt: skip
    return run


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


def test_a_run_without_latencies_is_none_the_worse(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert latencies(measured(tmp_path / "old", 1, 1.0), Run(tmp_path / "empty"), across_machines=False) == ((), ())
