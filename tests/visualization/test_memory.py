"""The picture of a model's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.pretrained import pretrained_runs
from edgecnn.stages.fit import fit
from edgecnn.visualization.memory import draw_memory
from edgecnn.visualization.plots import FIRST, SECOND

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1024


def _share(path: Path, color: str) -> float:
    """Of the pixels, those of a color."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return float((pixels == wanted).all(axis=2).mean())


@pytest.mark.parametrize("run", ["cifar10-cnn", "cifar10-resnet8"])
def test_what_there_is_is_a_line_where_it_is_near(run: str, tmp_path: Path) -> None:
    near, far, none = tmp_path / "near.png", tmp_path / "far.png", tmp_path / "none.png"
    for path, ram in ((near, 48 * KIB), (far, 1 << 30), (none, None)):
        draw_memory(fit(pretrained_runs()[run], None, ram), path)
        assert _share(path, FIRST) > 0.005
    assert _share(near, SECOND) > 0.001
    assert _share(far, SECOND) == _share(none, SECOND) == 0
