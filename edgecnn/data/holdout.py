"""Images held out of training, to choose by: the test images are for the figure at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.data.stratified import balanced
from edgecnn.errors import InputError

if TYPE_CHECKING:
    from edgecnn.data.dataset import LabelledImages

HOLD_OUT_SEED = (20_260_101, 2)
HELD_OUT = "held-out"  # the split's name
EXPERIMENT = "An experiment: "  # how the notice begins


def held_out(data: LabelledImages, count: int) -> LabelledImages:
    """The data with `count` training images, as many of each class, in the place of its test images.

    Which ones depends on the labels and the count alone, so that all that is tried is measured on the same.
    """
    import numpy as np

    if not 0 < count < len(data.train_labels):
        raise InputError(
            f"There are {len(data.train_labels):,} training images, so {count:,} cannot be held out of them; give a "
            "smaller number."
        )
    groups = [np.flatnonzero(data.train_labels == label) for label in range(len(data.source.labels))]
    aside = balanced(np.random.default_rng(HOLD_OUT_SEED), groups, count)
    kept = np.setdiff1d(np.arange(len(data.train_labels)), aside)
    if len(np.unique(data.train_labels[kept])) < len(groups):
        raise InputError(
            f"Without {count:,} training images held out, a class would be left without any; hold out fewer."
        )
    notice = f"{EXPERIMENT}every accuracy is of {len(aside):,} images held out of training, not of the test images."
    return replace(
        data,
        source=replace(
            data.source,
            train_count=len(kept),
            test_count=len(aside),
            notice=f"{data.source.notice} {notice}".strip(),
        ),
        train_images=data.train_images[kept],
        train_labels=data.train_labels[kept],
        test_images=data.train_images[aside],
        test_labels=data.train_labels[aside],
    )


def notice_before(notice: str) -> str:
    """What a data set's notice said before images were held out of it."""
    return notice.partition(EXPERIMENT)[0].strip()
