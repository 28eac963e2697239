"""Run every export on every runtime here on the same images as Keras, and compare the outputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.data.evaluation import evaluation_of
from edgecnn.data.output_labels import SCORES, THRESHOLD, answers_of
from edgecnn.environment import runtime_versions
from edgecnn.errors import EdgecnnError, InputError, MachineError, UsageError
from edgecnn.execution.client import WorkerClient
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.execution.hosts import emulated, host_of
from edgecnn.execution.targets import KERAS, on_cpus, pairs
from edgecnn.export.format import Format
from edgecnn.files import TEMPORARY, sha256_of, staged
from edgecnn.model_files.embedded_contract import differences
from edgecnn.parity.evaluation import InferenceResult, bit_equal, matrix, run_targets
from edgecnn.parity.evidence import against_native, evidence
from edgecnn.parity.intervals import accuracy, macro_accuracy
from edgecnn.parity.preprocessing_check import pathways
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS, rule, uninformative_reference_reason, verdict
from edgecnn.plugins import pick
from edgecnn.records import SCHEMA, Parity, ParityRow
from edgecnn.report.summary import recorded
from edgecnn.run_directory import Run
from edgecnn.visualization.plots import FLIPS, draw_flips

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.arrays import Indices, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import ExportTarget
    from edgecnn.export.format import Gate
    from edgecnn.records import Accuracy, Contract, Pathway


SPLIT = "test"
NOT_ASKED = -1  # in answers.npz


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
        "part": str(options.max_images or ""),
        **recorded(options, ("device", "python", "allow_partial")),
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
    """Judge every export against Keras; write parity.json, answers.npz and a picture of changed answers.

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
        host_of(options.remote, options.python) as place,
        emulated(options.cpus) as hosts,
        tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder,
    ):
        offers = _offers(place) if place.name else None
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
            hosts={"": place, **hosts},
            extras=extras,
            meaning=meaning,
        )
    reference, asked, refused = ran.reference, ran.results, ran.refused
    skipped |= {name: str(error).rstrip(".") for name, error in refused.items()}
    nothing = uninformative_reference_reason(reference, evaluation.labels, meaning)
    for name in options.providers:
        if name not in {one.pair.provider for one in asked}:
            reason = next(skipped[pair.name] for pair in found if pair.provider == name)
            raise MachineError(f"{name} was chosen and did not run: {reason}.")
    rows = tuple(_row(one, asked, reference, evaluation, contract, options.tolerances, nothing) for one in asked)
    ways = pathways(contract)
    formats = [pair.format.name for pair in found] if options.providers or options.runtimes else _formats(run, options)
    state, reasons = _whole(rows, formats, found, refused, ways)
    _save_answers(run, reference, evaluation, asked, meaning)
    outputs = [run_directory.ANSWERS]
    if draw_flips(run, rows, evaluation, contract.labels):
        outputs.append(FLIPS)
    record = Parity(
        schema=SCHEMA,
        origin=run.origin("parity", inputs(run, evaluation, options), outputs),
        data=contract.data,
        evaluated_on=evaluation.words,
        images=len(evaluation.images),
        reference=KERAS,
        reference_accuracy=_accuracy(reference, evaluation.labels, meaning),
        reference_macro_accuracy=_macro_accuracy(reference, evaluation.labels, meaning),
        rows=rows,
        agreement=matrix(reference, asked),
        pathways=ways,
        skipped=skipped,
        verdict=state,
        reasons=reasons,
        device=options.remote,
    )
    run.save(run_directory.PARITY, record)
    return record


def _offers(place: Host) -> dict[str, Any]:
    """What the runtimes there offer."""
    with WorkerClient("what is installed", place) as far:
        runtimes: dict[str, Any] = far.ask("offers")["runtimes"]
        return runtimes


