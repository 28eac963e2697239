"""The picture of a model's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.errors import InputError
from edgecnn.pretrained import pretrained_runs
from edgecnn.stages.fit import fit
from edgecnn.visualization.memory import draw_memory
from edgecnn.visualization.plots import FIRST, SECOND

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1024


def _is_line(path: Path, color: str) -> bool:
    """Whether a row of pixels has this color over most of its width; a dashed line has gaps."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == wanted).all(axis=2).mean(axis=1).max() > 0.4)


@pytest.mark.parametrize("run", ["cifar10-cnn", "cifar10-resnet8"])
def test_the_ram_there_is_is_a_line_where_it_is_near(run: str, tmp_path: Path) -> None:
    for ram, is_line in ((48 * KIB, True), (1 << 30, False), (None, False)):
        draw_memory(fit(pretrained_runs()[run], None, ram), tmp_path / "memory.png")
        assert _is_line(tmp_path / "memory.png", FIRST), "what generated C needs"
        assert _is_line(tmp_path / "memory.png", SECOND) is is_line


def test_without_steps_there_is_nothing_to_draw(tmp_path: Path) -> None:
    record = fit(pretrained_runs()["cifar10-cnn"] / "exports" / "tflite_float32.tflite", None, KIB)
    with pytest.raises(InputError, match="There is nothing to draw: The layer 'image' cannot become C"):
        draw_memory(record, tmp_path / "memory.png")
    assert not list(tmp_path.iterdir())
