"""Targets measured against each other: warmed up, timed in interleaved blocks, and made into rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecnn.benchmark.latency_stats import Block, calls_for, order, quantiles_ms, ratio, throughput
from edgecnn.errors import MachineError
from edgecnn.execution.client import ModelWorker
from edgecnn.records import LatencyRow, Placement, PreprocessingLatency
from edgecnn.records.common import setting_name
from edgecnn.records.contract import image_shape

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from edgecnn.execution.client import WorkerClient
    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import Target
    from edgecnn.records import Contract

BLOCK_SECONDS = 0.004
LEAST_CALLS, MOST_CALLS = 10, 40  # of a block
SKIPPED_CALLS = 5  # at the start of a block, while the caches fill again
STEPS_OF_CLOCK = 100  # minimum length of a sample in steps of the clock; shorter calls are averaged
WARMUP_CALLS = 10
WARMUP_SECONDS = 2.0
WARM = 0.02  # warm-up has ended when two blocks in succession are no more than this share below the best before
MORE_CORES = 0.5  # that a worker may use beyond its threads while it is timed
BOUND = "invoke; input and output stay on the device"
PHOTO = (480, 640)  # height, width of the file whose decoding is timed
PREPARED = 20


@dataclass(frozen=True)
class BenchmarkTarget:
    """What is timed: a file on a runtime and provider, with this many threads and images per call."""

    pair: Target
    threads: int
    batch: int = 1
    extras: tuple[str, ...] = ()  # of the runtime's
    cpu_affinity: str = ""  # cores that its worker may use, as in "0,1" ("": all)
    slowdown: float = 0.0  # a share of each call's time that is added to it

    @property
    def name(self) -> str:
        """The target in words."""
        return f"{self.pair.name}, {setting_name(self.threads, self.batch)}"


@dataclass
class Measurement:
    """What was measured of a target. Its worker is started several times: where memory comes to lie differs each time.

    `worker`, `images` (the path of the input as the worker sees it) and the seconds are of the latest start.
    """

    target: BenchmarkTarget
    worker: ModelWorker | None = None
    images: str = ""
    open_seconds: float = 0.0
    start_seconds: float = 0.0
    blocks: list[Block] = field(default_factory=list)
    blocks_per_start: list[int] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)  # CPU time of the worker as a share of each block's time
    load_ms: list[float] = field(default_factory=list)  # one entry per start, as below
    first_ms: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    warmup_calls: int = 0
    is_warm: bool = True  # whether each warm-up was seen to end
    calls_per_block: int = 0
    repeat: int = 1  # calls per sample
    cpu_affinity: tuple[int, ...] = ()  # on which the worker may run
    placement: Placement | None = None

    def open(self, host: Host) -> None:
        """A new process that has imported its runtime's packages; several may be opened at the same time."""
        target, begun = self.target, time.perf_counter()
        self.worker = ModelWorker(
            target.pair.runtime.name, target.pair.path, threads=target.threads, provider=target.pair.provider,
            extras=target.extras, host=host, cpu_affinity=target.cpu_affinity, load=False,
        )  # fmt: skip
        self.open_seconds = time.perf_counter() - begun

    def start(self, images: Path) -> None:
        """Load the file in the process that was opened, and warm up."""
        worker, target, begun = self.opened(), self.target, time.perf_counter()
        worker.load()
        self.images = worker.put(images)
        self.load_ms.append(worker.loaded["load_ms"])
        self.placement = Placement(**worker.loaded["placement"])
        self._warm_up()
        self.cpu_affinity = tuple(worker.ask("facts")["cpu_affinity"])
        if target.cpu_affinity and target.cpu_affinity != ",".join(map(str, self.cpu_affinity)):
            raise MachineError(
                f"The worker runs on cores {self.cpu_affinity} and not on {target.cpu_affinity} as required."
            )
        self.blocks_per_start.append(0)
        self.start_seconds = time.perf_counter() - begun

    def note_memory(self) -> None:
        """Keep the peak memory of the process."""
        self.peak_bytes = max(self.peak_bytes, self.opened().ask("memory")["peak_bytes"])

    def opened(self) -> ModelWorker:
        """The process."""
        assert self.worker is not None, "open() comes first"
        return self.worker

    def close(self) -> None:
        """End the process, where there is one."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def time(self, skip: int, calls: int) -> dict[str, Any]:
        """One block."""
        return self.opened().ask(
            "time", images=self.images, batch=self.target.batch, skip=skip, calls=calls, repeat=self.repeat,
            slowdown=self.target.slowdown,
        )  # fmt: skip

    def _warm_up(self) -> None:
        """Run blocks until two in succession are no faster than the best before; then settle how long a block is."""
        from statistics import median

        self.repeat = 1
        self.first_ms.append(self.opened().ask("first", images=self.images, batch=self.target.batch)["first_ms"])
        best, without_gain, spent = median(self.time(0, WARMUP_CALLS)["samples_ns"]), 0, 0.0
        self.warmup_calls += 1 + WARMUP_CALLS
        while without_gain < 2 and spent < WARMUP_SECONDS * 1e9:
            samples = self.time(0, WARMUP_CALLS)["samples_ns"]
            self.warmup_calls += WARMUP_CALLS
            spent += sum(samples)
            now = median(samples)
            without_gain = 0 if now < best * (1 - WARM) else without_gain + 1
            best = min(best, now)
        self.is_warm = self.is_warm and without_gain >= 2
        step = self.opened().ask("facts")["timer_resolution_ns"]
        self.repeat = max(1, -(-STEPS_OF_CLOCK * step // int(best)))
        self.calls_per_block = self.calls_per_block or calls_for(
            best * self.repeat, BLOCK_SECONDS, LEAST_CALLS, MOST_CALLS
        )


def start(
    members: Sequence[Measurement], host: Host, images: Path, cores: int, advance: Callable[[], None] = lambda: None
) -> dict[int, MachineError]:
    """Start these, anew where they run: as many at a time as there are cores import their packages; then one after the
    other loads its file and warms up. Which of them, by their places, the machine cannot start, and why."""
    from concurrent.futures import ThreadPoolExecutor

    for one in members:
        one.close()
    with ThreadPoolExecutor(cores) as pool:
        opening = [pool.submit(one.open, host) for one in members]
    failed: dict[int, MachineError] = {}
    for number, (one, opened) in enumerate(zip(members, opening, strict=True)):
        try:
            opened.result()
            one.start(images)
        except MachineError as error:
            one.close()
            failed[number] = error
        advance()
    return failed


def measure_round(
    started: Sequence[Measurement], chosen: Iterable[int], baseline: int, generator: random.Random
) -> int:
    """A block of each chosen target among blocks of the baseline; before it the time of a fixed loop, in ns."""
    spin: int = started[baseline].opened().ask("noise_probe")["noise_probe_ns"]
    at = 1 + max((one.blocks[-1].at for one in started if one.blocks), default=-1)
    for number, index in enumerate(order(chosen, baseline, generator)):
        one = started[index]
        answer = one.time(SKIPPED_CALLS, one.calls_per_block)
        one.blocks.append(Block(at + number, tuple(answer["samples_ns"])))
        one.blocks_per_start[-1] += 1
        one.busy.append(answer["busy_cores"])
    return spin


def row_of(measured: Measurement, baseline: Measurement) -> LatencyRow:
    """What was measured of a target, and how it compares with the baseline."""
    from statistics import median

    target = measured.target
    assert measured.placement is not None
    busy = median(measured.busy)
    if busy > target.threads + MORE_CORES:
        raise MachineError(f"{target.name} computed on {busy:.1f} cores, more than the number of threads.")
    others = [] if measured is baseline else baseline.blocks
    figures = figures_of(measured.blocks, target.batch, measured.blocks_per_start, others, baseline.target.batch)
    return LatencyRow(
        format=target.pair.artifact.format,
        runtime=target.pair.runtime.name,
        provider=target.pair.provider,
        artifact_sha256=target.pair.artifact.sha256,
        threads=target.threads,
        batch=target.batch,
        warmup_iterations=measured.warmup_calls,
        load_ms=median(measured.load_ms),
        peak_memory_bytes=measured.peak_bytes,
        placement=measured.placement,
        samples_ns=tuple(sample for block in measured.blocks for sample in block.samples_ns),
        calls_per_block=measured.calls_per_block,
        block_positions=tuple(block.at for block in measured.blocks),
        restarts=len(measured.blocks_per_start),
        blocks_per_start=tuple(measured.blocks_per_start),
        first_call_ms=median(measured.first_ms),
        warm=measured.is_warm,
        busy_cores=busy,
        cpu_affinity=measured.cpu_affinity,
        timed_region=BOUND if "io_binding" in target.extras else "",
        **figures,
    )


def figures_of(
    blocks: Sequence[Block],
    batch: int,
    blocks_per_start: Sequence[int],
    baseline: Sequence[Block],
    baseline_batch: int,
) -> dict[str, Any]:
    """The fields of a row that follow from its samples; `baseline` are the blocks of the target that the ratio is to,
    none for the baseline itself."""
    (p50, p50_interval), (p90, p90_interval), (p99, p99_interval) = quantiles_ms(blocks)
    return {
        "p50_ms": p50, "p90_ms": p90, "p99_ms": p99,
        "p50_interval_ms": p50_interval, "p90_interval_ms": p90_interval, "p99_interval_ms": p99_interval,
        "iterations": sum(len(block.samples_ns) for block in blocks),
        "images_per_s": throughput(blocks, batch),
        "ratio": ratio(blocks, batch, baseline, baseline_batch, blocks_per_start) if baseline else None,
    }  # fmt: skip


def blocks_of(row: LatencyRow) -> list[Block]:
    """The blocks of a row."""
    calls = row.calls_per_block
    return [Block(at, row.samples_ns[i * calls : (i + 1) * calls]) for i, at in enumerate(row.block_positions)]


def photo(path: Path) -> None:
    """Write a JPEG of a camera's kind, the same each time."""
    import numpy as np
    from PIL import Image

    height, width = PHOTO
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (17 + 9 * i)) * np.cos(y / (23 - 5 * i)) for i in range(3)]
    pixels = (np.stack(waves, axis=-1) * 110 + 128).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)


def preprocessing_latency(client: WorkerClient, picture: str, contract: Contract) -> PreprocessingLatency:
    """What decoding and resizing take in a process like a worker's; they are no part of a latency."""
    height, width, _ = image_shape(contract)
    taken = client.ask("prepare", image=picture, height=height, width=width, calls=PREPARED)
    return PreprocessingLatency(image=f"a JPEG of {PHOTO[1]} x {PHOTO[0]} pixels", **taken)
