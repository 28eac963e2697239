"""Outputs of every target for the evaluation images, and how they agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.console import log, progress
from edgecnn.data.fitting import save_images
from edgecnn.data.output_labels import LOGITS, equal_share
from edgecnn.environment import usable_cores
from edgecnn.errors import EdgecnnError, InputError
from edgecnn.execution.client import ModelWorker
from edgecnn.execution.server import RUN_BATCH
from edgecnn.execution.targets import KERAS
from edgecnn.model_files.activations import activations_in, images_per_batch
from edgecnn.model_files.int8_overflow import has_exact_kernels
from edgecnn.parity.metrics import Agreement, agreement
from edgecnn.records import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgecnn.arrays import Indices, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import ExportTarget

    Answered = tuple[Logits, Placement, float, int | None]  # as in Asked

EXACT = "exact_int8"  # the extra of a runtime that has exact int8 kernels in addition to its fast ones
MOST_WORKERS = 4  # at once: each holds a runtime in memory
PART_SEED = 1  # of the images that slow runtimes and emulated CPUs answer


@dataclass(frozen=True)
class InferenceResult:
    """Outputs of one target: float32 [len(indices), classes] of that meaning for these images."""

    pair: ExportTarget
    logits: Logits
    indices: Indices
    placement: Placement
    seconds: float
    agreement: Agreement
    cpu_dependent: int | None  # images whose outputs exact int8 kernels give otherwise; None where there are no others
    meaning: str = LOGITS


def part(count: int, most: int | None) -> Indices:
    """Indices of `most` images drawn from `count`, in order; of all of them when there are no more.

    A smaller part lies inside every larger one, so that any two targets have images in common.
    """
    import numpy as np

    if most is None or most >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(PART_SEED).permutation(count)[:most])


def run_targets(
    reference: Path,
    found: Sequence[ExportTarget],
    evaluation: Evaluation,
    most: int | None,
    folder: Path,
    hosts: Mapping[str, Host] | None = None,
    extras: Sequence[str] = ("allow_fallback",),
    meaning: str = LOGITS,
) -> tuple[Logits, list[InferenceResult], dict[str, EdgecnnError]]:
    """Outputs of the reference and of each target, and why a target did not run, by its name.

    As many workers as there are cores, each computing on one thread; `most` is how many images slow runtimes and
    emulated CPUs answer (None: as many as each is asked by itself). The reference is asked here, each pair on the host
    of its CPU, with those of the `extras` that its runtime knows. Raises what the reference's worker raises.
    """
    everything = part(len(evaluation.images), None)
    chosen = {
        pair.name: everything if pair.max_images is None else part(len(everything), most or pair.max_images)
        for pair in found
    }
    places = {len(everything): folder / "images.npy"}
    save_images(places[len(everything)], evaluation.images)
    for indices in chosen.values():
        if len(indices) not in places:
            places[len(indices)] = folder / f"part-{len(indices)}.npy"
            save_images(places[len(indices)], evaluation.images[indices])
    batch = images_per_batch(activations_in(reference).widest_bytes, RUN_BATCH)
    slow_first = sorted(found, key=lambda pair: (bool(pair.cpu), pair.max_images is None))  # emulated CPUs last
    with (
        ThreadPoolExecutor(min(usable_cores(), MOST_WORKERS)) as pool,
        ExitStack() as stack,
        progress("asking", len(found) + 1) as advance,
    ):
        first = pool.submit(_ask, KERAS, reference, places[len(everything)], "cpu", "reference", batch)
        waiting = {
            pair.name: pool.submit(
                _ask,
                pair.runtime.name,
                pair.path,
                places[len(chosen[pair.name])],
                pair.provider,
                f"{number}",
                batch,
                (hosts or {}).get(pair.cpu),
                [extra for extra in extras if extra in pair.runtime.extras],
                compare_exact=has_other_kernels(pair, (hosts or {}).get(pair.cpu)),
            )
            for number, pair in enumerate(slow_first)
        }
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # what waits is not begun after a failure
        logits, _, seconds, _ = first.result()
        log(f"  {KERAS}: reference, {seconds:.1f} s")
        asked, refused = [], {}
        for number, pair in enumerate(found):
            advance(number + 1)
            try:
                answered = waiting[pair.name].result()
                asked.append(_compared(pair, chosen[pair.name], answered, logits, evaluation.labels, meaning))
                log(f"  {pair.name}: {len(asked[-1].indices):,} images, {asked[-1].seconds:.1f} s")
            except EdgecnnError as error:
                refused[pair.name] = error
                log(f"  {pair.name}: skipped, {str(error).rstrip('.')}")
    return logits, asked, refused


def _ask(
    runtime: str,
    path: Path,
    images: Path,
    provider: str,
    name: str,
    batch: int,
    place: Host | None = None,
    extras: Sequence[str] = (),
    *,
    compare_exact: bool = False,
) -> Answered:
    """All outputs of one artifact on one runtime, from a worker on one thread, `batch` images per call.

    With `compare_exact` the file is run a second time on exact int8 kernels.
    """
    import numpy as np

    answers = images.with_name(f"answers-{name}.npy")
    with ModelWorker(runtime, path, threads=1, provider=provider, extras=extras, place=place) as worker:
        seconds = worker.run(images, answers, batch)
        logits, placement = np.load(answers), Placement(**worker.loaded["placement"])
        different = None
        if compare_exact:
            worker.load((), [EXACT])
            worker.run(images, answers, batch)
            different = int((np.load(answers) != logits).any(axis=1).sum())
        return logits, placement, seconds, different


def has_other_kernels(pair: ExportTarget, place: Host | None) -> bool:
    """Whether the pair's runtime has, here, exact int8 kernels other than those it uses by default for this file."""
    is_native = place is None or not place.name
    return (
        is_native
        and EXACT in pair.runtime.extras
        and pair.provider == "cpu"
        and pair.format.weight_dtype == "int8"
        and has_exact_kernels()
    )


