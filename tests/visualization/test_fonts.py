"""Class names in pictures: letters from installed fonts, numbers where there are none, and never a warning."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from edgecnn.data.evaluation import Evaluation
from edgecnn.parity.metrics import agreement
from edgecnn.visualization import fonts, plots
from edgecnn.visualization.fonts import DEFAULT, drawable, families

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.run_directory import Run

FRAKTUR = "\N{MATHEMATICAL BOLD FRAKTUR SMALL A}"  # in STIX, which comes with matplotlib, and not in its default font
NOWHERE = chr(0x10FFFD)  # for private use: in no font but those that draw a box for everything


def test_a_font_is_found_for_what_the_default_lacks() -> None:
    assert families(["cat", "été", " \n"]) == [DEFAULT]
    first, second = families(["cat", FRAKTUR])
    assert first == DEFAULT and FRAKTUR in fonts._has(second)
    assert drawable(["cat", FRAKTUR]) == (["cat", FRAKTUR], "")


def test_what_no_font_has_is_shown_by_its_number() -> None:
    shown, sentence = drawable(["cat", f"x{NOWHERE}", "two words"])
    assert shown == ["cat", "#1", "two words"]
    assert "the number of a class, counted from 0" in sentence
    assert families([NOWHERE]) == [DEFAULT]


def test_an_unreadable_font_has_no_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_installed", lambda: {"Broken": str(tmp_path / "broken.ttf")})
    fonts._has.cache_clear()
    try:
        assert fonts._has("Broken") == fonts._has("Absent") == frozenset()
    finally:
        fonts._has.cache_clear()


def test_pictures_of_classes_with_such_names_make_no_warning(run: Run) -> None:
    training = run.training()
    names = ("cat", FRAKTUR, f"狗{NOWHERE}")
    odd = replace(training, data=replace(training.data, labels=names))
    plain = replace(training, data=replace(training.data, labels=("cat", "a", "b")))
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    evaluation = Evaluation(pixels, np.zeros(1, np.int64), "one image", "")
    flips = agreement(np.eye(3, dtype=np.float32)[[1]], np.eye(3, dtype=np.float32)[[2]], None).flips
    row: Any = SimpleNamespace(flips=flips)
    sizes = []
    for record in (plain, odd):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plots.draw_training(run, record)
            plots.draw_flips(run, [row], evaluation, record.data.labels)
        with Image.open(run.path(plots.CONFUSION)) as picture:
            sizes.append(picture.size)
    assert sizes[0] == sizes[1]
