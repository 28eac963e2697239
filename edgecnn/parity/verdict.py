"""The verdict on an export, from the figures of its agreement and the gate of its format."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import LOGITS, SCORES, predicted_classes
from edgecnn.parity.intervals import combined, images_needed, mid_p_limits, paired_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgecnn.arrays import Labels, Logits
    from edgecnn.export.format import Gate
    from edgecnn.parity.metrics import Agreement
    from edgecnn.records import PairedDifference

PASS, FAIL, NOT_PROVEN = "pass", "fail", "not proven"
FEWEST_CLASSES = 1.5  # effective number of different predictions below which agreement says nothing
ROUNDING = 1e-9


def uninformative_reference_reason(reference: Logits, labels: Labels | None, meaning: str = LOGITS) -> str:
    """Why agreement with this reference would prove nothing, as a clause; empty where it does prove something.

    An untrained model gives every image nearly the same class. The effective number of classes is the exponential of
    the entropy of their frequencies (Hill, "Diversity and evenness", 1973). Of scores the decisions have to vary, and
    the highest score has to find the label more often than guessing does: a model may decide for several labels, and
    find few images' own alone, without being untrained.
    """
    import numpy as np

    predictions = predicted_classes(reference, meaning)
    if not np.isfinite(reference).all():
        return "some outputs of the trained model are not finite, so agreement proves nothing"
    shares = np.unique(predictions, return_counts=True)[1] / len(predictions)
    if (labels is None or meaning == SCORES) and float(np.exp(-(shares * np.log(shares)).sum())) < FEWEST_CLASSES:
        return (
            f"the trained model gives {shares.max():.0%} of the images the same prediction, so agreement proves nothing"
        )
    if labels is None:
        return ""
    low, _ = mid_p_limits(int((reference.argmax(axis=1) == labels).sum()), len(labels))
    guess = np.bincount(labels).max() / len(labels)
    if low <= guess:
        return "the trained model is not shown to be better than guessing, so agreement proves nothing"
    return ""


def verdict(
    found: Agreement, steps: Sequence[PairedDifference], gate: Gate, images: int, open_share: float = 0.0
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
        return FAIL, "some outputs are not finite"
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
    """Why this many images prove nothing, and how many would if outputs change as often as among these."""
    changed = f"{len(found.flips):,} changed" if found.flips else "none changed"
    if found.flips and found.paired:
        changed += f", {found.paired.negative_flips:,} for the worse and {found.paired.positive_flips:,} for the better"
    count = images_needed(suffices, images)
    more = f"about {count:,} would be needed" if count else "at that rate more images would not prove it either"
    return f"not proven with {images:,} images; {changed}; {more} ({doubt})"


def _excludes(steps: Sequence[PairedDifference], open_share: float, allowed: float, images: int, count: int) -> bool:
    """Whether `count` images with the last step's share of changes exclude a fall by more than is allowed."""
    *before, last = steps
    scaled = paired_interval(
        round(last.negative_flips * count / images), round(last.positive_flips * count / images), count
    )
    change = combined((*before, scaled), open_share)
    return change is not None and change.low_points >= -allowed - ROUNDING


def _agrees(found: Agreement, gate: Gate, count: int) -> bool:
    """Whether `count` images with this share of changes show the agreement that is needed."""
    return 1 - mid_p_limits(round((1 - found.top1) * count), count)[1] >= gate.min_agreement - ROUNDING


def rule(gate: Gate, *, labelled: bool) -> str:
    """The gate in words."""
    agreement = f"agreement at least {gate.min_agreement:.2%}"
    return f"accuracy at most {gate.tolerance_points:g} points lower, {agreement}" if labelled else agreement
