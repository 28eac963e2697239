"""Bench: which rows there are, and that they follow from the kept samples."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from edgecnn import run as files
from edgecnn.cli import _run as command
from edgecnn.records import Latency
from edgecnn.run import usable_cores
from edgecnn.stages.bench import BLOCK_CALLS, BLOCKS, is_current
from edgecnn.targets import pairs

if TYPE_CHECKING:
    import pytest

    from edgecnn.run import Run


def test_every_export_on_one_thread_and_all_cores(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", str(run.root), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    record = run.load(files.LATENCY, Latency, "bench")
    assert [row["p50_ms"] for row in printed["rows"]] == [row.p50_ms for row in record.rows]
    wanted = {
        (p.format.name, p.runtime.name, n)
        for p in pairs(run, ())[0]
        if p.runtime.most_images is None
        for n in {1, usable_cores()}
    }
    assert {(row.format, row.runtime, row.threads) for row in record.rows} == wanted
    for row in record.rows:
        assert len(row.samples_ns) == row.iterations == BLOCKS * BLOCK_CALLS
        assert row.p50_ms == np.median(row.samples_ns) / 1e6
        assert 0 < row.p50_ms <= row.p90_ms <= row.p99_ms
        assert row.load_ms > 0
        assert row.peak_memory_bytes > 10_000_000
        assert row.warmup_iterations > 0
    assert is_current(run, ())
