"""How large a graph becomes once its functions are written out."""

from __future__ import annotations

import pytest

from edgecnn.model_files.inlining_limit import MAX_DEPTH, check_unfolding


def test_what_stays_within_measure_passes() -> None:
    functions = {"f": ["Conv", "Relu"], "g": ["f", "f"]}
    check_unfolding(["g", "g", "Softmax"], functions, most=9)
    with pytest.raises(ValueError, match="too often"):
        check_unfolding(["g", "g", "Softmax"], functions, most=8)


def test_functions_that_call_each_other_without_end() -> None:
    with pytest.raises(ValueError, match="too often"):
        check_unfolding(["f"], {"f": ["g"], "g": ["f"]}, most=100)


def test_depth_counts_however_it_is_reached() -> None:
    chain = {number: [number - 1] if number else [] for number in range(2 * MAX_DEPTH)}
    check_unfolding([MAX_DEPTH - 1], chain, most=1_000)
    with pytest.raises(ValueError, match="too often"):
        check_unfolding([MAX_DEPTH - 1, 2 * MAX_DEPTH - 1], chain, most=1_000)
