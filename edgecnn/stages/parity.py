"""Run every export on every runtime here on the same images as Keras, and compare the outputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.data.evaluation import evaluation_of
from edgecnn.data.output_labels import predicted_classes
from edgecnn.environment import runtime_versions
from edgecnn.errors import MachineError, UsageError
from edgecnn.execution.client import WorkerClient
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.execution.hosts import emulated, host_of
from edgecnn.execution.targets import KERAS, on_cpus, pairs
from edgecnn.export.format import Format
from edgecnn.files import TEMPORARY, staged
from edgecnn.parity.evaluation import InferenceResult, matrix, run_targets
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


NOT_RUN = -1  # in predictions.npz


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
    # A provider that was named has to run everything; otherwise the placement is reported with the outputs.
    extras = ("allow_fallback",) if options.allow_fallback or not options.providers else ()
    with (
        host_of(options.remote, options.python) as host,
        emulated(options.cpus) as hosts,
        tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder,
    ):
        offers = _offers(host) if host.name else None
        found, skipped = pairs(run, options.formats, options.providers, options.runtimes, offers)
        found += on_cpus(found, options.cpus)
        for name in options.runtimes:
            if name not in {pair.runtime.name for pair in found}:
                if name in skipped:
                    raise MachineError(f"{skipped[name]}.")
                raise UsageError(f"None of these exports runs on {name}; `edgecnn parity --help` has the names.")
        for name in options.providers:
            if name not in {pair.provider for pair in found}:
                raise UsageError(f"None of these exports runs on {name}; `edgecnn parity --help` has the names.")
        log(f"Parity over {len(evaluation.images):,} images: {evaluation.words}")
        ran = run_targets(
            run.model_path(contract),
            found,
            evaluation,
            Path(folder),
            max_images=options.max_images,
            hosts={"": host, **hosts},
            extras=extras,
            meaning=meaning,
        )
    reference, results, refused = ran.reference, ran.results, ran.refused
    skipped |= {name: error.reason for name, error in refused.items()}
    nothing = uninformative_reference_reason(reference, evaluation.labels, meaning)
    for name in options.providers:
        if name not in {one.pair.provider for one in results}:
            reason = next(skipped[pair.name] for pair in found if pair.provider == name)
            raise MachineError(f"{name} was chosen and did not run: {reason}.")
    rows = tuple(row_of(one, results, reference, evaluation, contract, options.tolerances, nothing) for one in results)
    ways = preprocessing_paths(contract)
    formats = [pair.format.name for pair in found] if options.providers or options.runtimes else _formats(run, options)
    state, reasons = overall(rows, formats, found, refused, ways)
    _save_predictions(run, reference, evaluation, results, meaning)
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
        agreement_matrix=matrix(reference, results),
        preprocessing_paths=ways,
        skipped=skipped,
        verdict=state,
        reasons=reasons,
        remote=options.remote,
    )
    run.save(run_directory.PARITY, record)
    return record


def _offers(host: Host) -> dict[str, Any]:
    """What the runtimes there offer."""
    with WorkerClient("what is installed", host) as client:
        runtimes: dict[str, Any] = client.ask("offers")["runtimes"]
        return runtimes


def _formats(run: Run, options: ParityOptions) -> Sequence[str]:
    """The formats that need a verdict."""
    return options.formats or [artifact.format for artifact in run.artifacts().artifacts]


def _save_predictions(
    run: Run, reference: Logits, evaluation: Evaluation, results: Sequence[InferenceResult], meaning: str
) -> None:
    """Every top-1 class, for `edgecnn compare`: int32 [rows, N] with NOT_RUN, the reference's, and the labels."""
    import numpy as np

    predictions = np.full((len(results), len(reference)), NOT_RUN, np.int32)
    for row, one in zip(predictions, results, strict=True):
        row[one.indices] = predicted_classes(one.logits, meaning)
    labels = evaluation.labels
    with staged(run.path(run_directory.PREDICTIONS)) as draft:
        np.savez_compressed(
            draft,
            names=np.array([one.pair.name for one in results], dtype=np.str_),
            predictions=predictions,
            reference=predicted_classes(reference, meaning).astype(np.int32),
            labels=np.zeros(0, np.int32) if labels is None else labels.astype(np.int32),
            images=np.array(evaluation.source),
        )