def _row(
    one: InferenceResult,
    asked: Sequence[InferenceResult],
    reference: Logits,
    evaluation: Evaluation,
    contract: Contract,
    tolerances: Mapping[str, float],
    nothing: str,
) -> ParityRow:
    pair, found = one.pair, one.agreement
    gate = _gate(pair, tolerances)
    labels = None if evaluation.labels is None else evaluation.labels[one.indices]
    seen, emulated_by = evidence(one, asked, labels), emulator(CPUS[pair.cpu]) if pair.cpu else ""
    state, reason = verdict(seen.agreement, seen.steps, gate, seen.images, seen.open_share)
    if pair.cpu and state != PASS:
        reason += f"; {emulated_by} emulated the CPU, and the fault may be its own"
    if nothing and state == PASS:
        state, reason = NOT_PROVEN, nothing
    sha256 = sha256_of(pair.path)
    foreign = differences(pair.path, contract)
    if sha256 != pair.artifact.sha256:
        foreign = ("it is not the file that was exported (its SHA-256 differs)", *foreign)
    if one.cpu_dependent:
        foreign = (
            f"its outputs depend on the CPU: {one.cpu_dependent:,} of {len(one.indices):,} images differ from those of "
            "exact int8 kernels (session.x64quantprecision)",
            *foreign,
        )
    if foreign:
        state, reason = FAIL, "; ".join((*foreign, reason) if reason else foreign)
    return ParityRow(
        format=pair.format.name,
        runtime=pair.runtime.name,
        provider=pair.provider,
        artifact_sha256=sha256,
        images=len(one.indices),
        accuracy=_accuracy(one.logits, labels, one.meaning),
        macro_accuracy=_macro_accuracy(one.logits, labels, one.meaning),
        paired=found.paired,
        judged=seen.change,
        through=seen.through,
        agreement=found.top1,
        top5_agreement=found.top5,
        flips=found.flips,
        max_logit_difference=found.max_difference,
        mean_logit_difference=found.mean_difference,
        sqnr_db=found.sqnr_db,
        cosine=found.cosine,
        bit_equal_to=bit_equal(one, asked, reference),
        cpu_dependent=one.cpu_dependent,
        placement=one.placement,
        gate=rule(gate, labelled=labels is not None),
        verdict=state,
        reason=reason,
        seconds=one.seconds,
        cpu=pair.cpu,
        emulator=emulated_by,
        native=against_native(one, asked),
    )


def _gate(pair: ExportTarget, tolerances: Mapping[str, float]) -> Gate:
    gate = pair.format.gate
    points = tolerances.get(pair.format.name, tolerances.get("", gate.tolerance_points))
    return replace(gate, tolerance_points=points)


def _formats(run: Run, options: ParityOptions) -> Sequence[str]:
    """The formats that need a verdict."""
    return options.formats or [artifact.format for artifact in run.artifacts().artifacts]


def _whole(
    rows: Sequence[ParityRow],
    formats: Sequence[str],
    found: Sequence[ExportTarget],
    refused: Mapping[str, EdgecnnError],
    ways: Sequence[Pathway],
) -> tuple[str, tuple[str, ...]]:
    """The verdict on the run, and its reasons in addition to those of the rows.

    A file that a runtime refuses is broken; where the runtime is a slow one, which takes less, or its CPU is emulated,
    or it ended by itself, nothing is proven of it there. A provider that does not work here says nothing where another
    one answered.
    """
    broken: list[str] = []
    unasked: list[str] = []
    answered = {(row.format, row.runtime, row.cpu) for row in rows}
    for pair in found:
        error = refused.get(pair.name)
        if error is None or (pair.format.name, pair.runtime.name, pair.cpu) in answered:
            continue
        is_broken = isinstance(error, InputError) and pair.max_images is None
        (broken if is_broken else unasked).append(f"{pair.name} does not run: {str(error).rstrip('.')}")
    different = [
        f"{way.name} gives other pixels than the contract's rules: {', '.join(way.different)}"
        for way in ways
        if way.different
    ]
    if broken or different or any(row.verdict == FAIL for row in rows):
        return FAIL, (*broken, *different)
    missing = [name for name in dict.fromkeys(formats) if name not in {pair.format.name for pair in found}]
    if missing:
        unasked.append(f"{', '.join(missing)} runs on no runtime here")
    if unasked or not rows:
        return NOT_PROVEN, tuple(unasked)
    return (PASS if all(row.verdict == PASS for row in rows) else NOT_PROVEN), ()


def _save_answers(
    run: Run, reference: Logits, evaluation: Evaluation, asked: Sequence[InferenceResult], meaning: str
) -> None:
    """Every top-1 class, for `edgecnn compare`: int32 [rows, N] with NOT_ASKED, the reference's, and the labels."""
    import numpy as np

    answers = np.full((len(asked), len(reference)), NOT_ASKED, np.int32)
    for row, one in zip(answers, asked, strict=True):
        row[one.indices] = answers_of(one.logits, meaning)
    labels = evaluation.labels
    with staged(run.path(run_directory.ANSWERS)) as draft:
        np.savez_compressed(
            draft,
            names=np.array([one.pair.name for one in asked], dtype=np.str_),
            answers=answers,
            reference=answers_of(reference, meaning).astype(np.int32),
            labels=np.zeros(0, np.int32) if labels is None else labels.astype(np.int32),
            images=np.array(evaluation.source),
        )


def _accuracy(logits: Logits, labels: Indices | None, meaning: str) -> Accuracy | None:
    if labels is None:
        return None
    return accuracy(int((answers_of(logits, meaning) == labels).sum()), len(logits), SPLIT)


def _macro_accuracy(logits: Logits, labels: Indices | None, meaning: str) -> Accuracy | None:
    """Of scores, with the truth that an image's own label holds and no other does."""
    import numpy as np

    if labels is None or meaning != SCORES:
        return None
    count = logits.shape[1]
    right = int(((logits > THRESHOLD) == (np.arange(count) == labels[:, None])).sum())
    return macro_accuracy(right, len(logits), count, SPLIT)
