"""Latency of the trained model and of every export on every runtime here: one image, one thread and all cores, or
as the options say.

Every target lives in a worker of its own, which is started several times where the time budget allows it. Warm-up ends
when it is seen to have ended; then blocks of targets are interleaved in a seeded random order, one worker awake at a
time, so that a slow minute of the machine affects all alike. Every timed call is kept.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.benchmark.budget import Budget, Session
from edgecnn.benchmark.latency_stats import SAME, UNSTABLE, noise
from edgecnn.benchmark.session import BenchmarkTarget, Measurement, photo, preprocessing_latency, row_of, start
from edgecnn.console import log, progress
from edgecnn.data.samples import samples_of
from edgecnn.environment import runtime_versions, this_machine
from edgecnn.errors import MachineError, UsageError, unknown_name
from edgecnn.execution.client import WorkerClient
from edgecnn.execution.hosts import host_of
from edgecnn.execution.targets import KERAS, with_trained
from edgecnn.export.format import Format
from edgecnn.files import TEMPORARY, save_array
from edgecnn.plugins import discover
from edgecnn.records import SCHEMA, Latency, Machine
from edgecnn.report.sections.latency import budget_words
from edgecnn.report.summary import recorded
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import Target

BASELINE = "onnx_float32"  # where it is among the formats
TIME_BUDGET = 40.0  # seconds
RECORDED = ("baseline", "cpu_affinity", "allow_fallback", "io_binding", "python", "remote")


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to measure; nothing named means everything here, one image, one thread and all cores."""

    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1,)
    baseline: str = ""
    time_budget: float = TIME_BUDGET  # seconds, for all of it
    cpu_affinity: str = ""
    allow_fallback: bool = False
    io_binding: bool = False
    python: str = ""
    remote: str = ""


def inputs(run: Run, options: BenchOptions) -> dict[str, str]:
    """What decides the figures: hashes of what is measured, the machine, the options, the runtimes' versions."""
    machine = this_machine()
    return {
        **{name: run.hash_of(name) for name in (run_directory.MODEL, run_directory.ARTIFACTS, run_directory.SAMPLES)},
        "formats": " ".join(sorted(options.formats)),
        "runtimes": " ".join(sorted(options.runtimes)),
        "providers": " ".join(sorted(options.providers)),
        "threads": " ".join(map(str, options.threads)),
        "batches": " ".join(map(str, options.batches)),
        "time_budget": f"{options.time_budget:g}",
        **recorded(options, RECORDED),
        "machine": f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}",
        **runtime_versions(),
    }


def is_current(run: Run, options: BenchOptions) -> bool:
    """Whether latency.json was measured on this machine with what the run holds now."""
    return run.is_current(run_directory.LATENCY, Latency, inputs(run, options))


def bench(run: Run, options: BenchOptions | None = None, *, keep: bool = True) -> Latency:
    """Measure, and write latency.json where it is to be kept; otherwise the run is only read.

    The timed region sets the uint8 input, invokes, and reads the output. Raises InputError for files that are
    not those exported, MachineError when a worker dies.
    """
    import msgspec

    options = options or BenchOptions()
    budget = Budget(options.time_budget)
    contract = run.contract()
    samples = samples_of(run, contract)
    with ExitStack() as stack:
        host: Host = stack.enter_context(host_of(options.remote, options.python))
        offers = _offers(host)
        found, skipped = with_trained(
            run, contract, options.formats, options.providers, options.runtimes, offers["runtimes"]
        )
        found = [pair for pair in found if pair.runtime.max_images is None]  # the others are no target on a computer
        for pair in found:
            run.artifact_path(pair.artifact)
        machine = msgspec.convert(offers["machine"], Machine)
        _check_baseline([pair.artifact.format for pair in found], options.baseline)
        targets, left_out = _wanted(found, options, skipped, machine.cores)
        skipped |= left_out
        log(
            f"Latency of {len(targets)} target{'s' * (len(targets) > 1)}{f' on {host.name}' * bool(host.name)}, in "
            f"about {options.time_budget:g} s"
        )
        scratch = tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root if keep else None)
        folder = Path(stack.enter_context(scratch))
        images, picture = folder / "images.npy", folder / "photo.jpg"
        save_array(images, samples.images)
        photo(picture)
        measured = _measured(targets, host, images, options, budget, machine.cores)
        skipped |= measured.skipped
        session = measured.session
        baseline = session.started[session.baseline]
        rows = tuple(row_of(one, baseline) for one in session.started)
        with WorkerClient("preparing images", host) as client:
            prepared = preprocessing_latency(client, host.put(picture), contract)
    record = Latency(
        schema=SCHEMA,
        origin=run.origin("bench", inputs(run, options), []),
        data=contract.data,
        measured_on=samples.words(),
        rows=rows,
        skipped=skipped,
        baseline=baseline.target.name,
        noise=noise(session.spins, (measured.facts[0]["load"], measured.facts[1]["load"])),
        preprocessing=prepared,
        timer_resolution_ns=measured.facts[0]["timer_resolution_ns"],
        time_budget=session.outcome(),
        remote=options.remote,
        machine=machine if host.name else None,
        versions=offers["versions"] if host.name else {},
    )
    if keep:
        run.save(run_directory.LATENCY, record)
    return record


def _offers(host: Host) -> dict[str, Any]:
    """Packages and execution providers there, and facts of the machine."""
    with WorkerClient("what is installed", host) as client:
        return client.ask("offers")


