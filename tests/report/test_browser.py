"""The report as a browser lays it out: on a phone, a tablet and a desktop."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from edgecnn.pretrained import PLACES
from edgecnn.run_directory import Run
from edgecnn.stages.report import report
from tests.browser import measured
from tests.report.runs import build

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("jinja2")

WIDTHS = (400, 768, 1280)
LEGIBLE = 11.0  # height in pixels of a line of text; of letters about two thirds


@pytest.mark.parametrize("name", ["small", "cifar10-cnn"])
def test_nothing_is_cut_off_or_too_small_to_read(name: str, tmp_path: Path) -> None:
    """The page is as wide as its window, tables of cards fit into it, and texts in charts can be read."""
    run = build(tmp_path / "run") if name == "small" else Run(shutil.copytree(PLACES[1] / name, tmp_path / "run"))
    page = report(run).read_text(encoding="utf-8")
    for found in measured(page, WIDTHS, ".cards, .verdict, .tiles > div, figure", tmp_path):
        width = found["width"]
        assert found["page"] <= width, f"at {width} pixels the page scrolls sideways"
        assert found["cut"] == [], f"at {width} pixels {found['cut']} are cut off"
        assert found["smallest_text"] is None or found["smallest_text"] >= LEGIBLE, f"at {width} pixels"
