"""A picture of a model's memory: which bytes of the arena each layer uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.visualization.plots import FIRST, MUTED, SECOND, figure

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Fit

INCHES_A_LAYER, INCHES_HIGH = 0.42, 4.2
MOST_INCHES = 40
MOST_EMPTY = 8  # a line further up than so many times what is drawn is named instead
KIB = 1024


def draw_memory(record: Fit, path: Path) -> None:
    """Write a PNG: for each layer, its tensors where they lie; the RAM there is, and TFLite Micro's arena, as lines.

    Raises InputError where generated C cannot compute the model, so that there is nothing to draw.
    """
    if not record.steps:
        raise InputError(f"There is nothing to draw: generated C is {record.engines[0].reason}.")
    names = [step.layer for step in record.steps]
    top = max(high for step in record.steps for _, high in step.ranges)
    limits = [(record.ram_bytes, "RAM", SECOND)]
    limits += [(e.ram_bytes, f"{e.engine}'s arena", MUTED) for e in record.engines[1:] if e.ram_bytes]
    shown = [limit for limit in limits if limit[0] <= MOST_EMPTY * top]
    beyond = [f"{words} {size / KIB:,.0f} KiB" for size, words, _ in limits if size > MOST_EMPTY * top]
    size = (min(MOST_INCHES, max(6.4, 3.4 + INCHES_A_LAYER * len(names))), INCHES_HIGH)
    with figure(path, size, names=names) as axes:
        for x, step in enumerate(record.steps):
            for low, high in step.ranges:
                axes.bar(
                    x, (high - low) / KIB, bottom=low / KIB, width=0.86, color=FIRST, alpha=0.55, edgecolor="white"
                )
        for bytes_there, words, color in shown:
            axes.axhline(bytes_there / KIB, color=color, linewidth=1.4, linestyle="--")
            label = f"{words}, {bytes_there / KIB:,.1f} KiB"
            axes.text(len(names) - 0.5, bytes_there / KIB, label, va="bottom", ha="right", color=color)
        axes.set_ylim(0, max([top, *(limit[0] for limit in shown)]) / KIB * 1.12)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axes.set_ylabel("KiB of the arena")
        axes.grid(axis="y")
        note = f"; above the picture: {', '.join(beyond)}" if beyond else ""
        axes.set_title(f"Bytes of the arena in use while each layer runs (darker: output over input){note}")
