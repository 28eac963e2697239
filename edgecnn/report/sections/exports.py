"""The exports: figures, files, calibration, and what executes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.report.sections.decision import file_cell, latency_cell, verdict_cell
from edgecnn.report.table import Bar, Cell, Table, table
from edgecnn.report.words import accuracy_interval, count, counted, kib, nodes, percent, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Accuracy, Artifact, ExportFailure, Parity, ParityRow, Placement, Report
    from edgecnn.report.view import Line

EXPORTS = (
    "Export", "Size, KiB", "Accuracy", "Change, points", "Agreement", "Largest logit difference", "Parity",
    "p50, one thread",
)  # fmt: skip
FILES = ("File", "Format", "Bytes", "SHA-256")
CALIBRATION = ("Export", "Images", "Source", "Method", "Tool", "SHA-256 of the pixels")
PLACEMENT = ("Export", "Device", "Compute nodes", "Other nodes", "Ready after, ms", "Peak memory, MiB")


def exports_table(record: Report, lines: Sequence[Line]) -> Table | None:
    """Each export on each runtime of this machine, the trained model first where it was measured."""
    native = [line for line in lines if not line.cpu]
    largest = max((line.artifact.size_bytes for line in native), default=1)
    rows = [_export(line, record.parity, largest) for line in native]
    return table("Exports, their accuracy and latency", EXPORTS, rows, numeric=(*EXPORTS[1:6], EXPORTS[-1]))


def _export(line: Line, parity: Parity | None, largest: int) -> tuple[Cell | str, ...]:
    artifact, row = line.artifact, line.parity
    size = Cell(
        kib(artifact.size_bytes),
        title=counted(artifact.size_bytes, "byte"),
        bar=Bar(100 * artifact.size_bytes / largest),
    )
    name = Cell(artifact.format, f"on {line.where}" if line.runtime else "ran on no runtime")
    latency = latency_cell(line.one_thread) if line.one_thread else Cell("–")
    if row is None:
        accuracy = parity.reference_accuracy if line.is_reference and parity else None
        verdict = Cell("reference") if line.is_reference else verdict_cell(None)
        return name, size, _accuracy(accuracy, parity), "", "", "", verdict, latency
    largest_difference = f"{row.max_logit_difference:.3g}" if row.max_logit_difference >= 0 else "not finite"
    return (
        name,
        size,
        _accuracy(row.accuracy, parity),
        _change(row, parity),
        Cell(percent(row.agreement), counted(len(row.flips), "flip")),
        largest_difference,
        verdict_cell(row),
        latency,
    )


def _accuracy(accuracy: Accuracy | None, parity: Parity | None) -> Cell | str:
    """An accuracy, with the number of images where others are of more."""
    if accuracy is None:
        return ""
    fewer = parity is not None and accuracy.total != parity.images
    return Cell(
        percent(accuracy.share), accuracy_interval(accuracy) + (f",\nN = {count(accuracy.total)}" if fewer else "")
    )


def _change(row: ParityRow, parity: Parity | None) -> Cell | str:
    """The change of accuracy over the images that the row ran."""
    if row.paired is None:
        return ""
    fewer = parity is not None and row.images != parity.images
    return Cell(signed(row.paired.points), f"on the same {count(row.images)} images" if fewer else "")


def files_table(artifacts: Sequence[Artifact]) -> Table | None:
    """Every file, to fetch and to check."""
    rows = [
        (file_cell(artifact), artifact.format, count(artifact.size_bytes), Cell(artifact.sha256, code=True))
        for artifact in artifacts
    ]
    return table("Files", FILES, rows, numeric=("Bytes",))


def failures_table(failures: Sequence[ExportFailure]) -> Table | None:
    """The formats that the model could not be exported to."""
    return table("Not exported", ("Format", "Reason"), [(failure.format, failure.reason) for failure in failures])


def calibration_table(artifacts: Sequence[Artifact]) -> Table | None:
    """What quantized exports were calibrated with."""
    rows = [
        (a.format, count(c.images), c.source, c.method, c.tool, Cell(c.sha256[:12], title=c.sha256, code=True))
        for a in artifacts
        if (c := a.calibration)
    ]
    return table("Calibration of quantized exports", CALIBRATION, rows, numeric=("Images",))


def placement_table(lines: Sequence[Line]) -> Table | None:
    """Where the nodes of each export really run."""
    rows = [_placed(line, placement) for line in lines if not line.cpu for placement in line.placements]
    return table("Placement", PLACEMENT, rows, numeric=PLACEMENT[-2:])


def instructions(placement: Placement) -> str:
    """How many an emulated microcontroller takes for an image; "" for what has a time."""
    return f", {placement.instructions_per_image:,} instructions an image" if placement.instructions_per_image else ""


def _placed(line: Line, placement: Placement) -> tuple[Cell | str, ...]:
    timed = [row for row in line.latencies if row.placement == placement]
    return (
        Cell(line.artifact.format, f"on {line.where}"),
        placement.device,
        nodes(placement.compute_nodes) + instructions(placement),
        nodes(placement.other_nodes),
        f"{min(row.load_ms for row in timed):.0f}" if timed else "",
        f"{min(row.peak_memory_bytes for row in timed) / 2**20:.0f}" if timed else "",
    )
