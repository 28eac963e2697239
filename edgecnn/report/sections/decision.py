"""The first page: which file to ship where, and the headline figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.parity.verdict import FAIL, PASS
from edgecnn.report.deployment import verdict_of
from edgecnn.report.table import Cell, Table, table
from edgecnn.report.words import accuracy_interval, count, counted, kib, ms, ms_interval, percent, three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Accuracy, Artifact, LatencyRow, ParityRow, Report
    from edgecnn.report.deployment import Deployment
    from edgecnn.report.view import Line

COLUMNS = ("Device", "File", "Size, KiB", "Accuracy", "Latency, one thread", "Parity", "What speaks against it")
BRIEF = ("Export", "KiB", "Accuracy", "95% interval", "Images", "p50, one thread", "95% interval, ms", "Parity")
MAX_BRIEF = 12  # rows of the short table in report.md


@dataclass(frozen=True)
class Tile:
    """A headline figure."""

    name: str
    figure: str
    unit: str
    note: str


def decision_table(deployments: Sequence[Deployment]) -> Table | None:
    """A row for each device; accuracy and latency with their 95 % intervals."""
    return table("Which file to ship to which device", COLUMNS, map(_row, deployments), numeric=COLUMNS[2:3])


def _row(deployment: Deployment) -> tuple[Cell | str, ...]:
    line, device = deployment.line, deployment.device
    name = f"{device[:1].upper()}{device[1:]}"
    if line is None:
        return name, Cell("none"), "", "", "", "", deployment.against
    return (
        name,
        file_cell(line.artifact, f"{line.name},\nSHA-256 {line.artifact.sha256[:12]}"),
        kib(line.artifact.size_bytes),
        accuracy_cell(line.parity.accuracy if line.parity else None),
        latency_cell(line.one_thread),
        verdict_cell(line.parity),
        deployment.against,
    )


def file_cell(artifact: Artifact, note: str = "") -> Cell:
    """An export as a link to its file."""
    return Cell(artifact.path, note, href=artifact.path, title=f"SHA-256 {artifact.sha256}", code=True)


def accuracy_cell(accuracy: Accuracy | None) -> Cell:
    """An accuracy with its interval and the number of images."""
    if accuracy is None:
        return Cell("not measured")
    return Cell(percent(accuracy.share), f"{accuracy_interval(accuracy)},\nN = {count(accuracy.total)}")


def latency_cell(row: LatencyRow | None) -> Cell:
    """A median with its interval."""
    return Cell(ms(row.p50_ms), ms_interval(row)) if row else Cell("not measured")


def verdict_cell(row: ParityRow | None) -> Cell:
    """The verdict of parity."""
    if row is None:
        return Cell("not checked", state="unproven")
    if row.verdict == PASS:
        return Cell("✓ pass", state="passed")
    return Cell("✗ fail", state="failed") if row.verdict == FAIL else Cell("not proven", state="unproven")


def brief_table(lines: Sequence[Line]) -> Table | None:
    """Verdict and latency of each export that ran on this machine, those that do not pass first."""
    native = [line for line in lines if not line.cpu]
    ranked = sorted(native, key=lambda line: line.is_reference or verdict_of(line) == PASS)
    rows = [_brief_row(line) for line in ranked[:MAX_BRIEF]]
    return table("Exports", BRIEF, rows, numeric=BRIEF[1:-1])


def _brief_row(line: Line) -> tuple[Cell | str, ...]:
    accuracy, latency = line.parity.accuracy if line.parity else None, line.one_thread
    return (
        line.name,
        kib(line.artifact.size_bytes),
        percent(accuracy.share) if accuracy else "",
        accuracy_interval(accuracy) if accuracy else "",
        count(accuracy.total) if accuracy else "",
        ms(latency.p50_ms) if latency else "",
        ms_interval(latency) if latency else "",
        "reference" if line.is_reference else verdict_cell(line.parity),
    )


def tiles(record: Report, lines: Sequence[Line]) -> list[Tile]:
    """The headline figures; of the exports those that do not fail."""
    training = record.training
    name, note = f"{training.accuracy.split.capitalize()} accuracy", accuracy_cell(training.accuracy).note
    found = [
        Tile(name, percent(training.accuracy.share), "", f"95% interval {note}"),
        Tile("Parameters", count(training.parameters), "", f"architecture {training.architecture}"),
    ]
    usable = [line for line in lines if not line.cpu and not line.is_reference and verdict_of(line) != FAIL]
    if usable:
        least = min(usable, key=lambda line: line.artifact.size_bytes).artifact
        found.append(Tile("Smallest export", kib(least.size_bytes), "KiB", least.format))
    timed = [(row, line) for line in usable if (row := line.one_thread)]
    if timed and record.latency:
        row, line = min(timed, key=lambda pair: pair[0].p50_ms)
        machine = record.latency.machine or record.latency.origin.machine
        note = f"95% interval {ms_interval(row)}, {line.name}, {machine.cpu}"
        found.append(Tile("Fastest export, one thread", three_digits(row.p50_ms), "ms", note))
    return found


def more_rows(lines: Sequence[Line]) -> str:
    """How many rows the short table leaves out, in words; "" for none."""
    more = sum(not line.cpu for line in lines) - MAX_BRIEF
    return f"{counted(more, 'more row')} below" if more > 0 else ""
