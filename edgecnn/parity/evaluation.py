"""Outputs of every target for the evaluation images, and how they agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
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

    from edgecnn.arrays import Indices, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import ExportTarget

EXACT = "exact_int8"  # the extra of a runtime that has exact int8 kernels in addition to its fast ones
MAX_WORKERS = 4  # at once: each holds a runtime in memory
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
    cpu_dependent_images: (
        int | None
    )  # images whose outputs exact int8 kernels give otherwise; None where there are no others
    meaning: str = LOGITS


@dataclass(frozen=True)
class Inference:
    """What the reference gave, float32 [N, classes], each target's result, and why a target gave none, by its name."""

    reference: Logits
    results: list[InferenceResult]
    refused: dict[str, EdgecnnError]


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
    targets: Sequence[ExportTarget],
    evaluation: Evaluation,
    folder: Path,
    *,
    max_images: int | None = None,
    hosts: Mapping[str, Host] | None = None,
    extras: Sequence[str] = ("allow_fallback",),
    meaning: str = LOGITS,
) -> Inference:
    """Run the reference, and each target on the host of its CPU ("": this machine), over the evaluation images.

    As many workers as there are cores, each computing on one thread. `max_images` is how many images slow runtimes and
    emulated CPUs run (None: as many as each target says); `extras` are those of the runtimes that are wanted where a
    runtime knows them; `folder` is for scratch files. Raises what the reference's worker raises.
    """
    parts = _Parts(evaluation, folder)
    everything = parts.of(None)
    chosen = {t.name: parts.of(None if t.max_images is None else max_images or t.max_images) for t in targets}
    batch = images_per_batch(activations_in(reference).widest_bytes, RUN_BATCH)
    slow_first = sorted(targets, key=lambda target: (bool(target.cpu), target.max_images is None))  # emulated CPUs last
    results, refused = [], {}
    with (
        ThreadPoolExecutor(min(usable_cores(), MAX_WORKERS)) as pool,
        ExitStack() as stack,
        progress("running", len(targets) + 1) as advance,
    ):
        first = pool.submit(_outputs, KERAS, reference, everything.path, "cpu", batch)
        waiting = {
            target.name: pool.submit(
                _outputs,
                target.runtime.name,
                target.path,
                chosen[target.name].path,
                target.provider,
                batch,
                (hosts or {}).get(target.cpu),
                [extra for extra in extras if extra in target.runtime.extras],
                compare_exact=has_other_kernels(target, (hosts or {}).get(target.cpu)),
            )
            for target in slow_first
        }
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # what waits is not begun after a failure
        wanted = first.result()
        log(f"  {KERAS}: reference, {wanted.seconds:.1f} s")
        for number, target in enumerate(targets):
            advance(number + 1)
            try:
                outputs, indices = waiting[target.name].result(), chosen[target.name].indices
                results.append(_compared(target, indices, outputs, wanted.logits, evaluation.labels, meaning))
                log(f"  {target.name}: {len(indices):,} images, {outputs.seconds:.1f} s")
            except EdgecnnError as error:
                refused[target.name] = error
                log(f"  {target.name}: skipped, {error.reason}")
    return Inference(wanted.logits, results, refused)


@dataclass(frozen=True)
class _Part:
    """Some of the evaluation images: their indices, and the file that holds them."""

    indices: Indices
    path: Path


class _Parts:
    """The parts of an evaluation that are run, each written to `folder` once."""

    def __init__(self, evaluation: Evaluation, folder: Path) -> None:
        self._images, self._folder = evaluation.images, folder
        self._known: dict[int, _Part] = {}

    def of(self, most: int | None) -> _Part:
        """`most` of the images, all of them where that is None."""
        indices = part(len(self._images), most)
        if len(indices) not in self._known:
            path = self._folder / f"images-{len(indices)}.npy"
            save_images(path, self._images if most is None else self._images[indices])
            self._known[len(indices)] = _Part(indices, path)
        return self._known[len(indices)]


@dataclass(frozen=True)
class _Outputs:
    """What a worker gave: float32 [N, classes], and how many images exact int8 kernels answer otherwise (None: no
    others were run)."""

    logits: Logits
    placement: Placement
    seconds: float
    cpu_dependent_images: int | None


def _outputs(
    runtime: str,
    path: Path,
    images: Path,
    provider: str,
    batch: int,
    host: Host | None = None,
    extras: Sequence[str] = (),
    *,
    compare_exact: bool = False,
) -> _Outputs:
    """Run a file of images through an artifact, from a worker on one thread, `batch` images a call.

    With `compare_exact` they are run a second time on exact int8 kernels.
    """
    import tempfile

    import numpy as np

    with (
        tempfile.TemporaryDirectory(dir=images.parent) as folder,
        ModelWorker(runtime, path, threads=1, provider=provider, extras=extras, host=host) as worker,
    ):
        outputs = Path(folder) / f"{Path(folder).name}.npy"  # a name of its own, on a remote host too
        seconds = worker.run(images, outputs, batch)
        logits, placement = np.load(outputs), Placement(**worker.loaded["placement"])
        different = None
        if compare_exact:
            worker.load((), [EXACT])
            worker.run(images, outputs, batch)
            different = int((np.load(outputs) != logits).any(axis=1).sum())
        return _Outputs(logits, placement, seconds, different)


def has_other_kernels(pair: ExportTarget, host: Host | None) -> bool:
    """Whether the pair's runtime has, here, exact int8 kernels other than those it uses by default for this file."""
    is_native = host is None or not host.name
    return (
        is_native
        and EXACT in pair.runtime.extras
        and pair.provider == "cpu"
        and pair.format.weight_dtype == "int8"
        and has_exact_kernels()
    )


def _compared(
    pair: ExportTarget, indices: Indices, outputs: _Outputs, reference: Logits, labels: Indices | None, meaning: str
) -> InferenceResult:
    logits, wanted = outputs.logits, reference[indices]
    if logits.shape != wanted.shape:
        raise InputError(f"It gives outputs of the shape {list(logits.shape[1:])}, the model {list(wanted.shape[1:])}.")
    found = agreement(wanted, logits, None if labels is None else labels[indices], meaning)
    flips = tuple(replace(flip, image=int(indices[flip.image])) for flip in found.flips)
    return InferenceResult(
        pair,
        logits,
        indices,
        outputs.placement,
        outputs.seconds,
        replace(found, flips=flips),
        outputs.cpu_dependent_images,
        meaning,
    )


def bit_equal(one: InferenceResult, results: Sequence[InferenceResult], reference: Logits) -> tuple[str, ...]:
    """Which rows, and the reference, gave the very same outputs for the images both ran."""
    import numpy as np

    names = [KERAS] if np.array_equal(one.logits, reference[one.indices]) else []
    for other in results:
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


def matrix(reference: Logits, results: Sequence[InferenceResult]) -> tuple[tuple[float, ...], ...]:
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