def _compared(
    pair: ExportTarget, indices: Indices, answered: Answered, reference: Logits, labels: Indices | None, meaning: str
) -> InferenceResult:
    logits, placement, seconds, different = answered
    if logits.shape != reference[indices].shape:
        raise InputError(
            f"It gives outputs of the shape {list(logits.shape[1:])}, the model {list(reference.shape[1:])}."
        )
    found = agreement(reference[indices], logits, None if labels is None else labels[indices], meaning)
    flips = tuple(replace(flip, image=int(indices[flip.image])) for flip in found.flips)
    return InferenceResult(pair, logits, indices, placement, seconds, replace(found, flips=flips), different, meaning)


def bit_equal(one: InferenceResult, asked: Sequence[InferenceResult], reference: Logits) -> tuple[str, ...]:
    """Which rows, and the reference, gave the very same outputs for the images both ran."""
    import numpy as np

    names = [KERAS] if np.array_equal(one.logits, reference[one.indices]) else []
    for other in asked:
        if other is not one:
            mine, theirs = common(one, other)
            if np.array_equal(mine, theirs):
                names.append(other.pair.name)
    return tuple(names)


def common(a: InferenceResult, b: InferenceResult) -> tuple[Logits, Logits]:
    """The outputs of both for the images that both ran."""
    import numpy as np

    if len(a.indices) == len(b.indices):
        return a.logits, b.logits
    _, in_a, in_b = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
    return a.logits[in_a], b.logits[in_b]


def matrix(reference: Logits, asked: Sequence[InferenceResult]) -> tuple[tuple[float, ...], ...]:
    """Share of equal top-1 classes of each with each, the reference first; see
    :func:`edgecnn.data.output_labels.equal_share`."""
    table = [[1.0, *(one.agreement.top1 for one in asked)]]
    for one in asked:
        shares = [one.agreement.top1]
        for other in asked:
            mine, theirs = common(one, other)
            shares.append(equal_share(mine, theirs, one.meaning))
        table.append(shares)
    return tuple(tuple(row) for row in table)
