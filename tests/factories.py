"""Records and runs made by hand, for tests of what reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn import run_directory
from edgecnn.benchmark.latency_stats import FASTER
from edgecnn.files import staged
from edgecnn.parity.intervals import accuracy, paired
from edgecnn.records import (
    SCHEMA,
    Artifact,
    Artifacts,
    DataSource,
    Interval,
    Latency,
    LatencyRow,
    Machine,
    Noise,
    Parity,
    ParityRow,
    Placement,
    PreprocessingLatency,
    Ratio,
)
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgecnn.records import Contract

DATA = DataSource(name="x", spec="x", sha256="0" * 64, labels=("a", "b"), train_count=1, test_count=1)
MACHINE = Machine(cpu="A", cores=2, memory_bytes=1 << 33, system="Linux", python="3.11")
PLACEMENT = Placement(device="cpu", compute_nodes={"XNNPACK": 4}, other_nodes={})
ANY = Interval(low=0, high=1)
BLOCKS, CALLS = 60, 20
IMAGES = 1000


def latency_row(
    format: str, pace_ns: float, first: int, generator: np.random.Generator, ratio: Ratio | None
) -> LatencyRow:
    """A row measured in BLOCKS blocks of CALLS calls, the first at that position, then every second one."""
    samples = np.abs(pace_ns * generator.normal(1, 0.01, BLOCKS * CALLS)).astype(int)
    return LatencyRow(
        format=format, runtime="litert", provider="xnnpack", artifact_sha256="f" * 64, threads=1, batch=1,
        p50_ms=pace_ns / 1e6, p90_ms=pace_ns / 1e6, p99_ms=pace_ns / 1e6, iterations=len(samples), warmup_iterations=1,
        load_ms=1.0, peak_memory_bytes=1, placement=PLACEMENT, samples_ns=tuple(samples.tolist()),
        calls_per_block=CALLS, block_positions=tuple(range(first, 2 * BLOCKS, 2)),
        restarts=1, p50_interval_ms=ANY, p90_interval_ms=ANY, p99_interval_ms=ANY, images_per_s=1e9 / pace_ns,
        ratio=ratio, first_call_ms=1.0, warm=True, busy_cores=1.0, cpu_affinity=(0,),
    )  # fmt: skip


def measured(root: Path, seed: int, pace: float, *, share: float = 0.5, machine: Machine = MACHINE) -> Run:
    """A run on a machine of that pace, in which tflite_int8 takes `share` of the time of the baseline, onnx_float32."""
    root.mkdir(exist_ok=True)
    run, generator = Run(root), np.random.default_rng(seed)
    ratio = Ratio(value=share, low=share, high=share, state=FASTER)
    rows = (latency_row("onnx_float32", 50_000 * pace, 0, generator, None),
            latency_row("tflite_int8", 50_000 * pace * share, 1, generator, ratio))  # fmt: skip
    noise = Noise(noise_probe_ns=(int(400_000 * pace),) * 9, spread=0.0, load_before=0, load_after=0, noisy=False)
    origin = replace(run.origin("bench", {}, []), machine=machine)
    run.save(run_directory.LATENCY, Latency(
        schema=SCHEMA, origin=origin, data=DATA, measured_on="x", rows=rows, skipped={}, baseline="x", noise=noise,
        preprocessing=PreprocessingLatency(image="x", decode_ms=None, resize_ms=1.0), timer_resolution_ns=40,
    ))  # fmt: skip
    return run


def parity_row(format: str, **changes: Any) -> ParityRow:
    """A row of an export on one runtime that passed on IMAGES images without labels."""
    row = ParityRow(
        format=format, runtime="litert", provider="xnnpack", artifact_sha256="f" * 64, images=IMAGES, accuracy=None,
        paired=None, gate_difference=None, extrapolated_from="", agreement=1.0, top5_agreement=None, flips=(),
        max_logit_difference=0.0, mean_logit_difference=0.0, sqnr_db=None, cosine_similarity=1.0, bit_equal_to=(),
        placement=PLACEMENT, gate="agreement", verdict="pass", reason="", seconds=1.5,
    )  # fmt: skip
    return replace(row, **changes)


def parity_record(run: Run, rows: tuple[ParityRow, ...], **changes: Any) -> Parity:
    """parity.json of such rows; the verdict is theirs."""
    verdicts = {row.verdict for row in rows}
    record = Parity(
        schema=SCHEMA, origin=replace(run.origin("parity", {}, []), machine=MACHINE), data=DATA,
        evaluated_on="all test images of x", images=IMAGES, reference="keras", reference_accuracy=None, rows=rows,
        agreement_matrix=(), preprocessing_paths=(), skipped={}, reasons=(),
        verdict="fail" if "fail" in verdicts else "not proven" if "not proven" in verdicts else "pass",
    )  # fmt: skip
    return replace(record, **changes)


def judged(root: Path, contract: Contract, wrong: Mapping[str, int], sizes: Mapping[str, int]) -> Run:
    """A run whose exports, by format, classify so many of the same IMAGES images wrong, and have that size in bytes.

    The wrong images are the first ones, so a format with more of them has negative flips and no positive ones.
    """
    root.mkdir(exist_ok=True)
    run = Run(root)
    run.save(run_directory.CONTRACT, contract)
    artifacts = tuple(
        Artifact(
            format=format, path=f"exports/{format}.tflite", size_bytes=size, sha256="f" * 64, input=contract.input,
            output=contract.output, content_sha256="f" * 64,
        )
        for format, size in sizes.items()
    )  # fmt: skip
    origin = run.origin("export", {run_directory.CONTRACT: run.hash_of(run_directory.CONTRACT)}, [])
    run.save(run_directory.ARTIFACTS, Artifacts(schema=SCHEMA, origin=origin, data=DATA, artifacts=artifacts))
    labels = np.arange(IMAGES, dtype=np.int32) % len(contract.labels)
    predictions = {name: np.where(np.arange(IMAGES) < n, (labels + 1) % 3, labels) for name, n in wrong.items()}
    rows = tuple(
        parity_row(
            name, accuracy=accuracy(IMAGES - n, IMAGES, "test"), paired=paired(n, 0, IMAGES), sqnr_db=30.0,
            max_logit_difference=0.5, agreement=1 - n / IMAGES, gate_difference=paired(n, 0, IMAGES).difference,
        )
        for name, n in wrong.items()
    )  # fmt: skip
    with staged(run.path(run_directory.PREDICTIONS)) as draft:
        np.savez(
            draft, names=np.array([row.name for row in rows]), predictions=np.array(list(predictions.values())),
            reference=labels, labels=labels, images=np.array("x"),
        )  # fmt: skip
    record = parity_record(run, rows, reference_accuracy=accuracy(IMAGES, IMAGES, "test"))
    outputs = {run_directory.PREDICTIONS: run.hash_of(run_directory.PREDICTIONS)}
    run.save(run_directory.PARITY, replace(record, origin=replace(record.origin, outputs=outputs)))
    return run
