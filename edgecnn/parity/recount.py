"""Figures of parity.json once more, from predictions.npz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.data.output_labels import SCORES
from edgecnn.execution.targets import KERAS
from edgecnn.parity.intervals import accuracy, paired
from edgecnn.parity.metrics import flip_kind
from edgecnn.parity.predictions import NOT_RUN
from edgecnn.parity.rows import SPLIT
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS
from edgecnn.records.common import target_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from edgecnn.parity.predictions import Predictions
    from edgecnn.records import Flip, Parity, ParityRow

    Classes = npt.NDArray[np.int32]
    Figure = tuple[str, object, object]  # its name, as recorded, as computed again


def parity_figures(record: Parity, seen: Predictions, meaning: str) -> Iterator[Figure]:
    """Every figure that follows from the classes alone; of scores, no agreement of single decisions."""
    reference = seen.by_name[KERAS]
    yield "images", record.images, len(reference)
    if len(seen.labels):
        right = int((reference == seen.labels).sum())
        yield "reference_accuracy", record.reference_accuracy, accuracy(right, len(reference), SPLIT)
    for row in record.rows:
        for name, recorded, computed in _row(row, seen, meaning):
            yield f"{row.name}: {name}", recorded, computed
    if meaning != SCORES:
        answers = [reference, *(seen.by_name[row.name] for row in record.rows)]
        matrix = tuple(tuple(_share(one, other) for other in answers) for one in answers)
        yield "agreement_matrix", record.agreement_matrix, matrix
    yield "verdict", record.verdict, _verdict(record)


def _row(row: ParityRow, seen: Predictions, meaning: str) -> Iterator[Figure]:
    mine, reference = seen.by_name[row.name], seen.by_name[KERAS]
    ran = mine != NOT_RUN
    changed = ((mine != reference) & ran).nonzero()[0]
    yield "images", row.images, int(ran.sum())
    yield "flips", [_parts(flip) for flip in row.flips], [_flip(int(i), int(mine[i]), seen) for i in changed]
    if meaning != SCORES:
        yield "agreement", row.agreement, _share(mine, reference)
    if len(seen.labels):
        kinds = [flip.kind for flip in row.flips]
        change = paired(kinds.count("negative"), kinds.count("positive"), row.images)
        yield "accuracy", row.accuracy, accuracy(int((mine == seen.labels)[ran].sum()), row.images, SPLIT)
        yield "paired", row.paired, change
        if not row.extrapolated_from:
            yield "gate_difference", row.gate_difference, change.difference
    if row.native:
        native = seen.by_name[target_name(row.format, row.runtime, row.provider)]
        both = ran & (native != NOT_RUN)
        yield "native.images", row.native.images, int(both.sum())
        yield "native.different_predictions", row.native.different_predictions, int((mine != native)[both].sum())


def _flip(image: int, now: int, seen: Predictions) -> tuple[int, int | None, int, int, str]:
    label = int(seen.labels[image]) if len(seen.labels) else None
    before = int(seen.by_name[KERAS][image])
    return image, label, before, now, flip_kind(label, before, now)


def _parts(flip: Flip) -> tuple[int, int | None, int, int, str]:
    return flip.image, flip.label, flip.reference_prediction, flip.prediction, flip.kind


def _share(one: Classes, other: Classes) -> float:
    both = (one != NOT_RUN) & (other != NOT_RUN)
    return float((one == other)[both].mean())


def _verdict(record: Parity) -> str:
    """The worst of the rows'; a run's own reasons can only make it worse."""
    found = {row.verdict for row in record.rows}
    if FAIL in found:
        return FAIL
    if record.reasons and record.verdict != PASS:
        return record.verdict
    return NOT_PROVEN if NOT_PROVEN in found or record.reasons or not found else PASS
