"""What the report's pages are made of: rows of tables, scales, pictures.

Rows of parity and latency are joined to the exports by the SHA-256 of the artifact they are about, so a figure never
is reported with a file it was not measured on.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.errors import InputError
from edgecnn.execution.targets import KERAS
from edgecnn.records import Report
from edgecnn.records.common import runtime_name, target_name
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Artifact, LatencyRow, Origin, ParityRow, Placement

SOURCES = {
    run_directory.CONTRACT: "model, input, output, labels",
    run_directory.TRAINING: "data, recipe, epochs, test accuracy, classes, confusion",
    run_directory.ARTIFACTS: "formats, sizes, calibration",
    run_directory.PARITY: "accuracy of the exports, agreement, flips, gates, placement",
    run_directory.LAYERS: "what arrives of each layer",
    run_directory.LATENCY: "latencies, placement",
    run_directory.FEATURES: "feature maps",
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TICKS = 7  # of a scale labelled at 1, 2 and 5; a wider one is labelled at powers of ten


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis of latencies; its ends are 1, 2 or 5 times a power of ten."""

    ticks_ms: tuple[float, ...]
    low_ms: float
    high_ms: float
    decimals: int  # that show the fastest median with two digits

    def at(self, ms: float) -> float:
        """Where a latency lies, in percent of the axis."""
        return 100 * math.log(ms / self.low_ms) / math.log(self.high_ms / self.low_ms)


@dataclass(frozen=True)
class Line:
    """One export on one runtime, "" where none ran, or the model on Keras; latencies by number of threads.

    `cpu` is the emulated one that ran it, "" for the machine's own: only that one is timed.
    """

    artifact: Artifact
    runtime: str
    provider: str
    cpu: str
    parity: ParityRow | None
    latencies: tuple[LatencyRow, ...]

    @property
    def name(self) -> str:
        """The export and its runtime in words."""
        return target_name(self.artifact.format, self.runtime, self.provider, self.cpu)

    @property
    def is_reference(self) -> bool:
        """Whether this is what the exports are compared with."""
        return self.artifact.format == KERAS

    @property
    def where(self) -> str:
        """The runtime, the execution provider, and the CPU where that is an emulated one."""
        return runtime_name(self.runtime, self.provider, self.cpu) if self.runtime else ""

    @property
    def placements(self) -> tuple[Placement, ...]:
        """What executed it, in parity and in each measurement; equal ones once."""
        rows = (*((self.parity,) if self.parity else ()), *self.latencies)
        return tuple(
            row.placement for i, row in enumerate(rows) if row.placement not in [r.placement for r in rows[:i]]
        )


@dataclass(frozen=True)
class Picture:
    """A PNG of the run, ready to stand in a page; sides in pixels."""

    path: str
    uri: str
    width: int
    height: int


def is_stale(run: Run, origin: Origin) -> bool:
    """Whether a record was made from another contract or other exports than the run holds now."""
    return any(origin.inputs.get(name, now) != now for name in SOURCES if (now := run.hash_of(name)))


def lines(record: Report, artifacts: Sequence[Artifact]) -> list[Line]:
    """The rows of the tables: each of these with every runtime and provider it ran or was measured on."""
    found = []
    for artifact in artifacts:
        asked = [r for r in (record.parity.rows if record.parity else ()) if r.artifact_sha256 == artifact.sha256]
        timed = [r for r in (record.latency.rows if record.latency else ()) if r.artifact_sha256 == artifact.sha256]
        judged = {(row.runtime, row.provider, row.cpu): row for row in asked}
        places = [*judged, *((row.runtime, row.provider, "") for row in timed)]
        for place in dict.fromkeys(places) or [("", "", "")]:
            here = [row for row in timed if (row.runtime, row.provider, "") == place]
            latencies = tuple(sorted(here, key=lambda row: (row.batch, row.threads)))
            found.append(Line(artifact, *place, judged.get(place), latencies))
    return found


def scale(rows: Sequence[LatencyRow]) -> Scale | None:
    """A scale for all medians and 99th percentiles; None where nothing was measured."""
    if not rows:
        return None
    fastest, slowest = min(row.p50_ms for row in rows), max(row.p99_ms for row in rows)
    decade = math.floor(math.log10(fastest))
    steps = [digit * 10.0**power for power in range(decade - 1, decade + 12) for digit in (1, 2, 5)]
    low = max(step for step in steps if step < 0.8 * fastest)
    high = min(step for step in steps if step >= slowest and step > low)
    inside = [step for step in steps if low <= step <= high]
    ticks = inside if len(inside) <= MOST_TICKS else [step for step in inside if math.log10(step).is_integer()]
    return Scale(tuple(ticks), low, high, max(0, 1 - decade))


def most_frequent_confusion(record: Report) -> tuple[str, str, int] | None:
    """Label, prediction and count of the most frequent confusion."""
    labels, table = record.training.data.labels, record.training.confusion_matrix
    wrong = [(n, i, j) for i, row in enumerate(table) for j, n in enumerate(row) if i != j and n]
    if not wrong:
        return None
    count, label, answer = max(wrong)
    return labels[label], labels[answer], count


def picture(run: Run, path: str) -> Picture | None:
    """A picture of the run, None when it is missing; raises InputError when it lies elsewhere or is no PNG."""
    place = run.path(path).resolve()
    if not place.is_file():
        return None
    data = place.read_bytes() if place.is_relative_to(run.root.resolve()) else b""
    if not data.startswith(PNG_SIGNATURE) or len(data) < 24:
        raise InputError(f"{path} is not a PNG picture inside {run.root}; delete it and run the stage that draws it.")
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return Picture(path, uri, int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))


def origins(record: Report) -> list[tuple[list[str], Origin]]:
    """Where the stages ran: commands that share machine and versions together, each with such an origin."""
    groups: list[tuple[list[str], Origin]] = []
    for part in (
        record.training, record.artifacts, record.parity, record.layers, record.latency, record.features
    ):  # fmt: skip
        if part is None:
            continue
        for names, origin in groups:
            if (origin.machine, origin.versions) == (part.origin.machine, part.origin.versions):
                names.append(part.origin.command)
                break
        else:
            groups.append(([part.origin.command], part.origin))
    return groups
