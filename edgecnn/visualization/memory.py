"""A picture of a model's memory: which bytes of the arena each layer uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.visualization.plots import FIRST, INK, MUTED, NOTE_SIZE, SECOND, figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgecnn.records import Fit, StepMemory

INCHES_A_LAYER, INCHES_HIGH = 0.42, 4.6
LEAST_INCHES, MOST_INCHES = 6.4, 40
MOST_EMPTY = 8  # a line further up than so many times what is drawn is named only
KIB = 1024
WIDTH, SHADE = 0.86, 0.55  # of a layer's bars: their share of its place, and how opaque they are


def draw_memory(record: Fit, path: Path) -> None:
    """Write a PNG: for each layer its tensors where they lie, and as lines all that generated C needs, the RAM there
    is, and TFLite Micro's arena.

    Raises InputError where generated C cannot compute the model, so that there is nothing to draw.
    """
    generated, *others = record.engines
    if not record.steps:
        raise InputError(f"There is nothing to draw: {generated.verdict}.")
    names = [step.layer for step in record.steps]
    lines = [(generated.ram_bytes, f"{generated.engine} with output and stack", FIRST, "-")]
    lines += [(record.ram_bytes, "RAM there is", SECOND, "--")] if record.ram_bytes else []
    lines += [(engine.ram_bytes, f"{engine.engine}'s arena", MUTED, ":") for engine in others if engine.ram]
    top = max(height for height, *_ in lines if height <= MOST_EMPTY * generated.ram_bytes)
    size = (min(MOST_INCHES, max(LEAST_INCHES, 3.4 + INCHES_A_LAYER * len(names))), INCHES_HIGH)
    with figure(path, size, names=names) as axes:
        _draw_steps(axes, record.steps)
        for height, words, color, style in lines:
            shown = "" if height <= top else " (above the picture)"
            label = f"{words}, {height / KIB:,.1f} KiB{shown}"
            axes.axhline(min(height, 2 * top) / KIB, color=color, linewidth=1.4, linestyle=style, label=label)
        axes.set_ylim(0, top / KIB * 1.08)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_ylabel("KiB of RAM")
        axes.grid(axis="y")
        axes.set_title("RAM in use while each layer runs")
        axes.figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _draw_steps(axes: Any, steps: Sequence[StepMemory]) -> None:
    """A bar of each tensor, and the peak in words."""
    label = "tensors (darker: one over another)"
    for x, step in enumerate(steps):
        for low, high in step.ranges:
            axes.bar(
                x, (high - low) / KIB, bottom=low / KIB, width=WIDTH, color=FIRST, alpha=SHADE, edgecolor="white",
                label=label,
            )  # fmt: skip
            label = ""
        if step.peak:
            words = f"peak\n{step.arena_bytes / KIB:,.1f} KiB"
            axes.text(x, 0, words, ha="center", va="bottom", color=INK, fontsize=NOTE_SIZE)
