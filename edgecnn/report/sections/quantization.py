"""What quantization gains and costs, and which layers are excluded from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.report.summary import losses
from edgecnn.report.table import Bar, Cell, Table, table
from edgecnn.report.words import accuracy_interval, count, duration, percent, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Artifact, MixedPrecision
    from edgecnn.report.quantization_benefit import Weighing

BENEFIT = (
    "Export", "Verdict", "Bytes, % of float", "Time, % of float", "Accuracy", "Change from float, points", "Why",
)  # fmt: skip
SENSITIVITY = ("Layer", "SQNR, dB", "Output", "Largest to small channels", "Largest to small weights", "Reason")
STEPS = ("Excluded from quantization", "Biases", "Points lost")
FULL_BAR_DB = 60.0


@dataclass(frozen=True)
class Search:
    """A search for the layers to exclude from quantization, in words and as tables."""

    format: str
    text: str
    layers: Table | None
    steps: Table | None


def benefit_table(weighings: Sequence[Weighing]) -> Table | None:
    """Each quantized export against the float export that it would replace."""
    rows = [
        (
            Cell(w.artifact.format, f"against {w.against.format}{f' on {w.runtime}' if w.runtime else ''}"),
            w.verdict,
            f"{100 * w.bytes_share:.0f}%",
            f"{100 * w.latency_share:.0f}%" if w.latency_share else "",
            _accuracy(w),
            signed(w.points) if w.points is not None else "",
            w.why,
        )
        for w in weighings
    ]
    return table("Quantization benefit", BENEFIT, rows, numeric=BENEFIT[2:6])


def _accuracy(w: Weighing) -> Cell | str:
    return Cell(percent(w.accuracy.share), accuracy_interval(w.accuracy)) if w.accuracy else ""


def searches(artifacts: Sequence[Artifact]) -> list[Search]:
    """What was tried where full quantization lost more than is allowed."""
    return [
        _search(artifact.format, found)
        for artifact in artifacts
        if (found := artifact.mixed_precision) and len(found.steps) > 1
    ]


def _search(format: str, found: MixedPrecision) -> Search:
    excluded = found.excluded_from_quantization
    took = f" The search took {duration(found.seconds)} of the export." if found.seconds else ""
    text = (
        f"Fully int8, it loses {found.steps[0].accuracy_drop_points:.2f} points on {count(found.images)} training "
        f"images, {found.max_accuracy_drop_points} are allowed. Biases are {'' if found.bias_corrected else 'not '}"
        "corrected, which costs neither size nor latency."
    )
    if excluded:
        text += (
            f" Excluded from quantization (float32): {', '.join(excluded)}. The search is greedy: a smaller set may "
            "exist."
        )
    text += took
    steps = [
        (
            ", ".join(step.excluded_from_quantization) or "none",
            "corrected" if step.bias_corrected else "",
            f"{step.accuracy_drop_points:.2f}",
        )
        for step in found.steps
    ]
    return Search(
        format, text, _sensitivity(format, found), table("Steps of the search", STEPS, steps, numeric=STEPS[2:])
    )


def _sensitivity(format: str, found: MixedPrecision) -> Table | None:
    rows = [
        (
            Cell(layer, "in float32" if layer in found.excluded_from_quantization else ""),
            Cell(f"{sqnr_db:.1f}", bar=Bar(min(100.0, max(0.0, 100 * sqnr_db / FULL_BAR_DB)))),
            f"{spread.low:.3g} to {spread.high:.3g}" if spread else "",
            f"{spread.channel_ratio:.1f}" if spread else "",
            f"{spread.weight_ratio:.1f}" if spread else "",
            why,
        )
        for layer, sqnr_db, spread, why in losses(found)
    ]
    return table(f"Output of {format} with one layer quantized alone", SENSITIVITY, rows, numeric=SENSITIVITY[1:5])
