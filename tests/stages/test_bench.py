"""Bench: which rows there are, and that they follow from the kept samples."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run as files
from edgecnn.cli import _run as command
from edgecnn.measuring import ratio
from edgecnn.records import Latency
from edgecnn.run import usable_cores
from edgecnn.session import ROUNDS, blocks_of
from edgecnn.stages.bench import BenchOptions, is_current
from edgecnn.targets import pairs

if TYPE_CHECKING:
    from edgecnn.run import Run


def test_every_export_on_one_thread_and_all_cores(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", str(run.root), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    record = run.load(files.LATENCY, Latency, "bench")
    assert [row["p50_ms"] for row in printed["rows"]] == [row.p50_ms for row in record.rows]
    found = [pair for pair in pairs(run, ())[0] if pair.runtime.most_images is None]
    wanted = {(p.format.name, p.runtime.name, n) for p in found for n in {1, usable_cores()}}
    assert {(row.format, row.runtime, row.threads) for row in record.rows} == wanted
    base = next(row for row in record.rows if row.ratio is None)
    assert (base.format, base.threads) == ("onnx_float32", 1)
    for row in record.rows:
        assert len(row.samples_ns) == row.iterations == len(row.blocks_at) * row.block_calls
        assert len(row.blocks_at) >= ROUNDS
        assert row.p50_ms == np.median(row.samples_ns) / 1e6
        assert 0 < row.p50_ms <= row.p90_ms <= row.p99_ms
        assert row.p50_interval_ms and row.p50_interval_ms.low <= row.p50_ms <= row.p50_interval_ms.high
        assert row.load_ms > 0 and row.first_call_ms and row.images_per_s
        assert row.peak_memory_bytes > 10_000_000
        assert row.warmup_iterations > 0
        assert len(row.cores) == usable_cores()
        assert row.ratio is None or row.ratio == ratio(blocks_of(row), row.batch, blocks_of(base), 1)
    assert record.noise and len(record.noise.spin_ns) == ROUNDS
    assert record.preparing and record.preparing.decode_ms
    assert is_current(run, BenchOptions())


def test_batches_threads_and_a_baseline_are_chosen(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--format", "onnx_float32", "--format", "tflite_int8", "--threads", "1", "--batch", "8,1"]
    assert command(["bench", str(run.root), *words, "--baseline", "tflite_int8"]) == 0
    record = run.load(files.LATENCY, Latency, "bench")
    assert {(row.format, row.batch) for row in record.rows} == {
        ("onnx_float32", 1), ("onnx_float32", 8), ("tflite_int8", 1)
    }  # fmt: skip
    assert "takes one image a call" in capsys.readouterr().out
    assert record.baseline.startswith("tflite_int8")


@pytest.mark.parametrize(
    "words",
    [["--baseline", "tflite_int8", "--format", "onnx_int8"], ["--threads", "0"], ["--batch", "many"],
     ["--format", "tflite_int8", "--batch", "8"], ["--runtime", "litter"]],
)  # fmt: skip
def test_what_cannot_be_is_wrong_usage(run: Run, words: list[str]) -> None:
    assert command(["bench", str(run.root), *words]) == 2
