"""Which images are drawn from a split: the same number of each class, and which ones depends on the seed alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Indices


def members(labels: Indices, classes: int, passed_over: npt.NDArray[np.bool_]) -> list[Indices]:
    """The images of each class, as indices; those passed over stand only where a class has no others."""
    import numpy as np

    every = [np.flatnonzero(labels == label) for label in range(classes)]
    return [kept if len(kept := group[~passed_over[group]]) else group for group in every]


def balanced(generator: np.random.Generator, groups: list[Indices], most: int) -> Indices:
    """At most `most` indices in random order: from each group the same number, or all of a group that has fewer."""
    import numpy as np

    quota = max(1, most // len(groups))
    chosen = [generator.choice(group, min(quota, len(group)), replace=False) for group in groups]
    drawn: Indices = generator.permutation(np.concatenate(chosen))[:most]
    return drawn


def without(groups: list[Indices], taken: Indices) -> list[Indices]:
    """The groups without what was taken; a group of which nothing is left stays whole."""
    import numpy as np

    return [left if len(left := np.setdiff1d(group, taken)) else group for group in groups]
