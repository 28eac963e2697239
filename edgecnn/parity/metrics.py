"""Is what an artifact answers still what the reference answers? Figures of agreement, and the verdict on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import LOGITS, SCORES, THRESHOLD, answers_of, equal_share
from edgecnn.parity.intervals import combined, images_needed, mid_p_limits, paired, paired_interval
from edgecnn.records import Flip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import Gate
    from edgecnn.records import Paired

    Logits = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int64]

PASS, FAIL, NOT_PROVEN = "pass", "fail", "not proven"
TOP = 5
FEWEST_ANSWERS = 1.5  # effective number of different answers below which agreement says nothing
ROUNDING = 1e-9


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
    cosine: float
    paired: Paired | None

    @property
    def finite(self) -> bool:
        """Whether all outputs are numbers."""
        return self.max_difference >= 0


def agreement(reference: Logits, logits: Logits, labels: Labels | None, meaning: str = LOGITS) -> Agreement:
    """Compare outputs float32 [N, classes] of that meaning; `labels` int64 [N] where they are known."""
    import numpy as np

    expected, answered = answers_of(reference, meaning), answers_of(logits, meaning)
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
        change = paired(kinds.count("broken"), kinds.count("repaired"), len(labels))
    finite = bool(np.isfinite(logits).all() and np.isfinite(reference).all())
    a, b = reference.astype(np.float64), logits.astype(np.float64)
    difference = np.abs(b - a)
    noise = float(np.square(difference).sum())
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.divide((a * b).sum(axis=1), lengths, out=np.ones(len(a)), where=lengths > 0)
    return Agreement(
        top1=equal_share(reference, logits, meaning) if meaning == SCORES else 1 - len(flips) / len(expected),
        top5=float((best[0] == best[1]).all(axis=1).mean()) if reference.shape[1] > TOP and meaning != SCORES else None,
        flips=flips,
        max_difference=float(difference.max()) if finite else -1.0,
        mean_difference=float(difference.mean()) if finite else -1.0,
        sqnr_db=float(10 * np.log10(np.square(a).sum() / noise)) if finite and noise else None,
        cosine=float(cosine.mean()) if finite else -1.0,
        paired=change,
    )


def _flip(i: int, answers: tuple[int, int], label: int | None, margins: tuple[float, float]) -> Flip:
    before, now = answers
    kind = "" if label is None else {before: "broken", now: "repaired"}.get(label, "changed")
    return Flip(
        image=i,
        label=label,
        reference=before,
        answer=now,
        reference_margin=margins[0],
        answer_margin=margins[1],
        kind=kind,
    )


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


def says_nothing(reference: Logits, labels: Labels | None, meaning: str = LOGITS) -> str:
    """Why agreeing with this reference would prove nothing, in words; empty where it does prove something.

    An untrained model gives every image nearly the same answer. The effective number of answers is the exponential of
    the entropy of their frequencies (Hill, "Diversity and evenness", 1973). Of scores the decisions have to vary, and
    the highest score has to find the label more often than guessing does: a model may decide for several labels, and
    find few images' own alone, without being untrained.
    """
    import numpy as np

    answers = answers_of(reference, meaning)
    if not np.isfinite(reference).all():
        return "some answers of the trained model are not finite, so agreeing proves nothing"
    shares = np.unique(answers, return_counts=True)[1] / len(answers)
    if (labels is None or meaning == SCORES) and float(np.exp(-(shares * np.log(shares)).sum())) < FEWEST_ANSWERS:
        return f"the trained model gives {shares.max():.0%} of the images the same answer, so agreeing proves nothing"
    if labels is None:
        return ""
    low, _ = mid_p_limits(int((reference.argmax(axis=1) == labels).sum()), len(labels))
    guess = np.bincount(labels).max() / len(labels)
    if low <= guess:
        return "the trained model is not shown to do better than guessing, so agreeing proves nothing"
    return ""


def verdict(
    found: Agreement, steps: Sequence[Paired], gate: Gate, images: int, open_share: float = 0.0
) -> tuple[str, str]:
    """PASS, FAIL or NOT_PROVEN, and the reason in words, empty for a pass.

    `steps` are the changes of accuracy that make up the artifact's, the last one on these `images`; none where no label
    is known. `open_share` is the share of images whose answer may be another than that which `found` and `steps` tell
    of. With labels the change of accuracy decides: it passes when its 95 % interval excludes a fall by more than the
    tolerance, fails when the interval holds nothing else, and is not proven when there are too few images to tell.
    An agreement that is shown to be below the format's limit fails too. Without labels the agreement decides alone.

    The images are what is independent, of scores too: there an image is right or wrong as a whole for the change of
    accuracy, and its share of changed decisions, which varies no more than a yes or no of the same mean, counts for the
    agreement; its interval is therefore on the safe side.
    """
    if not found.finite:
        return FAIL, "some answers are not finite"
    low, high = _limits(found, images)
    low, high = low - open_share, high + open_share
    allowed, change = gate.tolerance_points, combined(steps, open_share)
    if change and change.high_points < -allowed:
        return FAIL, f"accuracy fell by {_told_apart(-change.points, allowed)} points, {allowed:g} are allowed"
    needed = f"{gate.min_agreement:.2%} is needed"
    if high < gate.min_agreement:
        return FAIL, f"agreement is {_told_apart(100 * found.top1, 100 * gate.min_agreement)}%, {needed}"
    if change and change.low_points < -allowed - ROUNDING:
        fall = _told_apart(-change.low_points, allowed)
        doubt = f"accuracy may have fallen by up to {fall} points, {allowed:g} are allowed"
        return NOT_PROVEN, _too_few(
            found, images, doubt, lambda count: _excludes(steps, open_share, allowed, images, count)
        )
    if not change and low < gate.min_agreement - ROUNDING:
        doubt = f"agreement may be as low as {_told_apart(100 * low, 100 * gate.min_agreement)}%, {needed}"
        return NOT_PROVEN, _too_few(found, images, doubt, lambda count: _agrees(found, gate, count))
    return PASS, ""


def _limits(found: Agreement, images: int) -> tuple[float, float]:
    """The interval of the agreement; the changes of part of an image's decisions add up to whole images, outwards."""
    changed = round((1 - found.top1) * images, 6)
    return 1 - mid_p_limits(math.ceil(changed), images)[1], 1 - mid_p_limits(math.floor(changed), images)[0]


