"""Run targets over images, each in a worker process of its own."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import log, progress
from edgecnn.data.fitting import save_images
from edgecnn.data.output_labels import LOGITS
from edgecnn.environment import usable_cores
from edgecnn.errors import EdgecnnError
from edgecnn.execution.client import ModelWorker
from edgecnn.execution.server import RUN_BATCH
from edgecnn.execution.targets import KERAS
from edgecnn.model_files.activations import activations_in, images_per_batch
from edgecnn.model_files.int8_overflow import has_exact_kernels
from edgecnn.records import Placement

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from edgecnn.arrays import Indices, Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.execution.hosts import Host
    from edgecnn.execution.targets import Target

EXACT = "exact_int8"  # the extra of a runtime that has exact int8 kernels in addition to its fast ones
MAX_WORKERS = 4  # at once: each holds a runtime in memory
PART_SEED = 1  # of the images that slow runtimes and emulated CPUs answer


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """How targets are run.

    `max_images` is how many images slow runtimes and emulated CPUs run (None: as many as each target says); `hosts` are
    those of emulated CPUs by name, "" for the other targets, where that is not this machine; `extras` are those of the
    runtimes that are wanted where a runtime knows them.
    """

    max_images: int | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    extras: Sequence[str] = ("allow_fallback",)
    meaning: str = LOGITS


def part(count: int, most: int | None) -> Indices:
    """Indices of `most` images drawn from `count`, in order; of all of them when there are no more.

    A smaller part lies inside every larger one, so that any two targets have images in common.
    """
    import numpy as np

    if most is None or most >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(PART_SEED).permutation(count)[:most])


def outcomes(
    targets: Sequence[Target], model: Path, evaluation: Evaluation, folder: Path, options: InferenceOptions
) -> Generator[tuple[Target, Indices, Outputs | EdgecnnError]]:
    """What each target gives for its images, in the order of the targets, or why it gives nothing.

    As many workers as there are cores, each computing on one thread.
    """
    parts, most = _Parts(evaluation, folder), options.max_images
    chosen = {t.name: parts.of(None if t.max_images is None else most or t.max_images) for t in targets}
    batch = images_per_batch(activations_in(model).widest_bytes, RUN_BATCH)
    slow_first = sorted(targets, key=lambda target: (bool(target.cpu), target.max_images is None))  # emulated CPUs last
    with (
        ThreadPoolExecutor(min(usable_cores(), MAX_WORKERS)) as pool,
        ExitStack() as stack,
        progress("running", len(targets)) as advance,
    ):
        waiting = {t.name: pool.submit(_outputs, t, chosen[t.name].path, batch, options) for t in slow_first}
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # what waits is not begun after a failure
        for number, target in enumerate(targets):
            indices = chosen[target.name].indices
            try:
                outputs = waiting[target.name].result()
            except EdgecnnError as error:
                yield target, indices, error
            else:
                taken = outputs.placement.instructions_per_image
                counted = f", {taken:,} instructions an image" if taken else ""
                log(f"  {target.name}: {len(indices):,} images, {outputs.seconds:.1f} s{counted}")
                yield target, indices, outputs
            advance(number + 1)


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
class Outputs:
    """What a worker gave: float32 [N, classes], and how many images exact int8 kernels answer otherwise (None: no
    others were run)."""

    logits: Logits
    placement: Placement
    seconds: float
    cpu_dependent_images: int | None


def _outputs(
    target: Target, images: Path, batch: int, options: InferenceOptions, *, compare_exact: bool | None = None
) -> Outputs:
    """Run a file of images through a target, from a worker on one thread, `batch` images a call.

    With `compare_exact` they are run a second time on exact int8 kernels; None: where the target has others too.
    """
    import numpy as np

    name, host = target.runtime.name, options.hosts.get(target.cpu)
    with (
        tempfile.TemporaryDirectory(dir=images.parent) as folder,
        ModelWorker(
            name,
            target.path,
            threads=1,
            provider=target.provider,
            extras=[extra for extra in options.extras if extra in target.runtime.extras],
            host=None if name == KERAS else host,  # the reference runs here
        ) as worker,
    ):
        outputs = Path(folder) / f"{Path(folder).name}.npy"  # a name of its own, on a remote host too
        seconds = worker.run(images, outputs, batch)
        logits, placement = np.load(outputs), Placement(**worker.loaded["placement"])
        different = None
        if has_other_kernels(target, host) if compare_exact is None else compare_exact:
            worker.load((), [EXACT])
            worker.run(images, outputs, batch)
            different = int((np.load(outputs) != logits).any(axis=1).sum())
        return Outputs(logits, placement, seconds, different)


def has_other_kernels(target: Target, host: Host | None) -> bool:
    """Whether the runtime has, here, exact int8 kernels other than those it uses by default for this file."""
    is_native = host is None or not host.name
    return (
        is_native
        and EXACT in target.runtime.extras
        and target.provider == "cpu"
        and target.weight_dtype == "int8"
        and has_exact_kernels()
    )
