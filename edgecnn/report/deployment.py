"""Which file to ship to which device, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.export.format import DEVICES, Format
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS
from edgecnn.plugins import discover
from edgecnn.report import words
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Report
    from edgecnn.report.view import Line

CLOSE = 1.05  # latencies within this factor of the fastest: the smaller file is chosen
LARGER = 1.5  # times the bytes of the smallest candidate are worth a word
MAX_CLAUSES = 3
RULE = (
    "Of the files made for a device, those that match the trained model where there are any; of these the fastest for "
    f"one image on one thread, and of those within {CLOSE - 1:.0%} of it, or where none was measured, the smallest."
)


@dataclass(frozen=True)
class Deployment:
    """A device, the export to ship to it on its runtime, and a sentence on what speaks against that."""

    device: str
    line: Line | None  # None where there is nothing to ship
    against: str


def deployments(record: Report, lines: Sequence[Line]) -> list[Deployment]:
    """One per device; of emulated CPUs nothing is taken, since they are not timed."""
    native = [line for line in lines if not line.cpu and not line.is_reference]
    return [_deployment(record, device, _candidates(native, device)) for device in DEVICES]


def _candidates(lines: Sequence[Line], device: str) -> list[Line]:
    """The exports made for a device, each on the runtime that its format is made for, where it ran there."""
    formats, runtimes = discover(Format), discover(Runtime)
    found = []
    for name, format in formats.items():
        mine = [line for line in lines if line.artifact.format == name and device in format.devices]
        own = [
            line
            for line in mine
            if line.runtime in runtimes and runtimes[line.runtime].file_kinds[0] == format.file_kind
        ]
        found += own or mine
    return found


def _deployment(record: Report, device: str, candidates: Sequence[Line]) -> Deployment:
    if not candidates:
        return Deployment(device, None, "No export is made for it.")
    usable = [line for line in candidates if verdict_of(line) != FAIL]
    if not usable:
        reasons = [f"{line.name}: {line.parity.reason}" for line in candidates if line.parity]
        return Deployment(device, None, words.sentence(["every file for it fails", *reasons[:MAX_CLAUSES]]))
    passed = [line for line in usable if verdict_of(line) == PASS]
    line = _best(passed or usable)
    return Deployment(device, line, _against(record, device, line, passed or usable))


def _best(lines: Sequence[Line]) -> Line:
    timed = [(row.p50_ms, line) for line in lines if (row := line.one_thread)]
    least = min((p50_ms for p50_ms, _ in timed), default=0.0)
    close = [line for p50_ms, line in timed if p50_ms <= CLOSE * least]
    return min(close or lines, key=lambda line: line.artifact.size_bytes)


def verdict_of(line: Line) -> str:
    """The verdict on an export on its runtime; what was not checked is not proven."""
    return line.parity.verdict if line.parity else NOT_PROVEN


def _against(record: Report, device: str, line: Line, candidates: Sequence[Line]) -> str:
    clauses = [*_doubts(line), *_latency_doubts(record, device, line)]
    smallest = min(candidates, key=lambda line: line.artifact.size_bytes).artifact
    share = line.artifact.size_bytes / smallest.size_bytes
    if share >= LARGER:
        clauses.append(f"{share:.1f} times the bytes of {smallest.format}")
    return words.sentence(clauses[:MAX_CLAUSES]) or "Nothing that was measured."


def _doubts(line: Line) -> list[str]:
    """What parity shows."""
    row = line.parity
    if row is None:
        return ["its outputs have not been compared with the trained model's"]
    found = [f"parity is not proven: {row.reason}"] if row.verdict != PASS else []
    if row.gate_difference and row.gate_difference.high_points < 0:
        found.append(f"accuracy is {-row.gate_difference.points:.2f} points lower")
    if row.flips:
        found.append(f"{len(row.flips):,} of {words.counted(row.images, 'image')} classified differently")
    if row.cpu_dependent_images:
        found.append(f"outputs depend on the CPU for {words.counted(row.cpu_dependent_images, 'image')}")
    return found


def _latency_doubts(record: Report, device: str, line: Line) -> list[str]:
    """What its latency does not say."""
    if record.latency is None or line.one_thread is None:
        return [f"latency on {line.runtime} not measured" if line.runtime else "latency not measured"]
    machine = record.latency.machine or record.latency.origin.machine
    if device == "server" or record.latency.remote:
        return []
    return [f"latency is of {machine.cpu}, not of a {device}"]
