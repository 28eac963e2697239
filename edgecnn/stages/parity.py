"""Run every export on every runtime here on the same images as Keras, and compare the outputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.data.evaluation import evaluation_of
from edgecnn.environment import runtime_versions
from edgecnn.execution.client import WorkerClient
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.execution.hosts import emulated, host_of
from edgecnn.execution.targets import KERAS, on_cpus, pairs, require_chosen, trained_target
from edgecnn.export.format import Format
from edgecnn.files import TEMPORARY
from edgecnn.parity.evaluation import matrix, run_targets
from edgecnn.parity.outputs import InferenceOptions
from edgecnn.parity.predictions import save_predictions
from edgecnn.parity.preprocessing_check import preprocessing_paths
from edgecnn.parity.rows import accuracy_of, macro_accuracy_of, overall, row_of
from edgecnn.parity.verdict import uninformative_reference_reason
from edgecnn.plugins import pick
from edgecnn.records import SCHEMA, Parity
from edgecnn.report.summary import recorded
from edgecnn.run_directory import Run
from edgecnn.visualization.plots import FLIPS, draw_flips

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.arrays import Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import ExportTarget
    from edgecnn.parity.evaluation import Inference
    from edgecnn.records import Contract


@dataclass(frozen=True, kw_only=True)
class ParityOptions:
    """What to judge, on what, and how strictly.

    `data` None is the test split of the training data; `tolerances` are percentage points by format, "" for
    all; `max_images` is how many images slow runtimes and emulated CPUs run (None: each one's own default); `cpus` are
    emulated, in addition to this machine's own.
    """

    data: str | None = None
    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    tolerances: Mapping[str, float] = field(default_factory=dict)
    max_images: int | None = None
    allow_fallback: bool = False
    python: str = ""
    remote: str = ""
    cpus: tuple[str, ...] = ()


def inputs(run: Run, evaluation: Evaluation, options: ParityOptions) -> dict[str, str]:
    """What decides the outputs: the files' hashes, the images, the options, and the runtimes' versions."""
    return {
        **{
            name: run.hash_of(name)
            for name in (run_directory.MODEL, run_directory.CONTRACT, run_directory.ARTIFACTS, run_directory.EXPORTS)
        },
        "data": options.data or "",
        "images": evaluation.source,
        "formats": " ".join(sorted(options.formats)),
        "providers": " ".join(sorted(options.providers)),
        "tolerances": " ".join(f"{name}={points}" for name, points in sorted(options.tolerances.items())),
        "max_images": str(options.max_images or ""),
        **recorded(options, ("remote", "python", "allow_fallback")),
        **runtime_versions(),
        **({"runtimes": " ".join(sorted(options.runtimes))} if options.runtimes else {}),
        **({"cpus": " ".join(sorted(options.cpus))} if options.cpus else {}),
        **{cpu: emulator(CPUS[cpu]) for cpu in options.cpus},
    }


def is_current(run: Run, options: ParityOptions) -> bool:
    """Whether parity.json is the verdict on what the run holds now."""
    if not run.path(run_directory.PARITY).is_file():
        return False
    evaluation = evaluation_of(run.contract(), run.training().data, options.data)
    return run.is_current(run_directory.PARITY, Parity, inputs(run, evaluation, options))


def parity(run: Run, options: ParityOptions) -> Parity:
    """Judge every export against Keras; write parity.json, predictions.npz and a picture of the flips.

    Raises UsageError for names that do not exist, InputError for files that cannot be used, MachineError when the
    reference's worker dies or a CPU cannot be emulated here. A runtime that cannot run an export is in `skipped`.
    """
    for name in options.tolerances:
        if name:
            pick(Format, name)
    contract = run.contract()
    meaning = contract.output_meaning
    evaluation = evaluation_of(contract, run.training().data, options.data)
    ran = _run_exports(run, contract, evaluation, options)
    reference, results = ran.reference, ran.inference.results
    nothing = uninformative_reference_reason(reference, evaluation.labels, meaning)
    rows = tuple(row_of(one, results, evaluation, contract, options.tolerances, nothing) for one in results)
    paths = preprocessing_paths(contract)
    state, reasons = overall(rows, _formats(run, options, ran.targets), ran.targets, ran.inference.refused, paths)
    save_predictions(run, reference, evaluation, results, meaning)
    outputs = [run_directory.PREDICTIONS]
    if draw_flips(run, rows, evaluation, contract.labels):
        outputs.append(FLIPS)
    record = Parity(
        schema=SCHEMA,
        origin=run.origin("parity", inputs(run, evaluation, options), outputs),
        data=contract.data,
        evaluated_on=evaluation.words,
        images=len(evaluation.images),
        reference=KERAS,
        reference_accuracy=accuracy_of(reference, evaluation.labels, meaning),
        reference_macro_accuracy=macro_accuracy_of(reference, evaluation.labels, meaning),
        rows=rows,
        agreement_matrix=matrix(results),
        preprocessing_paths=paths,
        skipped=ran.skipped,
        verdict=state,
        reasons=reasons,
        remote=options.remote,
    )
    run.save(run_directory.PARITY, record)
    return record


@dataclass(frozen=True)
class _Ran:
    """The reference's outputs float32 [N, classes], what the targets gave, and what did not run -> why."""

    targets: Sequence[ExportTarget]
    reference: Logits
    inference: Inference
    skipped: dict[str, str]


def _run_exports(run: Run, contract: Contract, evaluation: Evaluation, options: ParityOptions) -> _Ran:
    # A provider that was named has to run everything; otherwise the placement is reported with the outputs.
    extras = ("allow_fallback",) if options.allow_fallback or not options.providers else ()
    with (
        host_of(options.remote, options.python) as host,
        emulated(options.cpus) as hosts,
        tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder,
    ):
        offers = _offers(host) if host.name else None
        targets, skipped = pairs(run, options.formats, options.providers, options.runtimes, offers)
        targets += on_cpus(targets, options.cpus)
        require_chosen(targets, skipped, options.runtimes, options.providers)
        log(f"Parity over {len(evaluation.images):,} images: {evaluation.words}")
        how = InferenceOptions(
            max_images=options.max_images, hosts={"": host, **hosts}, extras=extras, meaning=contract.output_meaning
        )
        reference, inference = run_targets(trained_target(run, contract), targets, evaluation, Path(folder), how)
    skipped |= inference.skipped
    inference.require(options.providers, targets, skipped)
    return _Ran(targets, reference, inference, skipped)


def _offers(host: Host) -> dict[str, Any]:
    """What the runtimes there offer."""
    with WorkerClient("what is installed", host) as client:
        runtimes: dict[str, Any] = client.ask("offers")["runtimes"]
        return runtimes


def _formats(run: Run, options: ParityOptions, targets: Sequence[ExportTarget]) -> Sequence[str]:
    """The formats that need a verdict."""
    if options.providers or options.runtimes:
        return [target.format.name for target in targets]
    return options.formats or [artifact.format for artifact in run.artifacts().artifacts]
