"""Latency of every export on every runtime here: one image, one thread and all cores.

Every target lives in a worker of its own. Warm-up ends when it is seen to have ended; then blocks of all
targets are interleaved in a seeded random order, one worker awake at a time, so that a slow minute of the
machine hits all alike. Every timed call is kept.
"""

from __future__ import annotations

import random
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run as files
from edgecnn.console import progress, say
from edgecnn.images import samples_of
from edgecnn.records import SCHEMA, Latency, LatencyRow, Placement
from edgecnn.run import TEMPORARY, Run, save_array, this_machine, usable_cores
from edgecnn.targets import pairs
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.targets import Pair

BLOCKS = 25
BLOCK_CALLS = 40
SKIPPED_CALLS = 5  # at the start of a block, while the caches fill again
WARMUP_CALLS = 30
MAX_WARMUP_BLOCKS = 20
WARM = 0.05  # warm-up has ended when the median of a block is no more than this share below the one before
ORDER_SEED = 1
RUNTIME_PACKAGES = ("tensorflow", "ai-edge-litert", "onnxruntime", "edgecnn")


@dataclass
class _Target:
    """A row in the making."""

    pair: Pair
    threads: int
    worker: Worker
    warmup: int
    samples_ns: list[int]


def inputs(run: Run, formats: Sequence[str]) -> dict[str, str]:
    """What decides the figures: the exports' hashes, the machine, and the runtimes' versions."""
    machine, versions = this_machine(), files.installed_versions()
    return {
        **{name: run.hash_of(name) for name in (files.ARTIFACTS, files.SAMPLES)},
        "formats": " ".join(sorted(formats)),
        "machine": f"{machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}",
        **{name: versions.get(name, "missing") for name in RUNTIME_PACKAGES},
    }


def is_current(run: Run, formats: Sequence[str]) -> bool:
    """Whether latency.json was measured on this machine with what the run holds now."""
    return run.is_current(files.LATENCY, Latency, inputs(run, formats))


def bench(run: Run, formats: Sequence[str] = ()) -> Latency:
    """Measure and write latency.json.

    The timed region sets the uint8 input, invokes, and reads the output. Raises InputError for files that are
    not those exported, MachineError when a worker dies.
    """

    contract = run.contract()
    samples = samples_of(run, contract)
    found, skipped = pairs(run, formats)
    found = [pair for pair in found if pair.runtime.most_images is None]  # the slow ones are no target on a computer
    for pair in found:
        run.artifact_path(pair.artifact)
    thread_counts = sorted({1, usable_cores()})
    say(f"Latency of one image, {' and '.join(str(n) for n in thread_counts)} threads")
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder, ExitStack() as stack:
        images = Path(folder) / "images.npy"
        save_array(images, samples.images)
        targets = []
        with progress("starting and warming up", len(found) * len(thread_counts)) as advance:
            for pair in found:
                for threads in thread_counts:
                    worker = stack.enter_context(
                        Worker(pair.runtime.name, pair.path, threads=threads, provider=pair.provider)
                    )
                    targets.append(_Target(pair, threads, worker, _warm_up(worker, images), []))
                    advance(len(targets))
        _measure(targets, images)
        rows = tuple(_row(target) for target in targets)
    for row in rows:
        say(f"  {row.format} on {row.runtime}, {row.threads} threads: p50 {row.p50_ms:.3f} ms, p99 {row.p99_ms:.3f} ms")
    record = Latency(
        schema=SCHEMA,
        origin=run.origin("bench", inputs(run, formats), []),
        data=contract.data,
        measured_on=samples.words(),
        rows=rows,
        skipped=skipped,
    )
    run.save(files.LATENCY, record)
    return record


def _time(worker: Worker, images: Path, skip: int, calls: int) -> list[int]:
    samples: list[int] = worker.ask("time", images=str(images), skip=skip, calls=calls)["samples_ns"]
    return samples


def _warm_up(worker: Worker, images: Path) -> int:
    """Run blocks until their median stops falling; the number of calls made."""
    from statistics import median

    last = median(_time(worker, images, 0, WARMUP_CALLS))
    for block in range(2, MAX_WARMUP_BLOCKS + 1):
        now = median(_time(worker, images, 0, WARMUP_CALLS))
        if now >= last * (1 - WARM):
            return block * WARMUP_CALLS
        last = now
    return MAX_WARMUP_BLOCKS * WARMUP_CALLS


def _measure(targets: list[_Target], images: Path) -> None:
    generator = random.Random(ORDER_SEED)
    with progress("measuring", BLOCKS) as advance:
        for block in range(BLOCKS):
            for target in generator.sample(targets, len(targets)):
                target.samples_ns += _time(target.worker, images, SKIPPED_CALLS, BLOCK_CALLS)
            advance(block + 1)


def _row(target: _Target) -> LatencyRow:
    import numpy as np

    p50, p90, p99 = (float(value) / 1e6 for value in np.percentile(target.samples_ns, (50, 90, 99)))
    return LatencyRow(
        format=target.pair.format.name,
        runtime=target.pair.runtime.name,
        provider=target.pair.provider,
        artifact_sha256=target.pair.artifact.sha256,
        threads=target.threads,
        batch=1,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        iterations=len(target.samples_ns),
        warmup_iterations=target.warmup,
        load_ms=target.worker.loaded["load_ms"],
        peak_memory_bytes=target.worker.ask("memory")["peak_bytes"],
        placement=Placement(**target.worker.loaded["placement"]),
        samples_ns=tuple(target.samples_ns),
    )