def _wanted(
    found: Sequence[Target], options: BenchOptions, missing: Mapping[str, str], cores: int
) -> tuple[list[BenchmarkTarget], dict[str, str]]:
    """Everything with each number of threads and each batch that its file takes; and what is left out, with why.

    `missing` are the runtimes that are not here, with why.
    """
    if not found and not missing:
        raise UsageError(
            "No chosen runtime runs a chosen format on a chosen execution provider; leave out --format, --runtime or "
            "--ep."
        )
    if not found:
        raise MachineError(f"Nothing can be measured here: {'; '.join(missing.values())}.")
    threads = options.threads or tuple(sorted({1, cores}))
    # A provider that was named has to run everything; where none was, what each took is shown with the figures.
    partial = ("allow_fallback",) if options.allow_fallback or not options.providers else ()
    wanted: list[BenchmarkTarget] = []
    left_out: dict[str, str] = {}
    for pair in found:
        if options.io_binding and "io_binding" not in pair.runtime.extras:
            left_out[f"{pair.runtime.name} with I/O binding"] = "it does not support it"
            continue
        extras = [*partial, *(("io_binding",) if options.io_binding else ())]
        chosen = tuple(name for name in extras if name in pair.runtime.extras)
        batches = [batch for batch in options.batches if batch == 1 or pair.artifact.input.shape[0] is None]
        if len(batches) < len(options.batches):
            left_out[f"{pair.artifact.format} in larger batches"] = "its file takes 1 image per call"
        wanted += [BenchmarkTarget(pair, n, batch, chosen, options.cpu_affinity) for n in threads for batch in batches]
    if not wanted:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in {**missing, **left_out}.items())
        raise UsageError(f"No combination of these options can be measured: {reasons}.")
    return wanted, left_out


@dataclass(frozen=True)
class _Measured:
    """What a session gave."""

    session: Session
    facts: tuple[dict[str, Any], dict[str, Any]]  # of the machine, before and after
    skipped: dict[str, str]  # targets that did not start -> why


def _measured(
    targets: Sequence[BenchmarkTarget], host: Host, images: Path, options: BenchOptions, budget: Budget, cores: int
) -> _Measured:
    """Start everything and measure. A target whose provider was not named and does not run is skipped."""
    running = [Measurement(target) for target in targets]
    with ExitStack() as stack:
        show = stack.enter_context(progress("measuring", budget.seconds))

        def advance() -> None:
            show(budget.used)

        for one in running:
            stack.callback(one.close)
        failed = start(running, host, images, cores, advance)
        if failed and (options.providers or options.remote):
            raise next(iter(failed.values()))
        skipped = {running[number].target.pair.name: error.reason for number, error in failed.items()}
        running = [one for number, one in enumerate(running) if number not in failed]
        if not running:
            raise MachineError(f"Nothing can be measured here: {'; '.join(skipped.values())}.")
        baseline = _baseline([one.target for one in running], options.baseline)
        session = Session(
            running, baseline, budget, cores, lambda some: start(some, host, images, cores, advance), advance
        )
        before = running[baseline].opened().ask("facts")
        session.spend()
        after = running[baseline].opened().ask("facts")
    return _Measured(session, (before, after), skipped)


def _check_baseline(formats: Sequence[str], wanted: str) -> None:
    """Raise UsageError where a baseline is wanted and not among the formats measured."""
    known = {KERAS, *discover(Format)}
    if wanted and wanted not in known:
        raise unknown_name("format", wanted, known)
    if wanted and wanted not in formats:
        raise UsageError(f"The baseline {wanted} is not measured; add --format {wanted}.")


def _baseline(targets: Sequence[BenchmarkTarget], wanted: str) -> int:
    """Which target the others are compared with: the first of the format wanted, on the fewest threads."""
    _check_baseline([target.pair.artifact.format for target in targets], wanted)

    def rank(number: int) -> tuple[bool, int, int, int]:
        target = targets[number]
        return target.pair.artifact.format != (wanted or BASELINE), target.threads, target.batch, number

    return min(range(len(targets)), key=rank)


def remarks(record: Latency) -> list[str]:
    """Remarks that qualify the rows."""
    states = [row.ratio.state for row in record.rows if row.ratio]
    counted = f"{states.count(SAME)} show no difference"
    if UNSTABLE in states:
        counted += f", {states.count(UNSTABLE)} are unstable: two modes, which the interval spans"
    found = [f"Ratios: time for an image against {record.baseline}, 99 % intervals; {counted}."]
    found += [words] if (words := budget_words(record)) else []
    found += [f"{row.format} on {row.threads} threads was still warming up." for row in record.rows if not row.warm]
    state = "The machine is noisy" if record.noise.noisy else "The machine was quiet"
    load = f"load {record.noise.load_before:.1f} before and {record.noise.load_after:.1f} after"
    found.append(f"{state}: a fixed loop spread by {record.noise.spread:.0%}, {load}.")
    decode, resize = record.preprocessing.decode_ms, record.preprocessing.resize_ms
    first = f"decoding {decode:.2f} ms, " if decode is not None else ""
    found.append(f"Not included, {record.preprocessing.image}: {first}resizing {resize:.2f} ms.")
    return [*found, *(f"{name}: skipped, {reason}." for name, reason in record.skipped.items())]
