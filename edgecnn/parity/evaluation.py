"""Outputs of every target for the evaluation images, and how they agree."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.console import log
from edgecnn.data.output_labels import LOGITS, equal_share
from edgecnn.errors import EdgecnnError, InputError, MachineError
from edgecnn.parity.metrics import Agreement, agreement
from edgecnn.parity.outputs import outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edgecnn.arrays import Indices, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.targets import Target
    from edgecnn.parity.outputs import InferenceOptions, Outputs
    from edgecnn.records import Placement


@dataclass(frozen=True)
class InferenceResult:
    """Outputs of one target: float32 [len(indices), classes] of that meaning for these images; `cpu_dependent_images`
    is how many of them exact int8 kernels give other outputs for, None where there are no such kernels."""

    target: Target
    logits: Logits
    indices: Indices
    placement: Placement
    seconds: float
    agreement: Agreement
    cpu_dependent_images: int | None
    meaning: str = LOGITS


@dataclass(frozen=True)
class Inference:
    """Each target's result, and why a target gave none, by its name."""

    results: list[InferenceResult]
    refused: dict[str, EdgecnnError]

    @property
    def skipped(self) -> dict[str, str]:
        """The same as records hold it: reasons without a full stop."""
        return {name: error.reason for name, error in self.refused.items()}

    def require(self, providers: Sequence[str], targets: Sequence[Target], skipped: Mapping[str, str]) -> None:
        """Raise MachineError, with the reason among `skipped`, for a provider that was named and ran no target."""
        for name in providers:
            if name not in {one.target.provider for one in self.results}:
                reason = next(skipped[target.name] for target in targets if target.provider == name)
                raise MachineError(f"{name} was chosen and did not run: {reason}.")


def run_targets(
    reference: Target, targets: Sequence[Target], evaluation: Evaluation, folder: Path, options: InferenceOptions
) -> tuple[Logits, Inference]:
    """Run the reference and each target over the evaluation images: the reference's outputs, float32 [N, classes], and
    the targets' compared with them. `folder` is for scratch files. Raises what the reference's worker raises."""
    with closing(outcomes((reference, *targets), reference.path, evaluation, folder, options)) as ran:
        _, _, wanted = next(ran)
        if isinstance(wanted, EdgecnnError):
            raise wanted
        return wanted.logits, _compared(ran, lambda target: wanted.logits, evaluation.labels, options.meaning)


def run_published(
    published: Callable[[Target], Logits],
    targets: Sequence[Target],
    model: Path,
    evaluation: Evaluation,
    folder: Path,
    options: InferenceOptions,
) -> Inference:
    """Run each target, exports of this model and the model itself, and compare its outputs with those `published` of
    it."""
    with closing(outcomes(targets, model, evaluation, folder, options)) as ran:
        return _compared(ran, published, evaluation.labels, options.meaning)


def _compared(
    ran: Iterator[tuple[Target, Indices, Outputs | EdgecnnError]],
    expected: Callable[[Target], Logits],
    labels: Indices | None,
    meaning: str,
) -> Inference:
    found = Inference([], {})
    for target, indices, outputs in ran:
        try:
            if isinstance(outputs, EdgecnnError):
                raise outputs
            found.results.append(_result(target, indices, outputs, expected(target), labels, meaning))
        except EdgecnnError as error:
            found.refused[target.name] = error
            log(f"  {target.name}: skipped, {error.reason}")
    return found


def _result(
    target: Target, indices: Indices, outputs: Outputs, expected: Logits, labels: Indices | None, meaning: str
) -> InferenceResult:
    logits, wanted = outputs.logits, expected[indices]
    if logits.shape != wanted.shape:
        raise InputError(f"It gives outputs of the shape {list(logits.shape[1:])}, the model {list(wanted.shape[1:])}.")
    found = agreement(wanted, logits, None if labels is None else labels[indices], meaning)
    return InferenceResult(
        target=target,
        logits=logits,
        indices=indices,
        placement=outputs.placement,
        seconds=outputs.seconds,
        agreement=replace(found, flips=tuple(replace(flip, image=int(indices[flip.image])) for flip in found.flips)),
        cpu_dependent_images=outputs.cpu_dependent_images,
        meaning=meaning,
    )


def bit_equal(one: InferenceResult, results: Sequence[InferenceResult], reference: str) -> tuple[str, ...]:
    """Which rows, and the reference of that name, gave the very same outputs for the images both ran."""
    import numpy as np

    names = [reference] if one.agreement.max_difference == 0 else []
    for other in results:
        if other is not one:
            mine, theirs = common(one, other)
            if np.array_equal(mine, theirs):
                names.append(other.target.name)
    return tuple(names)


def common(a: InferenceResult, b: InferenceResult) -> tuple[Logits, Logits]:
    """The outputs of both for the images that both ran."""
    import numpy as np

    if len(a.indices) == len(b.indices):
        return a.logits, b.logits
    _, in_a, in_b = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
    return a.logits[in_a], b.logits[in_b]


def matrix(results: Sequence[InferenceResult]) -> tuple[tuple[float, ...], ...]:
    """Share of equal top-1 classes of each with each, the reference first; see
    :func:`edgecnn.data.output_labels.equal_share`."""
    table = [[1.0, *(one.agreement.top1 for one in results)]]
    for one in results:
        shares = [one.agreement.top1]
        for other in results:
            mine, theirs = common(one, other)
            shares.append(equal_share(mine, theirs, one.meaning))
        table.append(shares)
    return tuple(tuple(row) for row in table)
