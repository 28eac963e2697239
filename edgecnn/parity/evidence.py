"""What the outputs of one target prove, together with those of the others: about other images and other CPUs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import SCORES, THRESHOLD, predicted_classes
from edgecnn.parity.evaluation import common
from edgecnn.parity.intervals import combined, mid_p_limits
from edgecnn.parity.metrics import Agreement, agreement
from edgecnn.records import NativeDifference

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Indices, Logits
    from edgecnn.parity.evaluation import InferenceResult
    from edgecnn.records import Difference, PairedDifference


SAFETY = 10.0  # changes of outputs assumed for all images, to those seen on a part


@dataclass(frozen=True)
class Evidence:
    """What a verdict looks at; see :func:`edgecnn.parity.verdict.verdict`.

    `through` is the row by which it is judged where it ran a part of the images only, else "".
    """

    agreement: Agreement
    images: int
    steps: tuple[PairedDifference, ...]
    open_share: float = 0.0
    extrapolated_from: str = ""

    @property
    def change(self) -> Difference | None:
        """The change of accuracy over all steps; None where no label is known."""
        return combined(self.steps, self.open_share)


def evidence(one: InferenceResult, results: Sequence[InferenceResult], labels: Indices | None) -> Evidence:
    """What is known of a target's outputs; `labels` are those of the images it ran.

    Where a slow runtime or an emulated CPU ran a part of the images, the same file ran all of them elsewhere: what the
    file changes is known from there, and what the runtime or CPU changes in addition from the part.
    """
    bound = _bound(one, results)
    if bound:
        return bound
    found, direct = one.agreement, one.agreement.paired
    if direct is None:
        return Evidence(found, len(one.indices), ())
    native = [o for o in results if o.target.path == one.target.path and not o.target.cpu]
    whole = sorted(
        (o for o in native if len(o.indices) > len(one.indices)), key=lambda o: o.target.runtime != one.target.runtime
    )
    if not whole or whole[0].agreement.paired is None:
        return Evidence(found, len(one.indices), (direct,))
    step = agreement(whole[0].logits[one.indices], one.logits, labels, one.meaning).paired
    assert step is not None
    return Evidence(found, len(one.indices), (whole[0].agreement.paired, step), extrapolated_from=whole[0].target.name)


def _bound(one: InferenceResult, results: Sequence[InferenceResult]) -> Evidence | None:
    """What is known of an emulated CPU that changes outputs by so little that hardly a top-1 class can change.

    A best class changes only where its margin is at most twice the change of an output, a decision on a score only
    where the score is as near to the threshold as that change. So the changes seen on the part, SAFETY times as large,
    and the margins of all native outputs tell what share of the images that can be: none, where outputs are equal to
    the bit. This takes margins and changes to be independent, hence the factor. None where some answers did change, or
    where counting them says more.
    """
    import numpy as np

    native, seen = _native_of(one, results), against_native(one, results)
    if native is None or seen is None or seen.different_predictions or seen.max_difference < 0:
        return None
    mine, theirs = common(one, native)
    changes = np.abs(mine - theirs).max(axis=1)
    margins = np.sort(_margins(native.logits, one.meaning))
    open_share = float(np.searchsorted(margins, 2 * SAFETY * changes).mean()) / len(margins)
    if open_share >= mid_p_limits(0, seen.images)[1]:
        return None
    direct = native.agreement.paired
    return Evidence(native.agreement, len(native.indices), (direct,) if direct else (), open_share, native.target.name)


def _margins(outputs: Logits, meaning: str) -> npt.NDArray[np.float32]:
    """Twice the change of an output [N, classes] that can change an image's class, float32 [N]."""
    import numpy as np

    if meaning == SCORES:
        nearest: npt.NDArray[np.float32] = 2 * np.abs(outputs - THRESHOLD).min(axis=1)
        return nearest
    ranked = np.sort(outputs, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2], np.float32)


def _native_of(one: InferenceResult, results: Sequence[InferenceResult]) -> InferenceResult | None:
    """The same pair on this machine's own CPU, of one on an emulated CPU."""
    return next((o for o in results if one.target.cpu and replace(one.target, cpu="") == o.target), None)


def against_native(one: InferenceResult, results: Sequence[InferenceResult]) -> NativeDifference | None:
    """How an emulated CPU's outputs differ from the native ones; None without them, and for a native pair."""
    import numpy as np

    native = _native_of(one, results)
    if native is None:
        return None
    mine, theirs = common(one, native)
    finite = bool(np.isfinite(mine).all() and np.isfinite(theirs).all())
    return NativeDifference(
        images=len(mine),
        different_predictions=int(
            (predicted_classes(mine, one.meaning) != predicted_classes(theirs, one.meaning)).sum()
        ),
        max_difference=float(np.abs(mine - theirs).max()) if finite else -1.0,
    )