def _told_apart(value: float, limit: float) -> str:
    """A number with two decimals, or as many as it takes to differ from the limit."""
    digits = next((digits for digits in range(2, 10) if round(value, digits) != round(limit, digits)), 2)
    return f"{value:.{digits}f}"


def _too_few(found: Agreement, images: int, doubt: str, suffices: Callable[[int], bool]) -> str:
    """Why so many images prove nothing, and how many would if answers change as often as among these."""
    changed = f"{len(found.flips):,} changed" if found.flips else "none changed"
    if found.flips and found.paired:
        changed += f", {found.paired.broken:,} for the worse and {found.paired.repaired:,} for the better"
    count = images_needed(suffices, images)
    more = f"about {count:,} would be needed" if count else "at that rate more images would not prove it either"
    return f"not proven with {images:,} images; {changed}; {more} ({doubt})"


def _excludes(steps: Sequence[Paired], open_share: float, allowed: float, images: int, count: int) -> bool:
    """Whether `count` images with the last step's share of changes exclude a fall by more than is allowed."""
    *before, last = steps
    scaled = paired_interval(round(last.broken * count / images), round(last.repaired * count / images), count)
    change = combined((*before, scaled), open_share)
    return change is not None and change.low_points >= -allowed - ROUNDING


def _agrees(found: Agreement, gate: Gate, count: int) -> bool:
    """Whether `count` images with this share of changes show the agreement that is needed."""
    return 1 - mid_p_limits(round((1 - found.top1) * count), count)[1] >= gate.min_agreement - ROUNDING


def rule(gate: Gate, *, labelled: bool) -> str:
    """The gate in words."""
    agreement = f"agreement at least {gate.min_agreement:.2%}"
    return f"accuracy at most {gate.tolerance_points:g} points lower, {agreement}" if labelled else agreement
