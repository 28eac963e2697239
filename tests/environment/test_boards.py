"""Boards by name."""

from __future__ import annotations

import pytest

from edgecnn.environment.boards import BOARDS, pick_board
from edgecnn.errors import UsageError
from edgecnn.runtimes import bare_metal


def test_they_have_the_memory_of_those_that_are_emulated() -> None:
    both = BOARDS.keys() & bare_metal.BOARDS.keys()
    assert both == {"microbit"}
    for name in both:
        board, emulated = BOARDS[name], bare_metal.BOARDS[name]
        assert (board.flash_bytes, board.ram_bytes) == (emulated.flash_bytes, emulated.ram_bytes)


def test_an_unknown_one_is_a_usage_error() -> None:
    assert pick_board("pico").ram_bytes == 264 * 1024
    with pytest.raises(UsageError, match="No board is called 'nucleo'; did you mean nucleo-"):
        pick_board("nucleo")
