"""Latency of every export on every runtime here: one image, one thread and all cores, or what is asked for.

Every target lives in a worker of its own. Warm-up ends when it is seen to have ended; then blocks of all
targets are interleaved in a seeded random order, one worker awake at a time, so that a slow minute of the
machine hits all alike. Every timed call is kept.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run as files
from edgecnn.console import progress, say
from edgecnn.errors import MachineError, UsageError
from edgecnn.images import samples_of
from edgecnn.measuring import SAME, noise
from edgecnn.records import SCHEMA, Latency
from edgecnn.run import TEMPORARY, Run, save_array, this_machine, usable_cores
from edgecnn.session import Target, measure, photo, preparing, row_of
from edgecnn.targets import pairs
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.targets import Pair

BASELINE = "onnx_float32"  # where it is among the formats
RUNTIME_PACKAGES = ("tensorflow", "ai-edge-litert", "onnxruntime", "edgecnn")


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to measure; nothing named means everything here, one image, one thread and all cores."""

    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1,)
    baseline: str = ""


def inputs(run: Run, options: BenchOptions) -> dict[str, str]:
    """What decides the figures: the exports' hashes, the machine, the options, and the runtimes' versions."""
    machine, versions = this_machine(), files.installed_versions()
    return {
        **{name: run.hash_of(name) for name in (files.ARTIFACTS, files.SAMPLES)},
        "formats": " ".join(sorted(options.formats)),
        "runtimes": " ".join(sorted(options.runtimes)),
        "providers": " ".join(sorted(options.providers)),
        "threads": " ".join(map(str, options.threads)),
        "batches": " ".join(map(str, options.batches)),
        "baseline": options.baseline,
        "machine": f"{machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}",
        **{name: versions.get(name, "missing") for name in RUNTIME_PACKAGES},
    }


def is_current(run: Run, options: BenchOptions) -> bool:
    """Whether latency.json was measured on this machine with what the run holds now."""
    return run.is_current(files.LATENCY, Latency, inputs(run, options))


def bench(run: Run, options: BenchOptions | None = None) -> Latency:
    """Measure and write latency.json.

    The timed region sets the uint8 input, invokes, and reads the output. Raises InputError for files that are
    not those exported, MachineError when a worker dies.
    """
    options = options or BenchOptions()
    contract = run.contract()
    samples = samples_of(run, contract)
    found, skipped = pairs(run, options.formats, options.providers, options.runtimes)
    found = [pair for pair in found if pair.runtime.most_images is None]  # the slow ones are no target on a computer
    for pair in found:
        run.artifact_path(pair.artifact)
    wanted = _wanted(found, options, skipped)
    say(f"Latency of {len(wanted)} targets")
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder, ExitStack() as stack:
        images, picture = Path(folder) / "images.npy", Path(folder) / "photo.jpg"
        save_array(images, samples.images)
        photo(picture)
        targets = _started(wanted, str(images), stack, skipped)
        baseline = _baseline(targets, options.baseline)
        facts = targets[0].worker.ask("facts")
        spins = measure(targets, baseline)
        quiet = noise(spins, (facts["load"], targets[0].worker.ask("facts")["load"]))
        rows = tuple(row_of(target, targets[baseline]) for target in targets)
        prepared = preparing(targets[0].worker, picture, contract)
        name = targets[baseline].name
    record = Latency(
        schema=SCHEMA,
        origin=run.origin("bench", inputs(run, options), []),
        data=contract.data,
        measured_on=samples.words(),
        rows=rows,
        skipped=skipped,
        baseline=name,
        noise=quiet,
        preparing=prepared,
        timer_ns=facts["timer_ns"],
    )
    run.save(files.LATENCY, record)
    return record


def _wanted(found: Sequence[Pair], options: BenchOptions, skipped: dict[str, str]) -> list[tuple[Pair, int, int]]:
    """Every pair with each number of threads and each batch that its file takes."""
    if not found:
        raise MachineError(f"Nothing can be measured here: {'; '.join(skipped.values()) or 'no runtime fits'}.")
    threads = options.threads or tuple(sorted({1, usable_cores()}))
    wanted = []
    for pair in found:
        batches = [batch for batch in options.batches if batch == 1 or pair.format.batched]
        if len(batches) < len(options.batches):
            skipped[f"{pair.format.name} in larger batches"] = "its file takes one image a call"
        wanted += [(pair, number, batch) for number in threads for batch in batches]
    if not wanted:
        raise UsageError("None of these formats takes more than one image a call; add 1 to --batch.")
    return wanted


def _started(
    wanted: Sequence[tuple[Pair, int, int]], images: str, stack: ExitStack, skipped: dict[str, str]
) -> list[Target]:
    """A worker for each, warm."""
    targets = []
    with progress("starting and warming up", len(wanted)) as advance:
        for number, (pair, threads, batch) in enumerate(wanted):
            worker = stack.enter_context(Worker(pair.runtime.name, pair.path, threads=threads, provider=pair.provider))
            target = Target(pair, threads, batch, worker, images)
            target.warm_up()
            targets.append(target)
            advance(number + 1)
    return targets


def _baseline(targets: Sequence[Target], wanted: str) -> int:
    """Which target the others are held against: the first of the format wanted, on the fewest threads."""
    if wanted and wanted not in {target.pair.format.name for target in targets}:
        raise UsageError(f"The baseline {wanted} is not among what is measured; add --format {wanted}.")

    def rank(number: int) -> tuple[bool, int, int, int]:
        target = targets[number]
        return target.pair.format.name != (wanted or BASELINE), target.threads, target.batch, number

    return min(range(len(targets)), key=rank)


def remarks(record: Latency) -> list[str]:
    """What a reader of the rows has to know."""
    same = sum(1 for row in record.rows if row.ratio and row.ratio.state == SAME)
    found = [f"Ratios: time for an image against {record.baseline}, 99 % intervals; {same} show no difference."]
    found += [f"{row.format} on {row.threads} threads was still warming up." for row in record.rows if not row.warm]
    if record.noise:
        state = "The machine is noisy" if record.noise.noisy else "The machine was quiet"
        load = f"load {record.noise.load_before:.1f} before and {record.noise.load_after:.1f} after"
        found.append(f"{state}: a fixed loop spread by {record.noise.spread:.0%}, {load}.")
    if record.preparing:
        decode, resize = record.preparing.decode_ms, record.preparing.resize_ms
        first = f"decoding {decode:.2f} ms, " if decode is not None else ""
        found.append(f"Apart from that, {record.preparing.image}: {first}resizing {resize:.2f} ms.")
    return [*found, *(f"{name}: skipped, {reason}." for name, reason in record.skipped.items())]
