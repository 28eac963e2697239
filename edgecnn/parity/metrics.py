"""Figures of agreement between an artifact's outputs and the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.arrays import energy_of, sqnr_db
from edgecnn.data.output_labels import LOGITS, SCORES, THRESHOLD, equal_share, predicted_classes
from edgecnn.parity.intervals import paired
from edgecnn.records import Flip

if TYPE_CHECKING:
    from edgecnn.arrays import Labels, Logits
    from edgecnn.records import PairedDifference

TOP = 5


@dataclass(frozen=True)
class Agreement:
    """How outputs float32 [N, classes] agree with the reference's for the same images; see ParityRow.

    Of scores `top1` is the share of equal decisions, and an image with any decision changed is a flip.
    """

    top1: float
    top5: float | None
    flips: tuple[Flip, ...]
    max_difference: float
    mean_difference: float
    sqnr_db: float | None
    cosine_similarity: float
    paired: PairedDifference | None

    @property
    def finite(self) -> bool:
        """Whether all outputs are numbers."""
        return self.max_difference >= 0


def agreement(reference: Logits, logits: Logits, labels: Labels | None, meaning: str = LOGITS) -> Agreement:
    """Compare outputs float32 [N, classes] of that meaning; `labels` int64 [N] where they are known."""
    import numpy as np

    expected, answered = predicted_classes(reference, meaning), predicted_classes(logits, meaning)
    flipped = np.flatnonzero(expected != answered)
    flips = tuple(
        _flip(
            int(i),
            (int(expected[i]), int(answered[i])),
            None if labels is None else int(labels[i]),
            (_margin(reference[i], meaning), _margin(logits[i], meaning)),
        )
        for i in flipped
    )
    top = min(TOP, reference.shape[1])
    best = [np.sort(np.argsort(-outputs, axis=1, kind="stable")[:, :top], axis=1) for outputs in (reference, logits)]
    change = None
    if labels is not None:
        kinds = [flip.kind for flip in flips]
        change = paired(kinds.count("negative"), kinds.count("positive"), len(labels))
    finite = bool(np.isfinite(logits).all() and np.isfinite(reference).all())
    a, b = reference.astype(np.float64), logits.astype(np.float64)
    difference = np.abs(b - a)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.divide((a * b).sum(axis=1), lengths, out=np.ones(len(a)), where=lengths > 0)
    return Agreement(
        top1=equal_share(reference, logits, meaning) if meaning == SCORES else 1 - len(flips) / len(expected),
        top5=float((best[0] == best[1]).all(axis=1).mean()) if reference.shape[1] > TOP and meaning != SCORES else None,
        flips=flips,
        max_difference=float(difference.max()) if finite else -1.0,
        mean_difference=float(difference.mean()) if finite else -1.0,
        sqnr_db=sqnr_db(energy_of(a), energy_of(difference)) if finite else None,
        cosine_similarity=float(cosine.mean()) if finite else -1.0,
        paired=change,
    )


def _flip(i: int, predictions: tuple[int, int], label: int | None, margins: tuple[float, float]) -> Flip:
    before, now = predictions
    return Flip(
        image=i,
        label=label,
        reference_prediction=before,
        prediction=now,
        reference_margin=margins[0],
        prediction_margin=margins[1],
        kind=flip_kind(label, before, now),
    )


def flip_kind(label: int | None, before: int, now: int) -> str:
    """What a change of an image's class is; see Flip."""
    return "" if label is None else {before: "negative", now: "positive"}.get(label, "neutral")


def _margin(outputs: Logits, meaning: str) -> float:
    """Between the best and the second-best of one image's outputs, of scores from the threshold to the nearest; 0 where
    they are no numbers."""
    import numpy as np

    if meaning == SCORES:
        margin = float(np.abs(outputs - np.float32(THRESHOLD)).min())
    else:
        second, best = np.sort(outputs)[-2:]
        margin = float(best - second)
    return margin if np.isfinite(margin) else 0.0
