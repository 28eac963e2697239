"""Is what an artifact answers still what the reference answers? Figures of agreement, and the verdict on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.records import Flip
from edgecnn.statistics import mid_p_limits, paired

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import Gate
    from edgecnn.records import Difference, Paired

    Logits = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int64]

PASS, FAIL, NOT_PROVEN = "pass", "fail", "not proven"
TOP = 5
FEWEST_ANSWERS = 1.5  # effective number of different answers below which agreement says nothing
ROUNDING = 1e-9


@dataclass(frozen=True)
class Agreement:
    """How outputs float32 [N, classes] agree with the reference's for the same images; see ParityRow."""

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


def agreement(reference: Logits, logits: Logits, labels: Labels | None) -> Agreement:
    """Compare outputs float32 [N, classes]; `labels` int64 [N] where they are known."""
    import numpy as np

    expected, answered = reference.argmax(axis=1), logits.argmax(axis=1)
    flipped = np.flatnonzero(expected != answered)
    flips = tuple(
        _flip(int(i), int(expected[i]), int(answered[i]), None if labels is None else int(labels[i]), reference, logits)
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
        top1=1 - len(flips) / len(expected),
        top5=float((best[0] == best[1]).all(axis=1).mean()) if reference.shape[1] > TOP else None,
        flips=flips,
        max_difference=float(difference.max()) if finite else -1.0,
        mean_difference=float(difference.mean()) if finite else -1.0,
        sqnr_db=float(10 * np.log10(np.square(a).sum() / noise)) if finite and noise else None,
        cosine=float(cosine.mean()) if finite else -1.0,
        paired=change,
    )


def _flip(i: int, before: int, now: int, label: int | None, reference: Logits, logits: Logits) -> Flip:
    kind = "" if label is None else {before: "broken", now: "repaired"}.get(label, "changed")
    margins = _margin(reference[i]), _margin(logits[i])
    return Flip(
        image=i,
        label=label,
        reference=before,
        answer=now,
        reference_margin=margins[0],
        answer_margin=margins[1],
        kind=kind,
    )


def _margin(outputs: Logits) -> float:
    """Between the best and the second-best of one image's outputs; 0 where they are no numbers."""
    import numpy as np

    second, best = np.sort(outputs)[-2:]
    margin = float(best - second)
    return margin if np.isfinite(margin) else 0.0


def says_nothing(reference: Logits, labels: Labels | None) -> str:
    """Why agreeing with this reference would prove nothing, in words; empty where it does prove something.

    An untrained model gives every image nearly the same answer. The effective number of answers is the exponential of
    the entropy of their frequencies (Hill, "Diversity and evenness", 1973).
    """
    import numpy as np

    answers = reference.argmax(axis=1)
    if not np.isfinite(reference).all():
        return "some answers of the trained model are not finite, so agreeing proves nothing"
    shares = np.bincount(answers) / len(answers)
    shares = shares[shares > 0]
    if labels is None and float(np.exp(-(shares * np.log(shares)).sum())) < FEWEST_ANSWERS:
        return f"the trained model gives {shares.max():.0%} of the images the same answer, so agreeing proves nothing"
    if labels is None:
        return ""
    low, _ = mid_p_limits(int((answers == labels).sum()), len(labels))
    guess = np.bincount(labels).max() / len(labels)
    if low <= guess:
        return "the trained model is not shown to do better than guessing, so agreeing proves nothing"
    return ""


def verdict(
    found: Agreement, change: Difference | None, gate: Gate, images: int, open_share: float = 0.0
) -> tuple[str, str]:
    """PASS, FAIL or NOT_PROVEN, and the reason in words, empty for a pass; `change` None where no label is known.

    `open_share` is the share of images whose answer may be another than that which `found` and `change` tell of.

    With labels the change of accuracy decides: it passes when its 95 % interval excludes a fall by more than the
    tolerance, fails when the interval holds nothing else, and is not proven when there are too few images to tell.
    An agreement that is shown to be below the format's limit fails too. Without labels the agreement decides alone.
    """
    if not found.finite:
        return FAIL, "some answers are not finite"
    low, high = (1 - limit for limit in reversed(mid_p_limits(len(found.flips), images)))
    low, high = low - open_share, high + open_share
    allowed = gate.tolerance_points
    if change and change.high_points < -allowed:
        return FAIL, f"accuracy fell by {-change.points:.2f} points, {allowed:g} are allowed"
    if high < gate.min_agreement:
        return FAIL, f"agreement is {found.top1:.2%}, {gate.min_agreement:.2%} is needed"
    if change and change.low_points < -allowed - ROUNDING:
        return NOT_PROVEN, (
            f"{images:,} images cannot exclude that accuracy fell by {-change.low_points:.2f} points, {allowed:g} are "
            "allowed"
        )
    if not change and low < gate.min_agreement - ROUNDING:
        return NOT_PROVEN, (
            f"{images:,} images cannot exclude an agreement of {low:.2%}, {gate.min_agreement:.2%} is needed"
        )
    return PASS, ""


def rule(gate: Gate, *, labelled: bool) -> str:
    """The gate in words."""
    agreement = f"agreement at least {gate.min_agreement:.2%}"
    return f"accuracy at most {gate.tolerance_points:g} points lower, {agreement}" if labelled else agreement
