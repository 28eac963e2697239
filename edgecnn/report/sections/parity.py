"""Parity: gates, emulated CPUs, agreement, preprocessing paths, flips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.data.output_labels import prediction_name
from edgecnn.records.common import runtime_name
from edgecnn.report.sections.decision import verdict_cell
from edgecnn.report.table import Cell, Table, matrix, table
from edgecnn.report.words import count, percent, points_interval, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Flip, Parity, ParityRow
    from edgecnn.report.view import Line

GATES = (
    "Export", "Parity", "Rule", "Images", "Change, points", "Flips negative / positive / wrong both",
    "McNemar’s exact p", "Same top 5", "SQNR, dB", "Cosine", "Equal to the bit",
)  # fmt: skip
CPUS = ("Export", "CPU", "Parity", "Images", "Accuracy", "Outputs")
PATHS = ("Preprocessing path", "Files", "Pixels")
FLIPS = ("Image", "Label", "Trained model", "Its margin", "Export", "Export’s margin", "Flip", "Exports")
FLIP_NAMES = {"negative": "negative flip", "positive": "positive flip", "neutral": "wrong both times"}
FULL_SHADE, NO_SHADE = 1.0, 0.9  # agreements


def gates_table(parity: Parity, lines: Sequence[Line]) -> Table | None:
    """The gate of each export on this machine, with what it looked at."""
    names = {row.name for row in parity.rows if not row.cpu} | {parity.reference}
    rows = [_gate(line.parity, names) for line in lines if line.parity and not line.cpu]
    return table("Gates and flips", GATES, rows, numeric=GATES[3:10])


def _gate(row: ParityRow, names: set[str]) -> tuple[Cell | str, ...]:
    sqnr = f"{row.sqnr_db:.1f}" if row.sqnr_db is not None else "equal" if row.max_logit_difference == 0 else ""
    return (
        Cell(row.format, f"on {runtime_name(row.runtime, row.provider)}"),
        verdict_cell(row),
        Cell(row.gate, row.reason),
        count(row.images),
        _change(row),
        _flips(row),
        f"{row.paired.p_value:.2g}" if row.paired else "",
        percent(row.top5_agreement) if row.top5_agreement is not None else "",
        sqnr,
        f"{row.cosine_similarity:.5f}",
        ", ".join(name for name in row.bit_equal_to if name in names),
    )


def _change(row: ParityRow) -> Cell | str:
    """The change that was judged; where that is of more images than the row ran, through which row."""
    change = row.gate_difference
    if change is None:
        return ""
    through = f",\nthrough {row.extrapolated_from}" if row.extrapolated_from else ""
    return Cell(signed(change.points), points_interval(change) + through)


def _flips(row: ParityRow) -> str:
    if row.paired is None:
        return count(len(row.flips))
    negative, positive = row.paired.negative_flips, row.paired.positive_flips
    return f"{negative:,} / {positive:,} / {len(row.flips) - negative - positive:,}"


def cpus_table(lines: Sequence[Line]) -> Table | None:
    """The same files on emulated CPUs."""
    rows = [_emulated(line.parity) for line in lines if line.cpu and line.parity]
    return table("Other CPUs, emulated", CPUS, rows, numeric=("Images", "Accuracy"))


def _emulated(row: ParityRow) -> tuple[Cell | str, ...]:
    return (
        Cell(row.format, f"on {runtime_name(row.runtime, row.provider)}"),
        Cell(row.cpu, row.emulator),
        Cell(verdict_cell(row).text, row.reason, verdict_cell(row).state),
        count(row.images),
        percent(row.accuracy.share) if row.accuracy else "",
        row.native.words if row.native else "did not run natively",
    )


def agreement_matrix(parity: Parity) -> Table | None:
    """The share of images with the same top-1 class, for each pair on this machine."""
    names = [parity.reference, *(row.name for row in parity.rows)]
    shown = [0, *(number for number, row in enumerate(parity.rows, 1) if not row.cpu)]
    rows = [(f"{i} {names[n]}", [_share(parity.agreement_matrix[n][m]) for m in shown]) for i, n in enumerate(shown)]
    return matrix("Agreement: share of images with the same top-1 class", "", list(map(str, range(len(shown)))), rows)


def _share(share: float) -> tuple[str, float]:
    return percent(share), max(0.0, (share - NO_SHADE) / (FULL_SHADE - NO_SHADE))


def paths_table(parity: Parity) -> Table | None:
    """Whether every way from an image file to the model's input gives the same pixels."""
    rows = [(path.name, count(path.files), _pixels(path.different_files)) for path in parity.preprocessing_paths]
    return table("Preprocessing paths", PATHS, rows, numeric=("Files",))


def _pixels(different: Sequence[str]) -> Cell:
    if different:
        return Cell("✗ different", ", ".join(different), "failed")
    return Cell("✓ equal to the bit", state="passed")


def flips_table(changed: Sequence[tuple[Flip, list[str]]], labels: Sequence[str]) -> Table | None:
    """Images that exports classify differently, those of most exports first."""
    rows = [
        (
            str(flip.image),
            labels[flip.label] if flip.label is not None else "",
            prediction_name(flip.reference_prediction, labels),
            f"{flip.reference_margin:.3f}",
            prediction_name(flip.prediction, labels),
            f"{flip.prediction_margin:.3f}",
            FLIP_NAMES.get(flip.kind, flip.kind),
            ", ".join(names),
        )
        for flip, names in changed
    ]
    return table("Images classified differently", FLIPS, rows, numeric=("Image", "Its margin", "Export’s margin"))
