"""Bench: which rows there are, and that they follow from the kept samples."""

from __future__ import annotations

import json
import os
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.benchmark import budget
from edgecnn.benchmark.budget import MIN_ROUNDS, STARTS
from edgecnn.benchmark.latency_stats import SLOWER, ratio
from edgecnn.benchmark.session import BenchmarkTarget, Measurement, blocks_of, measure_round, row_of, start
from edgecnn.cli import _run as command
from edgecnn.environment import usable_cores
from edgecnn.execution.hosts import LocalHost
from edgecnn.execution.targets import pairs
from edgecnn.records import Latency
from edgecnn.stages.bench import BenchOptions, is_current

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.run_directory import Run


def test_every_export_on_one_thread_and_all_cores(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", str(run.root), "--json", "--time-budget", "1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    record = run.load(run_directory.LATENCY, Latency, "bench")
    assert [row["p50_ms"] for row in printed["rows"]] == [row.p50_ms for row in record.rows]
    found = [pair for pair in pairs(run, ())[0] if pair.runtime.max_images is None]
    names = [("keras", "keras"), *((pair.format.name, pair.runtime.name) for pair in found)]
    wanted = {(*name, n) for name in names for n in {1, usable_cores()}}
    assert {(row.format, row.runtime, row.threads) for row in record.rows} == wanted
    base = next(row for row in record.rows if row.ratio is None)
    assert (base.format, base.threads) == ("onnx_float32", 1)
    for row in record.rows:
        assert len(row.samples_ns) == row.iterations == len(row.block_positions) * row.calls_per_block
        assert sum(row.blocks_per_start) == len(row.block_positions) >= MIN_ROUNDS
        assert len(row.blocks_per_start) == row.restarts == 1  # the budget is used up when each has its minimum
        assert row.p50_ms == np.median(row.samples_ns) / 1e6
        assert 0 < row.p50_ms <= row.p90_ms <= row.p99_ms
        assert row.p50_interval_ms and row.p50_interval_ms.low <= row.p50_ms <= row.p50_interval_ms.high
        assert row.load_ms > 0 and row.first_call_ms and row.images_per_s
        assert row.peak_memory_bytes > 10_000_000
        assert row.warmup_iterations > 0
        assert len(row.cpu_affinity) == usable_cores()
        assert row.ratio is None or row.ratio == ratio(
            blocks_of(row), row.batch, blocks_of(base), 1, row.blocks_per_start
        )
    assert record.noise and len(record.noise.noise_probe_ns) == MIN_ROUNDS
    assert record.time_budget and record.time_budget.seconds == 1 < record.time_budget.used_seconds
    assert record.preprocessing and record.preprocessing.decode_ms
    assert is_current(run, BenchOptions(time_budget=1))
    assert not is_current(run, BenchOptions())


def test_a_larger_budget_buys_further_starts_and_is_kept_where_the_minimum_fits(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No interval is called wide, since a busy machine would spend it all."""
    monkeypatch.setattr(budget, "SETTLED", 1e9)
    words = ["--format", "onnx_float32", "--format", "onnx_int8", "--threads", "1", "--time-budget", "300"]
    assert command(["bench", str(run.root), *words]) == 0
    record = run.load(run_directory.LATENCY, Latency, "bench")
    assert [row.restarts for row in record.rows] == [STARTS, STARTS]
    for row in record.rows:
        assert all(blocks >= MIN_ROUNDS for blocks in row.blocks_per_start)
        assert row.block_positions == tuple(sorted(set(row.block_positions)))
    assert record.time_budget and record.time_budget.used_seconds < 300
    assert "the time budget was 300 s" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "batches"), [(["--runtime", "keras"], (1, 8)), (["--format", "keras"], (1,))])
def test_the_trained_model_is_measured_in_batches_too(run: Run, words: list[str], batches: tuple[int, ...]) -> None:
    words = [*words, "--threads", "1", "--batch", ",".join(map(str, batches)), "--time-budget", "1"]
    assert command(["bench", str(run.root), *words]) == 0
    record = run.load(run_directory.LATENCY, Latency, "bench")
    assert [(row.format, row.runtime, row.batch) for row in record.rows] == [("keras", "keras", n) for n in batches]
    assert {row.artifact_sha256 for row in record.rows} == {run.contract().model_sha256}
    assert record.rows[0].placement.compute_nodes["TensorFlow"] > 0


def test_a_model_that_was_changed_is_not_measured(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.path(run_directory.MODEL).write_bytes(b"another")
    assert command(["bench", str(run.root), "--runtime", "keras"]) == 4
    assert "is not the model of contract.json" in capsys.readouterr().err


def test_batches_threads_and_a_baseline_are_chosen(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--format",
        "onnx_float32",
        "--format",
        "tflite_int8",
        "--threads",
        "1",
        "--batch",
        "8,1",
        "--time-budget",
        "1",
    ]
    assert command(["bench", str(run.root), *words, "--baseline", "tflite_int8"]) == 0
    record = run.load(run_directory.LATENCY, Latency, "bench")
    assert {(row.format, row.batch) for row in record.rows} == {
        ("onnx_float32", 1), ("onnx_float32", 8), ("tflite_int8", 1)
    }  # fmt: skip
    assert "takes 1 image per call" in capsys.readouterr().out
    assert record.baseline.startswith("tflite_int8")


@pytest.mark.parametrize(
    "words",
    [["--baseline", "tflite_int8", "--format", "onnx_int8"], ["--threads", "0"], ["--batch", "many"],
     ["--format", "tflite_int8", "--batch", "8"], ["--runtime", "litter"], ["--runtime", "keras", "--ep", "cuda"],
     ["--format", "keras", "--runtime", "litert"], ["--format", "keras", "--format", "kers"]],
)  # fmt: skip
def test_what_cannot_be_is_wrong_usage(run: Run, words: list[str]) -> None:
    assert command(["bench", str(run.root), *words]) == 2


def test_an_injected_slowdown_is_found(run: Run, tmp_path: Path) -> None:
    """Real workers, a few times; tools/slowdowns does it fifty times with 5 %."""
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((4, *run.contract().input.shape[1:]), np.uint8))
    pair = pairs(run, ["onnx_int8"])[0][0]
    for _ in range(3):  # a busy machine may make one unstable
        states = []
        for share in (0.0, 0.15):
            targets = [Measurement(BenchmarkTarget(pair, 1, slowdown=slowdown)) for slowdown in (0.0, share)]
            with ExitStack() as stack:
                for target in targets:
                    stack.callback(target.close)
                assert not start(targets, LocalHost(), images, 1)
                generator = random.Random(1)
                for _ in range(40):
                    measure_round(targets, [0, 1], 0, generator)
            found = row_of(targets[1], targets[0]).ratio
            assert found
            states.append(found.state)
        if states[0] != SLOWER and states[1] == SLOWER:
            break
    assert states[0] != SLOWER and states[1] == SLOWER


def test_cores_are_those_asked_for(run: Run) -> None:
    core = min(os.sched_getaffinity(0))
    words = ["--format", "onnx_int8", "--cpu-affinity", str(core), "--time-budget", "1", "--io-binding"]
    assert command(["bench", str(run.root), *words]) == 0
    record = run.load(run_directory.LATENCY, Latency, "bench")
    assert (record.rows[0].threads, record.rows[0].cpu_affinity) == (1, (core,))
    assert "stay on the device" in record.rows[0].timed_region
    assert command(["bench", str(run.root), "--format", "onnx_int8", "--cpu-affinity", "4000"]) == 3


@pytest.mark.parametrize(
    "words",
    [["--ep", "cuda"], ["--ep", "openvino", "--allow-fallback"], ["--python", "/nowhere/python"],
     ["--python", "/bin/sh"], ["--remote", "ssh://nobody.invalid"]],
)  # fmt: skip
def test_what_this_machine_cannot_do_is_an_error(
    run: Run, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["bench", str(run.root), "--format", "onnx_int8", *words]) == 3
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("Error: ") and told.endswith(".")
    assert not run.path(run_directory.LATENCY).exists()


@pytest.mark.parametrize("provider", ["openvino", "webgpu"])
def test_another_python_with_another_provider(run: Run, provider: str, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenVINO really runs on a CPU; WebGPU is listed, finds no adapter, and must not be served by the CPU."""
    python = os.environ.get(f"EDGECNN_{provider.upper()}_PYTHON")
    if not python:
        pytest.skip(f"EDGECNN_{provider.upper()}_PYTHON names no Python with onnxruntime-{provider}")
    words = ["--format", "onnx_float32", "--ep", provider, "--python", python, "--threads", "1", "--time-budget", "1"]
    code = command(["bench", str(run.root), *words])
    if code == 0:
        (row,) = run.load(run_directory.LATENCY, Latency, "bench").rows
        assert [name.lower() for name in row.placement.compute_nodes] == [f"{provider}executionprovider"]
    else:
        assert (provider, code) == ("webgpu", 3)
        assert f"onnxruntime-{provider}" in capsys.readouterr().err
