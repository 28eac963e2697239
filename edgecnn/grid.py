"""What every pair of artifact and runtime answers about the evaluation images, and how the answers agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.judging import Agreement, agreement
from edgecnn.records import Placement
from edgecnn.run import save_array, usable_cores
from edgecnn.statistics import chained
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.images import Evaluation
    from edgecnn.records import Difference
    from edgecnn.targets import Pair

    Logits = npt.NDArray[np.float32]
    Indices = npt.NDArray[np.int64]

REFERENCE = "keras"
PART_SEED = 1  # of the images that slow runtimes answer


@dataclass(frozen=True)
class Asked:
    """What one pair answered: float32 [len(indices), classes] for these images."""

    pair: Pair
    logits: Logits
    indices: Indices
    placement: Placement
    seconds: float
    agreement: Agreement


def part(count: int, most: int | None) -> Indices:
    """Indices of `most` images drawn from `count`, in order; of all of them when there are no more."""
    import numpy as np

    if most is None or most >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(PART_SEED).choice(count, most, replace=False))


def ask(runtime: str, path: Path, images: Path, provider: str) -> tuple[Logits, Placement, float]:
    """All answers of one artifact on one runtime, from a worker on all cores."""
    import numpy as np

    answers = images.with_name("answers.npy")
    with Worker(runtime, path, threads=usable_cores(), provider=provider) as worker:
        seconds = worker.ask("run", images=str(images), answers=str(answers))["seconds"]
        return np.load(answers), Placement(**worker.loaded["placement"]), seconds


def compare(pair: Pair, indices: Indices, images: Path, reference: Logits, evaluation: Evaluation) -> Asked:
    place = images
    if len(indices) < len(evaluation.images):
        place = images.with_name("part.npy")
        save_array(place, evaluation.images[indices])
    logits, placement, seconds = ask(pair.runtime.name, pair.path, place, pair.provider)
    labels = None if evaluation.labels is None else evaluation.labels[indices]
    found = agreement(reference[indices], logits, labels)
    flips = tuple(replace(flip, image=int(indices[flip.image])) for flip in found.flips)
    return Asked(pair, logits, indices, placement, seconds, replace(found, flips=flips))


def judged(one: Asked, asked: Sequence[Asked], labels: Indices | None) -> tuple[Difference | None, str]:
    """The change of accuracy that the gate looks at, and the name of the row it was judged through.

    Where a slow runtime answered a part of the images, the same file was asked about all of them elsewhere: what the
    file changes is known from there, and what the runtime changes of that from the part.
    """
    direct = one.agreement.paired
    if direct is None:
        return None, ""
    whole = [o for o in asked if o.pair.path == one.pair.path and len(o.indices) > len(one.indices)]
    if not whole or whole[0].agreement.paired is None:
        return direct.difference, ""
    step = agreement(whole[0].logits[one.indices], one.logits, labels).paired
    assert step is not None
    return chained(whole[0].agreement.paired, step), whole[0].pair.name


def bit_equal(one: Asked, asked: Sequence[Asked], reference: Logits) -> tuple[str, ...]:
    """Which rows, and the reference, gave the very same outputs for the images both answered."""
    import numpy as np

    names = [REFERENCE] if np.array_equal(one.logits, reference[one.indices]) else []
    for other in asked:
        if other is not one:
            mine, theirs = _common(one, other)
            if np.array_equal(mine, theirs):
                names.append(other.pair.name)
    return tuple(names)


def _common(a: Asked, b: Asked) -> tuple[Logits, Logits]:
    """The outputs of both for the images that both answered."""
    import numpy as np

    if len(a.indices) == len(b.indices):
        return a.logits, b.logits
    _, in_a, in_b = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
    return a.logits[in_a], b.logits[in_b]


def matrix(reference: Logits, asked: Sequence[Asked]) -> tuple[tuple[float, ...], ...]:
    """Share of equal top-1 answers of each with each, the reference first."""
    table = [[1.0, *(one.agreement.top1 for one in asked)]]
    for one in asked:
        shares = [one.agreement.top1]
        for other in asked:
            mine, theirs = _common(one, other)
            shares.append(float((mine.argmax(axis=1) == theirs.argmax(axis=1)).mean()))
        table.append(shares)
    return tuple(tuple(row) for row in table)
