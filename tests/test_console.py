"""Progress on the terminal, and none elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING

from edgecnn import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest


def test_a_late_bar_is_drawn_after_two_seconds_where_results_go_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    clock = [0.0]

    @contextmanager
    def bar(label: str, total: float) -> Iterator[Callable[[float], None]]:
        yield drawn.append

    monkeypatch.setattr(console, "progress", bar)
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    for results_on_terminal in (False, True):
        monkeypatch.setattr(sys.stdout, "isatty", lambda shown=results_on_terminal: shown, raising=False)
        clock[0] = 0.0
        with console.late_progress("predicting", 4) as advance:
            for done, now in ((1, 0.5), (2, 1.9), (3, 2.1), (3.5, 2.15), (4, 2.3)):
                clock[0] = now
                advance(done)
    assert drawn == [3, 4]


def test_results_printed_under_a_bar_go_to_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    results, terminal = StringIO(), StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", results)
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.progress("predicting", 2) as advance:
        print("cat")
        console.log("a word")
        advance(1)
    assert results.getvalue() == "cat\n"
    assert "a word" in terminal.getvalue()
