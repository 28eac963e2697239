"""Rows of parity.json, and the verdict on a whole run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import SCORES, THRESHOLD, predicted_classes
from edgecnn.errors import EdgecnnError, InputError
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.execution.targets import KERAS
from edgecnn.export.format import Format
from edgecnn.files import sha256_of
from edgecnn.model_files.embedded_contract import differences
from edgecnn.parity.evaluation import InferenceResult, bit_equal
from edgecnn.parity.evidence import against_native, evidence
from edgecnn.parity.intervals import accuracy, macro_accuracy
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS, rule, verdict
from edgecnn.plugins import pick
from edgecnn.records import ParityRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.arrays import Indices, Labels, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.targets import Target
    from edgecnn.export.format import Gate
    from edgecnn.records import Accuracy, Contract, Difference, PreprocessingPath

SPLIT = "test"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the gate says of a target, as ParityRow has it."""

    gate: str
    verdict: str
    reason: str
    difference: Difference | None = None
    extrapolated_from: str = ""


def judged_row(
    one: InferenceResult, results: Sequence[InferenceResult], labels: Labels | None, found: Judgement, reference: str
) -> ParityRow:
    """What parity.json says of a result; `labels` are those of the images it ran, `reference` names what it was
    compared with."""
    target, figures = one.target, one.agreement
    return ParityRow(
        format=target.artifact.format,
        runtime=target.runtime.name,
        provider=target.provider,
        artifact_sha256=sha256_of(target.path),
        images=len(one.indices),
        accuracy=accuracy_of(one.logits, labels, one.meaning),
        macro_accuracy=macro_accuracy_of(one.logits, labels, one.meaning),
        paired=figures.paired,
        gate_difference=found.difference,
        extrapolated_from=found.extrapolated_from,
        agreement=figures.top1,
        top5_agreement=figures.top5,
        flips=figures.flips,
        max_logit_difference=figures.max_difference,
        mean_logit_difference=figures.mean_difference,
        sqnr_db=figures.sqnr_db,
        cosine_similarity=figures.cosine_similarity,
        bit_equal_to=bit_equal(one, results, reference),
        cpu_dependent_images=one.cpu_dependent_images,
        placement=one.placement,
        gate=found.gate,
        verdict=found.verdict,
        reason=found.reason,
        seconds=one.seconds,
        cpu=target.cpu,
        emulator=emulator(CPUS[target.cpu]) if target.cpu else "",
        native=against_native(one, results),
    )


def row_of(
    one: InferenceResult,
    results: Sequence[InferenceResult],
    evaluation: Evaluation,
    contract: Contract,
    tolerances: Mapping[str, float],
    nothing: str,
) -> ParityRow:
    """What parity.json says of an export's result, compared with Keras; `nothing` is why agreeing with the reference
    would prove nothing, or ""."""
    target = one.target
    gate = _gate(target, tolerances)
    labels = None if evaluation.labels is None else evaluation.labels[one.indices]
    seen = evidence(one, results, labels)
    state, reason = verdict(seen.agreement, seen.steps, gate, seen.images, seen.open_share)
    if target.cpu and state != PASS:
        reason += f"; {emulator(CPUS[target.cpu])} emulated the CPU, and the fault may be its own"
    if nothing and state == PASS:
        state, reason = NOT_PROVEN, nothing
    foreign = differences(target.path, contract)
    if sha256_of(target.path) != target.artifact.sha256:
        foreign = ("it is not the file that was exported (its SHA-256 differs)", *foreign)
    if one.cpu_dependent_images:
        foreign = (
            f"its outputs depend on the CPU: {one.cpu_dependent_images:,} of {len(one.indices):,} images differ from "
            "those of exact int8 kernels (session.x64quantprecision)",
            *foreign,
        )
    if foreign:
        state, reason = FAIL, "; ".join((*foreign, reason) if reason else foreign)
    found = Judgement(
        gate=rule(gate, labelled=labels is not None),
        verdict=state,
        reason=reason,
        difference=seen.change,
        extrapolated_from=seen.extrapolated_from,
    )
    return judged_row(one, results, labels, found, KERAS)


def _gate(target: Target, tolerances: Mapping[str, float]) -> Gate:
    name = target.artifact.format
    gate = pick(Format, name).gate
    return replace(gate, tolerance_points=tolerances.get(name, tolerances.get("", gate.tolerance_points)))


def overall(
    rows: Sequence[ParityRow],
    formats: Sequence[str],
    found: Sequence[Target],
    refused: Mapping[str, EdgecnnError],
    ways: Sequence[PreprocessingPath],
) -> tuple[str, tuple[str, ...]]:
    """The verdict on the run, and its reasons in addition to those of the rows.

    A file that a runtime refuses is broken; where the runtime is a slow one, which takes less, or its CPU is emulated,
    or it ended by itself, nothing is proven of it there. A provider that does not work here says nothing where another
    one answered.
    """
    broken: list[str] = []
    not_run: list[str] = []
    answered = {(row.format, row.runtime, row.cpu) for row in rows}
    for target in found:
        error = refused.get(target.name)
        if error is None or (target.artifact.format, target.runtime.name, target.cpu) in answered:
            continue
        is_broken = isinstance(error, InputError) and target.max_images is None
        (broken if is_broken else not_run).append(f"{target.name} does not run: {error.reason}")
    different = [
        f"{way.name} gives other pixels than the contract's rules: {', '.join(way.different_files)}"
        for way in ways
        if way.different_files
    ]
    if broken or different or any(row.verdict == FAIL for row in rows):
        return FAIL, (*broken, *different)
    missing = [name for name in dict.fromkeys(formats) if name not in {target.artifact.format for target in found}]
    if missing:
        not_run.append(f"{', '.join(missing)} run{'s' * (len(missing) == 1)} on no runtime here")
    if not_run or not rows:
        return NOT_PROVEN, tuple(not_run)
    return (PASS if all(row.verdict == PASS for row in rows) else NOT_PROVEN), ()


def accuracy_of(logits: Logits, labels: Indices | None, meaning: str) -> Accuracy | None:
    if labels is None:
        return None
    return accuracy(int((predicted_classes(logits, meaning) == labels).sum()), len(logits), SPLIT)


def macro_accuracy_of(logits: Logits, labels: Indices | None, meaning: str) -> Accuracy | None:
    """Of scores, with the truth that an image's own label holds and no other does."""
    import numpy as np

    if labels is None or meaning != SCORES:
        return None
    count = logits.shape[1]
    right = int(((logits > THRESHOLD) == (np.arange(count) == labels[:, None])).sum())
    return macro_accuracy(right, len(logits), count, SPLIT)
