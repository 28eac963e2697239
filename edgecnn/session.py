"""Targets measured against each other: warmed up, timed in interleaved blocks, and made into rows."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecnn.contract import image_shape
from edgecnn.errors import MachineError
from edgecnn.measuring import Block, calls_for, order, quantiles_ms, ratio, throughput
from edgecnn.records import LatencyRow, Placement, Preparing
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgecnn.places import Place
    from edgecnn.records import Contract
    from edgecnn.targets import Loadable
    from edgecnn.worker import Far

BLOCK_SECONDS = 0.004
LEAST_CALLS, MOST_CALLS = 10, 40  # of a block
SKIPPED_CALLS = 5  # at the start of a block, while the caches fill again
STEPS_OF_CLOCK = 100  # a sample is so many steps of the clock long, or the mean of several calls
WARMUP_CALLS = 10
WARMUP_SECONDS = 2.0
WARM = 0.02  # warm-up has ended when two blocks in succession are no more than this share below the best before
MORE_CORES = 0.5  # beyond the threads asked for, that a worker may use while it is timed
BOUND = "invoke; input and output stay on the device"
PHOTO = (480, 640)  # height, width of the file whose decoding is timed
PREPARED = 20


@dataclass
class Target:
    """A row in the making. Its worker is started anew several times: where memory comes to lie differs each time."""

    pair: Loadable
    threads: int
    batch: int = 1
    extras: tuple[str, ...] = ()
    cores: str = ""
    slowdown: float = 0.0
    warmup: int = 0
    warm: bool = True
    calls: int = 0
    repeat: int = 1
    blocks: list[Block] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    allowed: tuple[int, ...] = ()
    placement: Placement | None = None

    @property
    def name(self) -> str:
        """The target in words."""
        words = f"{self.pair.name}, {self.threads} thread{'s' if self.threads > 1 else ''}"
        return words if self.batch == 1 else f"{words}, batch {self.batch}"

    def start(self, place: Place, images: Path) -> Worker:
        """A new worker, warm."""
        worker = Worker(
            self.pair.runtime.name, self.pair.path, threads=self.threads, provider=self.pair.provider,
            extras=self.extras, place=place, cores=self.cores,
        )  # fmt: skip
        try:
            self.worker, self.images = worker, worker.put(images)
            self.load_ms.append(worker.loaded["load_ms"])
            self.placement = Placement(**worker.loaded["placement"])
            self._warm_up()
            self.allowed = tuple(worker.ask("facts")["cores"])
            if self.cores and self.cores != ",".join(map(str, self.allowed)):
                raise MachineError(f"The worker runs on cores {self.allowed} and not on {self.cores}, as asked for.")
        except BaseException:
            worker.close()
            raise
        return worker

    def time(self, skip: int, calls: int) -> dict[str, Any]:
        """One block."""
        return self.worker.ask(
            "time", images=self.images, batch=self.batch, skip=skip, calls=calls, repeat=self.repeat,
            slowdown=self.slowdown,
        )  # fmt: skip

    def _warm_up(self) -> None:
        """Run blocks until two in succession are no faster than the best before; then settle how long a block is."""
        from statistics import median

        self.repeat = 1
        self.first_ms.append(self.worker.ask("first", images=self.images, batch=self.batch)["first_ms"])
        best, without_gain, spent = median(self.time(0, WARMUP_CALLS)["samples_ns"]), 0, 0.0
        self.warmup += 1 + WARMUP_CALLS
        while without_gain < 2 and spent < WARMUP_SECONDS * 1e9:
            samples = self.time(0, WARMUP_CALLS)["samples_ns"]
            self.warmup += WARMUP_CALLS
            spent += sum(samples)
            now = median(samples)
            without_gain = 0 if now < best * (1 - WARM) else without_gain + 1
            best = min(best, now)
        self.warm = self.warm and without_gain >= 2
        step = self.worker.ask("facts")["timer_ns"]
        self.repeat = max(1, -(-STEPS_OF_CLOCK * step // int(best)))
        self.calls = self.calls or calls_for(best * self.repeat, BLOCK_SECONDS, LEAST_CALLS, MOST_CALLS)


def measure(
    targets: Sequence[Target], baseline: int, rounds: int, seed: int, advance: Callable[[], None] = lambda: None
) -> list[int]:
    """Let every started target fill its blocks; the times of a fixed loop before each round."""
    generator = random.Random(seed)
    spins = []
    at = 1 + max((target.blocks[-1].at for target in targets if target.blocks), default=-1)
    for _ in range(rounds):
        spins.append(targets[baseline].worker.ask("spin")["spin_ns"])
        for chosen in order(len(targets), baseline, generator):
            target = targets[chosen]
            answer = target.time(SKIPPED_CALLS, target.calls)
            target.blocks.append(Block(at, tuple(answer["samples_ns"])))
            target.busy.append(answer["busy_cores"])
            at += 1
        advance()
    for target in targets:
        target.peak_bytes = max(target.peak_bytes, target.worker.ask("memory")["peak_bytes"])
    return spins


def row_of(target: Target, baseline: Target, starts: int) -> LatencyRow:
    """What was measured of a target, and how it compares."""
    from statistics import median

    (p50, p50_interval), (p90, p90_interval), (p99, p99_interval) = quantiles_ms(target.blocks)
    assert target.placement is not None
    busy = median(target.busy)
    if busy > target.threads + MORE_CORES:
        raise MachineError(f"{target.name} computed on {busy:.1f} cores, more than the threads that were asked for.")
    compared = None
    if target is not baseline:
        compared = ratio(target.blocks, target.batch, baseline.blocks, baseline.batch, starts)
    return LatencyRow(
        format=target.pair.artifact.format,
        runtime=target.pair.runtime.name,
        provider=target.pair.provider,
        artifact_sha256=target.pair.artifact.sha256,
        threads=target.threads,
        batch=target.batch,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        iterations=sum(len(block.samples_ns) for block in target.blocks),
        warmup_iterations=target.warmup,
        load_ms=median(target.load_ms),
        peak_memory_bytes=target.peak_bytes,
        placement=target.placement,
        samples_ns=tuple(sample for block in target.blocks for sample in block.samples_ns),
        block_calls=target.calls,
        blocks_at=tuple(block.at for block in target.blocks),
        starts=starts,
        p50_interval_ms=p50_interval,
        p90_interval_ms=p90_interval,
        p99_interval_ms=p99_interval,
        images_per_s=throughput(target.blocks, target.batch),
        ratio=compared,
        first_call_ms=median(target.first_ms),
        warm=target.warm,
        busy_cores=busy,
        cores=target.allowed,
        timed=BOUND if "io_binding" in target.extras else "",
    )


def blocks_of(row: LatencyRow) -> list[Block]:
    """The blocks of a row; none of one that an earlier edgecnn measured."""
    calls = row.block_calls
    return [Block(at, row.samples_ns[i * calls : (i + 1) * calls]) for i, at in enumerate(row.blocks_at)]


def photo(path: Path) -> None:
    """Write a JPEG of a camera's kind, the same each time."""
    import numpy as np
    from PIL import Image

    height, width = PHOTO
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (17 + 9 * i)) * np.cos(y / (23 - 5 * i)) for i in range(3)]
    pixels = (np.stack(waves, axis=-1) * 110 + 128).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)


def preparing(far: Far, picture: str, contract: Contract) -> Preparing:
    """What decoding and resizing take in a process like a worker's; they are no part of a latency."""
    height, width, _ = image_shape(contract)
    taken = far.ask("prepare", image=picture, height=height, width=width, calls=PREPARED)
    return Preparing(image=f"a JPEG of {PHOTO[1]} x {PHOTO[0]} pixels", **taken)
