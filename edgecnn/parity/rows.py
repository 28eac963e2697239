"""Rows of parity.json, and the verdict on a whole run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import SCORES, THRESHOLD, predicted_classes
from edgecnn.errors import EdgecnnError, InputError
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.files import sha256_of
from edgecnn.model_files.embedded_contract import differences
from edgecnn.parity.evaluation import InferenceResult, bit_equal
from edgecnn.parity.evidence import against_native, evidence
from edgecnn.parity.intervals import accuracy, macro_accuracy
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS, rule, verdict
from edgecnn.records import ParityRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.arrays import Indices, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.targets import ExportTarget
    from edgecnn.export.format import Gate
    from edgecnn.records import Accuracy, Contract, PreprocessingPath

SPLIT = "test"


def row_of(
    one: InferenceResult,
    results: Sequence[InferenceResult],
    reference: Logits,
    evaluation: Evaluation,
    contract: Contract,
    tolerances: Mapping[str, float],
    nothing: str,
) -> ParityRow:
    """What parity.json says of a result; `nothing` is why agreeing with the reference would prove nothing, or ""."""
    pair, found = one.pair, one.agreement
    gate = _gate(pair, tolerances)
    labels = None if evaluation.labels is None else evaluation.labels[one.indices]
    seen, emulated_by = evidence(one, results, labels), emulator(CPUS[pair.cpu]) if pair.cpu else ""
    state, reason = verdict(seen.agreement, seen.steps, gate, seen.images, seen.open_share)
    if pair.cpu and state != PASS:
        reason += f"; {emulated_by} emulated the CPU, and the fault may be its own"
    if nothing and state == PASS:
        state, reason = NOT_PROVEN, nothing
    sha256 = sha256_of(pair.path)
    foreign = differences(pair.path, contract)
    if sha256 != pair.artifact.sha256:
        foreign = ("it is not the file that was exported (its SHA-256 differs)", *foreign)
    if one.cpu_dependent_images:
        foreign = (
            f"its outputs depend on the CPU: {one.cpu_dependent_images:,} of {len(one.indices):,} images differ from "
            "those of exact int8 kernels (session.x64quantprecision)",
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
        accuracy=accuracy_of(one.logits, labels, one.meaning),
        macro_accuracy=macro_accuracy_of(one.logits, labels, one.meaning),
        paired=found.paired,
        gate_difference=seen.change,
        extrapolated_from=seen.extrapolated_from,
        agreement=found.top1,
        top5_agreement=found.top5,
        flips=found.flips,
        max_logit_difference=found.max_difference,
        mean_logit_difference=found.mean_difference,
        sqnr_db=found.sqnr_db,
        cosine_similarity=found.cosine_similarity,
        bit_equal_to=bit_equal(one, results, reference),
        cpu_dependent_images=one.cpu_dependent_images,
        placement=one.placement,
        gate=rule(gate, labelled=labels is not None),
        verdict=state,
        reason=reason,
        seconds=one.seconds,
        cpu=pair.cpu,
        emulator=emulated_by,
        native=against_native(one, results),
    )


def _gate(pair: ExportTarget, tolerances: Mapping[str, float]) -> Gate:
    gate = pair.format.gate
    points = tolerances.get(pair.format.name, tolerances.get("", gate.tolerance_points))
    return replace(gate, tolerance_points=points)


def overall(
    rows: Sequence[ParityRow],
    formats: Sequence[str],
    found: Sequence[ExportTarget],
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
    for pair in found:
        error = refused.get(pair.name)
        if error is None or (pair.format.name, pair.runtime.name, pair.cpu) in answered:
            continue
        is_broken = isinstance(error, InputError) and pair.max_images is None
        (broken if is_broken else not_run).append(f"{pair.name} does not run: {error.reason}")
    different = [
        f"{way.name} gives other pixels than the contract's rules: {', '.join(way.different_files)}"
        for way in ways
        if way.different_files
    ]
    if broken or different or any(row.verdict == FAIL for row in rows):
        return FAIL, (*broken, *different)
    missing = [name for name in dict.fromkeys(formats) if name not in {pair.format.name for pair in found}]
    if missing:
        not_run.append(f"{', '.join(missing)} runs on no runtime here")
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
