"""What a report says of a short training, and of what the time budget of bench did not suffice for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn import records, run_directory
from edgecnn.report.page import MARKDOWN, PAGE
from edgecnn.report.sections.latency import budget_words
from edgecnn.stages.report import report
from tests.html_page import Page
from tests.report.runs import build, latency_of

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.run_directory import Run


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return build(tmp_path / "run")


def _texts(run: Run) -> list[str]:
    report(run)
    return [Page(run.path(PAGE).read_text()).text, " ".join(run.path(MARKDOWN).read_text().split())]


def _measured(run: Run, seconds: float, used: float, widths: dict[str, float], restarts: int = 3) -> records.Latency:
    latency = latency_of(run, run.training().data)
    rows = [replace(row, restarts=restarts) for row in latency.rows]
    rows[-1] = replace(rows[-1], restarts=1)
    unsettled = tuple(records.Unsettled(target=target, width=width) for target, width in widths.items())
    budget = records.TimeBudget(seconds=seconds, used_seconds=used, unsettled=unsettled)
    return replace(latency, rows=tuple(rows), time_budget=budget)


def test_what_the_budget_left_open_is_told_on_both_pages(small: Run) -> None:
    wide = {"a on b, 1 thread": 0.31, "a on b, 2 threads": 0.14, "c": 0.06, "d": 0.05, "e": 0.03}
    small.save(run_directory.LATENCY, _measured(small, 40, 38.4, wide))
    for text in _texts(small):
        assert "Measured for 38 s, the time budget was 40 s. tflite_int8 on litert (cpu): started once, " in text
        assert "wider than 2%: a on b, 1 thread (31%), a on b, 2 threads (14%), c (6%) and 2 others." in text


def test_a_budget_that_was_overdrawn_or_sufficed_is_told(small: Run) -> None:
    overdrawn = budget_words(_measured(small, 10, 25, {}, restarts=1))
    assert overdrawn.startswith("Measured for 25 s, the time budget was 10 s: each target's minimum took longer. Each")
    assert "Each process was started once. Too few blocks to see two modes: 3 targets. " in overdrawn
    assert budget_words(_measured(small, 40, 9, {})).endswith("No more time would narrow the intervals.")


def test_a_record_without_a_budget_says_nothing_of_it(small: Run) -> None:
    assert budget_words(latency_of(small, small.training().data)) == ""
    assert not any("time budget" in text for text in _texts(small))


def test_a_training_shorter_than_its_recipe_is_told_on_both_pages(small: Run) -> None:
    note = "Trained for 2 of the 10 epochs of the recipe tutorial: the model is less accurate than it can be."
    for epochs, told in ((10, True), (2, False), (None, False)):
        small.save(run_directory.TRAINING, replace(small.training(), recipe_epochs=epochs))
        assert [note in text for text in _texts(small)] == [told, told]
