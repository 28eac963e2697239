"""What a person can look at while a training runs: a line an epoch with its estimated end, training.csv, the curves."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edgecnn.console import log
from edgecnn.files import staged
from edgecnn.records import Epoch
from edgecnn.visualization.plots import draw_curves

if TYPE_CHECKING:
    from edgecnn.run_directory import Run

LOG = "training.csv"


def show_epoch(history: tuple[Epoch, ...], epochs: int, here: int) -> None:
    """Say what the last epoch gave, and when the training will end going by the last `here` epochs."""
    number, last = len(history), history[-1]
    text = f"Epoch {number}/{epochs}: loss {last.loss:.4f}, accuracy {last.accuracy:.2%}"
    if last.val_loss is not None and last.val_accuracy is not None:
        text += f", validation loss {last.val_loss:.4f}, validation accuracy {last.val_accuracy:.2%}"
    text += f" ({last.seconds:.1f} s"
    if number < epochs:
        left = (epochs - number) * sum(epoch.seconds for epoch in history[-here:]) / here
        end = datetime.now().astimezone() + timedelta(seconds=left)
        text += f"; {_duration(left)} left, until about {end:%H:%M}"
    log(f"{text})")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def write_log(run: Run, history: tuple[Epoch, ...], split: str) -> None:
    """Write training.csv and redraw the curves; `split` is the one validated on."""
    text = io.StringIO()
    names = [field.name for field in fields(Epoch)]
    rows = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
    rows.writeheader()
    for number, epoch in enumerate(history, 1):
        rows.writerow({"epoch": number, **asdict(epoch)})
    with staged(run.path(LOG)) as draft:
        draft.write_text(text.getvalue())
    draw_curves(run, history, split)
