"""What a person can look at while a training runs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from edgecnn.files import TEMPORARY
from edgecnn.records import Epoch
from edgecnn.run_directory import Run
from edgecnn.training.epoch_log import LOG, show_epoch, write_log

if TYPE_CHECKING:
    from pathlib import Path

BLIND = Epoch(loss=1.5, accuracy=0.5, val_loss=None, val_accuracy=None, seconds=90.0, learning_rate=0.1)
SEEN = Epoch(loss=1.25, accuracy=0.6, val_loss=1.0, val_accuracy=0.625, seconds=30.0, learning_rate=0.05)


@pytest.mark.parametrize(
    ("history", "epochs", "here", "said"),
    [
        ((BLIND,), 41, 1, "Epoch 1/41: loss 1.5000, accuracy 50.00% (90.0 s; 1 h 00 min left, until about "),
        (
            (BLIND, SEEN),
            12,
            2,
            "accuracy 60.00%, validation loss 1.0000, validation accuracy 62.50% (30.0 s; 10 min left",
        ),
        ((BLIND, SEEN), 12, 1, "(30.0 s; 5 min left"),  # the epoch before was of an earlier process
        ((BLIND, SEEN), 2, 2, "validation accuracy 62.50% (30.0 s)\n"),
        ((SEEN, SEEN), 3, 2, "30 s left"),
    ],
)
def test_an_epoch_in_a_line_with_the_end_of_all(
    history: tuple[Epoch, ...], epochs: int, here: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_epoch(history, epochs, here)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("history", [(BLIND,), (SEEN, SEEN)])
def test_the_log_has_a_line_an_epoch_and_the_curves_lie_beside_it(history: tuple[Epoch, ...], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    write_log(Run(tmp_path), history, "test")
    with (tmp_path / LOG).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(number + 1) for number in range(len(history))]
    last = history[-1]
    assert float(rows[-1]["loss"]) == last.loss
    assert rows[-1]["val_accuracy"] == ("" if last.val_accuracy is None else str(last.val_accuracy))
    with Image.open(tmp_path / "curves.png") as image:
        assert min(image.size) > 200
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))
