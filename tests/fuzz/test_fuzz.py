"""Changed files of every kind that needs no TensorFlow, 2,000 in all, each with the same changes every time.

More of them, and the other kinds: `tools/fuzz`.
"""

from __future__ import annotations

import sys

import pytest

from tests.fuzz.harness import run
from tests.fuzz.kinds import quick

CASES = 2_000
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.mark.parametrize("kind", quick())
def test_whatever_is_in_a_file_the_answer_is_a_sentence_within_bounds(kind: str) -> None:
    assert run(kind, 0, -(-CASES // len(quick()))) == []
