"""A picture of a model's memory: which bytes of the arena each layer uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.visualization.plots import FIRST, INK, MUTED, SECOND, figure

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Fit

INCHES_A_LAYER, INCHES_HIGH = 0.42, 4.2
LEAST_INCHES, MOST_INCHES = 6.4, 40
MOST_EMPTY = 8  # a line further up than so many times what is drawn is named instead
KIB = 1024
WIDTH, SHADE = 0.86, 0.55  # of a layer's bars: their share of its place, and how opaque they are


def draw_memory(record: Fit, path: Path) -> None:
    """Write a PNG: for each layer its tensors where they lie, and as lines the RAM there is and TFLite Micro's arena.

    Raises InputError where generated C cannot compute the model, so that there is nothing to draw.
    """
    generated, *others = record.engines
    if not record.steps:
        raise InputError(f"There is nothing to draw: {generated.verdict}.")
    names = [step.layer for step in record.steps]
    top = generated.ram_bytes
    lines = [(record.ram_bytes, "RAM", SECOND)] if record.ram_bytes else []
    lines += [(engine.ram_bytes, f"{engine.engine}'s arena", MUTED) for engine in others if engine.ram]
    near = [line for line in lines if line[0] <= MOST_EMPTY * top]
    size = (min(MOST_INCHES, max(LEAST_INCHES, 3.4 + INCHES_A_LAYER * len(names))), INCHES_HIGH)
    with figure(path, size, names=names) as axes:
        _draw_steps(axes, record)
        for height, words, color in near:
            axes.axhline(height / KIB, color=color, linewidth=1.4, linestyle="--")
            label = f"{words}, {height / KIB:,.1f} KiB"
            axes.text(len(names) - 0.5, height / KIB, label, va="bottom", ha="right", color=color)
        axes.set_ylim(0, max([top, *(height for height, _, _ in near)]) / KIB * 1.12)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_ylabel("KiB of RAM")
        axes.grid(axis="y")
        far = [f"{words} {height / KIB:,.0f} KiB" for height, words, _ in lines if height > MOST_EMPTY * top]
        note = f"; above the picture: {', '.join(far)}" if far else ""
        axes.set_title(f"RAM in use while each layer runs (darker: output over input){note}")


def _draw_steps(axes: Any, record: Fit) -> None:
    """Bars of the tensors; above the arena the output and the stack, which are there all the time."""
    generated = record.engines[0]
    arena = generated.ram["arena"]
    for x, step in enumerate(record.steps):
        for low, high in step.ranges:
            axes.bar(x, (high - low) / KIB, bottom=low / KIB, width=WIDTH, color=FIRST, alpha=SHADE, edgecolor="white")
        axes.bar(x, (generated.ram_bytes - arena) / KIB, bottom=arena / KIB, width=WIDTH, color=MUTED, alpha=SHADE)
        if step.peak:
            words = f"{step.arena_bytes / KIB:,.1f} KiB"
            axes.text(x, 0, words, ha="center", va="bottom", color=INK)
