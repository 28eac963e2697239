"""Sentences of the report that are easily false, each with the figures that would make it so."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn import records, run_directory
from edgecnn.records import Interval, LatencyRow, Ratio
from edgecnn.report.page import MARKDOWN
from edgecnn.run_directory import Run
from tests.report.runs import build, page_of, share

pytest.importorskip("jinja2")


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return build(tmp_path / "run")


def measured(run: Run, *rows: LatencyRow, baseline: str = "onnx_float32 on onnxruntime (cpu), 1 thread") -> None:
    latency = run.load(run_directory.LATENCY, records.Latency, "bench")
    run.save(run_directory.LATENCY, replace(latency, rows=rows, baseline=baseline))


def rows_of(run: Run) -> tuple[LatencyRow, ...]:
    return run.load(run_directory.LATENCY, records.Latency, "bench").rows


def texts(run: Run) -> tuple[str, str]:
    """The text of both pages."""
    page = page_of(run).text
    markdown = re.sub(r"\s+", " ", run.path(MARKDOWN).read_text(encoding="utf-8"))
    return page, markdown


def test_calls_per_target_are_those_of_all_targets(small: Run) -> None:
    first, second, third = rows_of(small)
    measured(small, replace(first, iterations=810), replace(second, iterations=22_680), replace(third, iterations=3240))
    for text in texts(small):
        assert "Timed are 810 to 22,680 calls per target" in text


def test_a_figure_of_fewer_images_says_of_how_many(small: Run) -> None:
    """A slow runtime's accuracy is of other images than the change that its gate judged."""
    parity = small.load(run_directory.PARITY, records.Parity, "parity")
    first, second = parity.rows
    part = replace(
        second,
        images=100,
        accuracy=share(80, 100),
        paired=replace(second.paired, points=-1.0, images=100) if second.paired else None,
        extrapolated_from=first.name,
    )
    small.save(run_directory.PARITY, replace(parity, rows=(first, part)))
    page, markdown = texts(small)
    assert "80.00% 77.00% to 83.00%, N = 100 −1.00 on the same 100 images" in page
    assert f"+0.57 −0.89 to +1.88, through {first.name}" in page or f", through {first.name}" in page
    assert "80.00% (77.00% to 83.00%, N = 100)" in markdown and "−1.00 (on the same 100 images)" in markdown
    assert "N = 700 +0.57" not in page, "of all images that is said once"


def test_a_latency_of_two_modes_is_unstable_and_has_two_ratios(small: Run) -> None:
    first, second, third = rows_of(small)
    measured(small, replace(first, ratio=Ratio(value=0.81, low=0.667, high=1.002, state="unstable")), second, third)
    page, markdown = texts(small)
    assert "0.667 or 1.00 two modes unstable" in page
    assert "0.667 or 1.00 (two modes)" in markdown
    assert (
        "0.810" not in page + markdown and "faster" not in page.split("Latency of every target")[1].split("1 thread")[0]
    )


def test_ratios_are_to_the_baseline_everywhere(small: Run) -> None:
    first, second, third = rows_of(small)
    ratio = Ratio(value=0.408, low=0.401, high=0.415, state="faster")
    measured(small, first, second, replace(third, ratio=ratio))
    page, markdown = texts(small)
    assert "0.408 0.401 to 0.415 faster" in page and "0.408 (0.401 to 0.415)" in markdown
    assert not re.search(r"×\s?\d| x\d+\.\d|[Rr]atio to fastest|times the time", page + markdown)


def test_the_headline_latency_is_of_one_thread_with_its_interval(small: Run) -> None:
    """Also where two threads are faster."""
    first, second, third = rows_of(small)
    interval = Interval(low=0.0455, high=0.0468)
    measured(small, replace(first, p50_ms=0.001), replace(second, p50_interval_ms=interval), replace(third, p50_ms=0.9))
    page, _ = texts(small)
    headline = page.split("Fastest export, one thread")[1]
    assert headline.startswith(" 0.0461 ms 95% interval 0.0455 to 0.0468, onnx_float32 on onnxruntime (cpu)")
    assert "0.00100" not in page.split("Contents")[0]


def test_a_table_is_no_repetition_of_a_picture_that_is_not_there(small: Run) -> None:
    for text in texts(small):
        assert "The same as" not in text


def test_the_search_for_layers_is_called_greedy(small: Run) -> None:
    for text in texts(small):
        assert "The search is greedy: a smaller set may exist." in text and "fewest" not in text
